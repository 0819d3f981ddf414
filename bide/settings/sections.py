"""The sections of the settings: each variable with its type, its default, and the advice where it is wrong."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, StringConstraints

from bide import strict_json
from bide.contract import MAX_DEADLINE_SECONDS
from bide.money.currencies import as_currency
from bide.money.price_list import EXAMPLE, Entry, read_prices
from bide.settings.addresses import HookUrl, MediaHost, WebUrl
from bide.settings.tenants import TenantLimits, Tenants


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)


def listed(value: object) -> object:
    """A JSON list, or names with commas between them."""
    if not isinstance(value, str):
        return value
    if not value.lstrip().startswith("["):
        return [entry.strip() for entry in value.split(",") if entry.strip()]
    try:
        return strict_json.loads(value)
    except strict_json.RepeatedNameError as error:
        raise ValueError(str(error)) from None
    except ValueError:
        raise ValueError("is not a JSON list") from None


def _priced(value: object) -> object:
    """A JSON object of prices; what is wrong with single ones is reported beside all other problems."""
    return read_prices(value) if isinstance(value, str) else value


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _webhook_secret(secret: SecretStr) -> SecretStr:
    """A secret in the form of Standard Webhooks. Receivers decode it: a text that is no base64 would verify nowhere."""
    try:
        key = base64.b64decode(secret.get_secret_value().removeprefix("whsec_"), validate=True)
    except ValueError:
        key = b""
    if len(key) < 24:
        raise ValueError("is not base64 of 24 bytes or more")
    return secret


def _long(secret: SecretStr) -> SecretStr:
    if len(secret.get_secret_value()) < 24:
        raise ValueError("is shorter than 24 characters")
    return secret


def _of_a_caller(queue: str) -> str:
    if queue.startswith("bide."):
        raise ValueError("begins with bide., as bide's own queues do")
    return queue


Count = Annotated[int, Field(ge=1, le=1_000_000)]
PerSecond = Annotated[float, Field(ge=0)]
Seconds = Annotated[float, Field(gt=0)]
Factor = Annotated[float, Field(ge=1, le=10)]
Deadline = Annotated[float, Field(gt=0, le=MAX_DEADLINE_SECONDS)]
Port = Annotated[int, Field(ge=0, le=65535)]
Hosts = Annotated[tuple[MediaHost, ...], BeforeValidator(listed)]
Buckets = Annotated[
    tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{2,254}$")], ...], BeforeValidator(listed)
]
Phrases = Annotated[
    tuple[Annotated[str, StringConstraints(strip_whitespace=True, min_length=5, max_length=200)], ...],
    BeforeValidator(listed),
]
CallerQueue = Annotated[str, Field(min_length=1), AfterValidator(_of_a_caller)]
WebhookSecret = Annotated[SecretStr, AfterValidator(_webhook_secret)]
HookSecret = Annotated[SecretStr, AfterValidator(_long)]
Prices = Annotated[tuple[Entry, ...], BeforeValidator(_priced)]
Currency = Annotated[str, BeforeValidator(as_currency)]
Servers = Annotated[tuple[Literal["broker", "objects", "sandbox"], ...], BeforeValidator(listed)]
Checksum = Annotated[Literal["sha256", "md5", "none"], BeforeValidator(_lower)]
Puts = Annotated[Literal["obstore", "boto3"], BeforeValidator(_lower)]
Safe = Annotated[Literal["disk", "replica"], BeforeValidator(_lower)]
ReceiptPlace = Annotated[Literal["off", "s3"], BeforeValidator(_lower)]
Level = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_upper)]


class S3Settings(Section):
    bucket: str = Field("", min_length=3, description="the bucket that results go to")
    endpoint_url: WebUrl | None = Field(None, description="the address of a store that is not AWS")
    region: str | None = Field(None, description="the bucket's region")
    addressing_style: Literal["auto", "path", "virtual"] = Field(
        default_factory=lambda data: "path" if data.get("endpoint_url") else "auto", description="auto, path or virtual"
    )
    public_endpoint_url: WebUrl | None = Field(None, description="the address under which others reach the store")
    checksum: Checksum = Field("sha256", description="sha256, md5 or none; `bide doctor` finds the one the store takes")
    puts: Puts = Field("obstore", description="the library that puts small objects, obstore or boto3")


class MediaSettings(Section):
    max_bytes: int = Field(512 * 1024 * 1024, ge=1, description="the largest result to take [bytes]")
    download_seconds: Seconds = Field(180.0, description="the longest one download may take [seconds]")


class AccountSettings(Section):
    """One account of a provider; a setting that it lacks is the provider's."""

    base_url: WebUrl | None = Field(
        None, description="the address of the provider's API, such as https://api.example.com"
    )
    api_key: SecretStr | None = Field(None, description="the key the provider gave you")
    max_in_flight: Count | None = Field(None, description="the number of jobs at the provider at once, 1 or more")
    submits_per_second: PerSecond | None = Field(None, description="the submits per second, 0 for no limit")
    polls_per_second: PerSecond | None = Field(None, description="the polls per second, 0 for no limit")
    media_hosts: Hosts | None = Field(None, description='a JSON list of host or host:port, such as ["127.0.0.1:8900"]')
    poll_first_seconds: Seconds | None = Field(None, description="the delay before a job's first poll [seconds]")
    poll_factor: Factor | None = Field(None, description="the factor from one delay to the next, 1 to 10")
    poll_cap_seconds: Seconds | None = Field(None, description="the longest delay between two polls [seconds]")
    poll_learn: bool | None = Field(None, description="whether polls are timed by how long jobs took: true or false")
    unknown_params: Literal["warn", "refuse"] | None = Field(
        None, description="what becomes of params that bide does not know: warn (they pass) or refuse"
    )
    settle: Literal["hold", "listing"] | None = Field(
        None, description="what becomes of doubtful submits: hold, or listing (looked for on the provider's list)"
    )
    deadline_seconds: Deadline | None = Field(
        None, description="the longest a job may take in all, a week at most [seconds]"
    )
    credit_words: Phrases | None = Field(
        None,
        description='a JSON list of phrases for used-up credit, of 5 letters or more, such as ["no coins left"]',
    )

    prices: Prices | None = Field(
        None,
        description=f"a JSON object of prices by operation, or by operation and lane, such as {EXAMPLE}",
    )
    currency: Currency | None = Field(
        None, description="the unit of the account's money: a currency such as USD, or a unit such as credits"
    )
    tenants: Tenants | None = Field(
        None,
        description='a JSON object of what each tenant may take, such as {"acme": {"max_in_flight": 50}, '
        '"*": {"max_in_flight": 10, "submits_per_second": 2, "weight": 1}}',
    )

    #: The secrets that its adapter names besides the key, by name; `credentials` gives each a variable.
    secrets: dict[str, SecretStr] = Field(default_factory=dict)

    @property
    def credentials(self) -> dict[str, SecretStr]:
        """All secrets that are set, by name."""
        return {**({} if self.api_key is None else {"api_key": self.api_key}), **self.secrets}


class ProviderSettings(AccountSettings):
    accounts: dict[str, AccountSettings] = Field(default_factory=dict)


@dataclass(frozen=True)
class EffectiveAccount:
    """All settings of one account; None leaves a value to the provider's adapter, a rate of 0 is no limit."""

    provider: str
    account: str
    #: Empty where the adapter names other secrets, or none.
    api_key: SecretStr = field(default_factory=lambda: SecretStr(""))
    secrets: Mapping[str, SecretStr] = field(default_factory=dict)
    base_url: str | None = None
    max_in_flight: int = 1000
    submits_per_second: float = 0.0
    polls_per_second: float = 0.0
    media_hosts: tuple[str, ...] = ()
    poll_first_seconds: float | None = None
    poll_factor: float | None = None
    poll_cap_seconds: float | None = None
    poll_learn: bool = True
    unknown_params: Literal["warn", "refuse"] = "warn"
    settle: Literal["hold", "listing"] = "hold"
    deadline_seconds: float | None = None
    credit_words: tuple[str, ...] = ()
    prices: tuple[Entry, ...] = ()
    #: None: that of the provider's file or adapter, else USD.
    currency: str | None = None
    tenants: tuple[TenantLimits, ...] = ()


class TimingSettings(Section):
    """Times of the machinery; those that must agree are checked together."""

    lease_seconds: Seconds = Field(10.0, description="the time a silent worker keeps a job [seconds]")
    sweep_seconds: Seconds = Field(5.0, description="the longest time between two looks for lost work [seconds]")
    poll_batch: Count = Field(500, description="the number of jobs that one polling round takes")
    poll_countdown_max_seconds: Seconds = Field(60.0, description="the longest countdown of a message [seconds]")
    visibility_timeout_seconds: int = Field(
        300, ge=10, description="the time until the broker takes a silent worker's message back [whole seconds]"
    )
    connect_timeout_seconds: Seconds = Field(5.0, description="the longest a connection may take to open [seconds]")
    read_timeout_seconds: Seconds = Field(30.0, description="the longest silence within an answer [seconds]")
    submit_timeout_seconds: Seconds = Field(60.0, description="the longest a submit may take [seconds]")
    retention_days: int = Field(7, ge=1, le=365, description="the time finished jobs are remembered [days]")


class RecordSettings(Section):
    """What Redis keeps of finished jobs. A client of a release that packs nothing finds no result in what is packed."""

    pack: bool = Field(True, description="whether records of finished jobs are packed: true or false")
    result_days: int | None = Field(
        None, ge=1, le=365, description="the time Celery's results are kept [days]; by default as long as the jobs"
    )


class LedgerSettings(Section):
    """How safe a record has to be before bide acts on it; `replica` outlives the loss of any one server."""

    safe: Safe = Field(
        "disk",
        description="disk, or replica: no job is accepted or bought before replicas have acknowledged its record",
    )
    safe_replicas: int = Field(1, ge=1, le=10, description="the replicas that have to acknowledge a record, 1 to 10")
    safe_seconds: float = Field(
        1.0, gt=0, le=5, description="the longest that replicas may take to acknowledge, 5 at most [seconds]"
    )
    receipts: ReceiptPlace = Field(
        "off", description="off, or s3: nothing is bought before the bucket has a receipt of the intent"
    )
    receipts_seconds: float = Field(
        5.0, gt=0, le=8, description="the longest that the bucket may take for a receipt, 8 at most [seconds]"
    )


class WorkerSettings(Section):
    concurrency: Count = Field(32, description="the number of steps that one worker takes at once")
    default_queue: CallerQueue = Field(
        "celery", description="the queue of callers' callbacks that name none: task_default_queue of their app"
    )


class BulkSettings(Section):
    """The buckets that a message may name; the command and `config/schedules.toml` may name any source."""

    source_buckets: Buckets = Field(
        (), description='a JSON list of buckets that messages may name besides that of the results, such as ["uploads"]'
    )


class PollerSettings(Section):
    concurrency: Count = Field(4, description="the number of polling rounds that one poller serves at once")


class CallbackSettings(Section):
    """Callbacks are signed with the secret, and with the previous one while receivers change over."""

    secret: WebhookSecret | None = Field(None, description="base64 of 24 random bytes or more: openssl rand -base64 32")
    previous_secret: WebhookSecret | None = Field(None, description="the secret before, while receivers change over")
    allowed_hosts: Hosts = Field((), description='a JSON list of host or host:port, such as ["127.0.0.1:9000"]')
    timeout_seconds: Seconds = Field(
        15.0, le=60, description="the longest a receiver may take, a minute at most [seconds]"
    )
    give_up_seconds: Seconds = Field(24 * 3600.0, description="the time for which a callback is tried again [seconds]")


class LogSettings(Section):
    level: Level = Field("INFO", description="DEBUG, INFO, WARNING or ERROR")
    format: Literal["auto", "json", "pretty"] = Field("auto", description="json, pretty, or auto: pretty on a terminal")


class MetricsSettings(Section):
    address: str = Field("127.0.0.1", min_length=1, description="the address that `bide metrics` listens on")
    port: Port = Field(9808, description="the port that `bide metrics` listens on")


class HookSettings(Section):
    """The endpoint for calls of providers whose jobs have ended. Without a URL no provider calls."""

    url: HookUrl | None = Field(
        None, description="the public address of `bide hooks`, such as https://hooks.example.com"
    )
    secret: HookSecret | None = Field(None, description="24 random characters or more: openssl rand -hex 24")
    address: str = Field("127.0.0.1", min_length=1, description="the address that `bide hooks` listens on")
    port: Port = Field(9809, description="the port that `bide hooks` listens on")


class PagesSettings(Section):
    """The pages for people; who may log in is set for Flower, and is the same here."""

    address: str = Field("127.0.0.1", min_length=1, description="the address that `bide pages` listens on")
    port: Port = Field(9810, description="the port that `bide pages` listens on")
    url: WebUrl | None = Field(
        None, description="the address at which people open `bide pages`, such as https://bide.example.com; for links"
    )


class UpSettings(Section):
    servers: Servers = Field(
        (), description="servers that `bide up` brings along at the addresses that are set: broker, objects, sandbox"
    )


class FlowerSettings(Section):
    address: str = Field("127.0.0.1", description="the address Flower listens on")
    port: Port = Field(5555, description="the port Flower listens on")
    url: WebUrl | None = Field(
        None, description="the address at which `bide doctor` finds Flower, where it runs on another host"
    )
    user: str | None = Field(None, pattern=r"^[^:]+$", description="the name to log in to Flower with, without a colon")
    password: SecretStr | None = Field(None, description="the password to log in to Flower with")
