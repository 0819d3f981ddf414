"""The tree of settings: every variable of a deployment, frozen once it is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from bide.settings.addresses import REDIS_SCHEMES, BrokerUrl, RedisUrl, ServerUrl
from bide.settings.credentials import API_KEY, SECRETS, credentials_of, own_currency
from bide.settings.named_ledger import NamedLedger
from bide.settings.problems import ConfigurationProblems, Problem
from bide.settings.reader import PREFIX
from bide.settings.retention import RetentionSettings
from bide.settings.sections import (
    AccountSettings,
    BulkSettings,
    CallbackSettings,
    EffectiveAccount,
    FlowerSettings,
    HookSettings,
    LedgerSettings,
    LogSettings,
    MediaSettings,
    MetricsSettings,
    PagesSettings,
    PollerSettings,
    ProviderSettings,
    RecordSettings,
    S3Settings,
    TimingSettings,
    UpSettings,
    WorkerSettings,
)
from bide.settings.variables import SEPARATOR, leaves, variable_name
from bide.settings.variables import Path as VariablePath

#: The account of a provider that has no other name.
DEFAULT = "default"


def _broker_if_redis(data: Mapping[str, Any]) -> ServerUrl:
    broker: ServerUrl = data["broker_url"]
    return broker if broker.scheme in REDIS_SCHEMES else ServerUrl("")


def _broker_or_ledger(data: Mapping[str, Any]) -> ServerUrl:
    ledger: ServerUrl = data["ledger_url"]
    return _broker_if_redis(data) or ledger


class Settings(BaseSettings):
    """All settings of the processes."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter=SEPARATOR,
        enable_decoding=False,
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        validate_default=False,
    )

    broker_url: BrokerUrl = Field(
        ServerUrl("redis://127.0.0.1:6379/0"), description="an address such as redis://127.0.0.1:6379/0"
    )
    ledger_url: RedisUrl = Field(
        default_factory=_broker_if_redis, description="an address such as redis://127.0.0.1:6379/0"
    )
    result_url: RedisUrl = Field(
        default_factory=_broker_or_ledger, description="an address such as redis://127.0.0.1:6379/0"
    )
    sentinel_master: str = Field("mymaster", description="the name the sentinels know the Redis by")
    ledger: LedgerSettings = LedgerSettings()
    ledgers: dict[str, NamedLedger] = Field(default_factory=dict)
    s3: S3Settings = S3Settings()
    media: MediaSettings = MediaSettings()
    providers: dict[str, ProviderSettings] = Field(default_factory=dict)
    providers_path: str = Field("", description="folders with files of providers, with ':' between them")
    budgets: str = Field("", description="the path of a file of budgets")
    timing: TimingSettings = TimingSettings()
    records: RecordSettings = RecordSettings()
    retention: RetentionSettings = RetentionSettings()
    callbacks: CallbackSettings = CallbackSettings()
    worker: WorkerSettings = WorkerSettings()
    bulk: BulkSettings = BulkSettings()
    poller: PollerSettings = PollerSettings()
    log: LogSettings = LogSettings()
    flower: FlowerSettings = FlowerSettings()
    metrics: MetricsSettings = MetricsSettings()
    hooks: HookSettings = HookSettings()
    pages: PagesSettings = PagesSettings()
    up: UpSettings = UpSettings()

    def account(self, provider: str, account: str = "default") -> EffectiveAccount:
        """The settings of one account; its own win over those of its provider.

        Its secrets are one set: the account has all of its own, or those of its provider. Raises
        `ConfigurationProblems`, naming each variable to set, where the account or a secret of it is missing.
        """
        shared = self.providers.get(provider, ProviderSettings())
        own = shared.accounts.get(account)
        merged = _fields_set(shared) | (_fields_set(own) if own else {})
        given = shared.credentials if own is None else own.credentials or shared.credentials
        stranger = own is None and account != DEFAULT
        names = credentials_of(provider)
        if missing := [name for name in names if stranger or name not in given] or ["base_url"] * stranger:
            place = ("providers", provider) if account == DEFAULT else ("providers", provider, "accounts", account)
            remedy = f"set it to {'what' if names else 'the address that'} the provider gave you"
            raise ConfigurationProblems(
                Problem(variable_name((*place, name)), "is not set", remedy) for name in missing
            )
        secrets = {name: given[name] for name in names if name != API_KEY}
        api_key = given.get(API_KEY, SecretStr(""))  # where the adapter asks for none, a proxy before it may want one
        return EffectiveAccount(provider=provider, account=account, api_key=api_key, secrets=secrets, **merged)

    def accounts_of(self, provider: str) -> tuple[str, ...]:
        """The accounts of a provider that the settings speak of, be they complete or not, in order."""
        shared = self.providers.get(provider, ProviderSettings())
        own_address = not credentials_of(provider) and shared.base_url is not None
        has_default = shared.credentials or own_address or not shared.accounts
        return (*((DEFAULT,) if has_default else ()), *sorted(shared.accounts))

    def secrets(self) -> tuple[str, ...]:
        """Every secret value, so that logs can redact it."""
        values = [value for _, value in in_force(self)]
        keys = [value.get_secret_value() for value in values if isinstance(value, SecretStr)]
        return (*keys, *(password for value in values if isinstance(value, ServerUrl) for password in value.passwords))


KNOWN = tuple(leaves(Settings))


def _fields_set(section: AccountSettings) -> dict[str, Any]:
    names = set(AccountSettings.model_fields) - {API_KEY, SECRETS}
    return {name: value for name in names if (value := getattr(section, name)) is not None}


def in_force(section: BaseModel, path: VariablePath = ()) -> Iterator[tuple[VariablePath, Any]]:
    """Every value in force, with the path of its variable."""
    for name in type(section).model_fields:
        yield from _in_force(getattr(section, name), path if name == SECRETS else (*path, name))


def _in_force(value: Any, path: VariablePath) -> Iterator[tuple[VariablePath, Any]]:
    if isinstance(value, BaseModel):
        yield from in_force(value, path)
    elif isinstance(value, dict):
        for name, entry in value.items():
            yield from _in_force(entry, (*path, name))
    else:
        yield path, value


def currency_of(settings: Settings, provider: str, account: str) -> str:
    """The currency of an account; '' for one that the settings do not speak of."""
    shared = settings.providers.get(provider)
    if shared is None or account not in settings.accounts_of(provider):
        return ""
    own = shared.accounts.get(account)
    return (own.currency if own else None) or shared.currency or own_currency(provider)
