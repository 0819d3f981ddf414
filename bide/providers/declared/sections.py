"""The tables of a provider's file: each key with its type, its default and what it means."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from bide.contract import MAX_DEADLINE_SECONDS, Charged, FailureCause
from bide.providers.declared.paths import JsonPath
from bide.providers.declared.prices import Price
from bide.providers.idempotency import Contract
from bide.providers.offering import MediaKind

_HOLDER = re.compile(r"\{[^{}]*\}")
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
OPERATION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_HOST = re.compile(
    r"(\*\.)?[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*(:\d{1,5})?"
)


class Table(BaseModel):
    """One table of the file: no other keys than these, and no types but theirs."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", allow_inf_nan=False, arbitrary_types_allowed=True
    )


def _path(value: object) -> object:
    return JsonPath(value) if isinstance(value, str) else value


def _list(value: object) -> object:
    """One where several may stand."""
    return value if isinstance(value, list) else [value]


def _singular(path: JsonPath) -> JsonPath:
    if path.steps is None:
        raise ValueError("may find several places where one is meant; leave out wildcards, filters and ..")
    return path


def _words(value: object) -> object:
    words = _list(value)
    if not isinstance(words, list) or not all(isinstance(word, str) and word.strip() for word in words):
        raise ValueError("must be a word or a list of words")
    return frozenset(word.strip().lower() for word in words)


def _web(text: str) -> str:
    try:
        url = urlsplit(text)
        usable = url.scheme in ("http", "https") and url.hostname and (url.port is None or url.port > 0)
    except ValueError:
        usable = False
    if not usable or not text.isprintable() or " " in text:
        raise ValueError("is no http(s) address")
    if url.query or url.fragment or "@" in url.netloc:
        raise ValueError("must be an address without user, query and fragment")
    return text


def _host(text: str) -> str:
    if not _HOST.fullmatch(text) or ("*." in text and "." not in text[2:]):
        raise ValueError("is no host, host:port, or *.host.tld")
    return text


def _below(path: str) -> str:
    if not path.startswith("/") or re.search(r"[?#]", _HOLDER.sub("", path)):
        raise ValueError("must begin with a slash, and have neither ? nor #: query has the fields of a query")
    return path


def _method(text: str) -> str:
    return text.upper()


def _enum(kind: type) -> BeforeValidator:
    def convert(value: object) -> object:
        try:
            return kind(value)
        except ValueError:
            names = ", ".join(sorted(kind))  # type: ignore[call-overload]  # a StrEnum, which mypy takes for a type
            raise ValueError(f"must be one of {names}") from None

    return BeforeValidator(convert)


Path = Annotated[JsonPath, BeforeValidator(_path)]
OnePath = Annotated[JsonPath, BeforeValidator(_path), AfterValidator(_singular)]
Paths = Annotated[list[Path], BeforeValidator(_list), Field(min_length=1)]
OnePaths = Annotated[list[OnePath], BeforeValidator(_list), Field(min_length=1)]
Text = Annotated[str, Field(min_length=1)]
Words = Annotated[frozenset[str], BeforeValidator(_words)]
Code = Annotated[int, Field(ge=100, le=599)]
Codes = Annotated[list[Code], BeforeValidator(_list)]
Seconds = Annotated[float, Field(gt=0)]
Method = Annotated[Literal["GET", "POST", "PUT", "PATCH", "DELETE"], BeforeValidator(_method)]
Kind = Annotated[MediaKind, _enum(MediaKind)]
Type = Literal["string", "integer", "number", "boolean", "object", "array", "any"]


class PollPlanTable(Table):
    """How often a job is polled while nothing is known of durations."""

    first_seconds: Seconds = Field(2.0, description="the delay before the first poll [seconds]")
    factor: Annotated[float, Field(ge=1, le=10)] = Field(2.0, description="the factor from one delay to the next")
    cap_seconds: Seconds = Field(30.0, description="the longest delay between two polls [seconds]")


class ProviderTable(Table):
    """`[provider]`: what holds for the whole API."""

    name: Annotated[str, Field(pattern=rf"^{NAME.pattern}$")] = Field(
        description="the provider's name in requests and settings: small letters, digits and _, as the file is named"
    )
    base_url: Annotated[str, AfterValidator(_web)] | None = Field(
        None, description="the API's address; without it each deployment sets BASE_URL"
    )
    hosts: list[Annotated[str, AfterValidator(_host)]] = Field(
        [], description="other hosts to which the key may go where an answer names an address, such as *.example.com"
    )
    source: str = Field("", description="the address of the API's documentation")
    version: Text = Field("1", description="kept with each job; raise it where older jobs are to be read otherwise")
    poll: PollPlanTable = Field(PollPlanTable(), description="how often jobs are polled")
    deadline_seconds: Annotated[float, Field(gt=0, le=MAX_DEADLINE_SECONDS)] = Field(
        1800.0, description="how long a job may take in all [seconds]"
    )
    results_live_seconds: Seconds = Field(86400.0, description="how long the provider keeps a result [seconds]")
    unknown_grace_seconds: Seconds = Field(10.0, description="how long a job is looked for that is not found [seconds]")
    errors: OnePaths = Field(
        [JsonPath("$.message"), JsonPath("$.detail"), JsonPath("$.error")],
        description="where an error's body has the provider's words, the best first",
    )
    retry_after: OnePaths | None = Field(None, description="where a body says when to come back [seconds]")
    currency: Text = Field("USD", description="the unit of the prices")


class AuthTable(Table):
    """`[auth]`: the account's secrets, and the headers that carry them."""

    credentials: list[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]] = Field(
        ["api_key"], min_length=1, description="the names of the secrets, each a setting of the account"
    )
    headers: dict[Text, str] = Field(
        {}, description='headers of every call, such as Authorization = "Bearer {api_key}"'
    )
    media: bool = Field(False, description="whether downloads from the API's own origin have these headers, too")


class CallTable(Table):
    """One request. `path` is below the base URL; `url` is a whole address, such as one from the handle."""

    method: Method = Field("GET", description="GET, POST, PUT, PATCH or DELETE")
    path: Annotated[str, AfterValidator(_below)] | None = Field(
        None, description="the path below the base URL; also what is asked where the record lacks what `url` needs"
    )
    url: Text | None = Field(None, description='an address from the handle, such as "{handle.status}"')
    query: dict[Text, str] = Field({}, description="fields of the address's query")
    headers: dict[Text, str] = Field({}, description="headers besides those of [auth]")
    json_: Any = Field(None, alias="json", description="the body, a template in JSON")
    form: dict[str, Any] | None = Field(None, description="the fields and files of a multipart body")
    max_answer_bytes: Annotated[int, Field(ge=1024, le=1024**3)] = Field(
        4 * 1024 * 1024, description="the largest answer that is read [bytes]"
    )


class HookTable(Table):
    """Fields of the body that are sent where the deployment has an endpoint for the provider's calls."""

    json_: dict[str, Any] = Field(alias="json", description='such as { webhook = "{hook}" }')
    unless: Text | None = Field(None, description="a placeholder; where it holds something, the fields stay away")


class SubmitTable(CallTable):
    """`submit`: the one request that buys."""

    method: Method = Field("POST", description="POST, usually")
    hook: HookTable | None = Field(None, description="fields for the provider's call when the job has ended")


class CostTable(Table):
    """What a job cost, as an answer says it."""

    at: OnePaths | None = Field(None, description="where the body has the amount")
    header: Text | None = Field(None, description="the header that has the amount")
    unit: Text = Field("credits", description="a currency such as USD, or the provider's own unit")
    factor: Annotated[float, Field(gt=0)] = Field(1.0, description="what the amount is multiplied by")


class RefusedTable(Table):
    """Words under a good code by which a submit is refused."""

    at: OnePath = Field(description="where the word stands")
    words: Words = Field(frozenset(), description="words of a refusal; the reason decides what becomes of it")
    failed: Words = Field(frozenset(), description="words of a job that has failed at once")
    unless: OnePath | None = Field(None, description="where something stands here, it is no refusal")
    with_id: Literal["unknown", "accepted"] = Field(
        "unknown", description="what a refusal is that has a job's id all the same: unknown, or accepted"
    )
    again_after_seconds: Seconds | None = Field(None, description="when to come back from a rate limit [seconds]")


class AcceptedTable(Table):
    """`accepted`: how the answer to the submit is read."""

    status: Codes | None = Field(None, description="the good codes; any 2xx where it is left out")
    id: OnePaths = Field(description="where the job's id stands, the best first")
    estimate_seconds: OnePath | None = Field(None, description="the provider's estimate of the whole job [seconds]")
    handle: dict[Annotated[str, Field(pattern=r"^[A-Za-z_][\w-]*$")], Path] = Field(
        {}, description='what later calls need besides the id, such as { status = "$.status_url" }'
    )
    state: OnePath | None = Field(None, description="where the answer has the job's state; that of [state] if left out")
    finishes: bool = Field(False, description="whether an answer with an id may hold the result, too")
    refused: RefusedTable | None = Field(None, description="words by which it is refused")
    cost: CostTable | None = Field(None, description="what it costs")


class AskedTable(Table):
    """Words of an envelope: the poll was refused, which says little of the job."""

    at: OnePath = Field(description="where the word stands")
    words: Words = Field(description="words by which the poll is refused")


class CauseTable(Table):
    """Words that say why a job failed."""

    at: OnePath | None = Field(None, description="where the word stands; that of the state if left out")
    moderated: Words = Field(frozenset(), description="the provider's moderation refused it")
    bad_input: Words = Field(frozenset(), description="the request was wrong")
    capacity: Words = Field(frozenset(), description="the provider had no room")
    provider: Words = Field(frozenset(), description="the provider broke")
    expired: Words = Field(frozenset(), description="it came too late")

    def cause(self, word: str) -> FailureCause | None:
        """The cause that a word, in small letters, is listed under."""
        return next((cause for cause in FailureCause if word in getattr(self, cause.name.lower())), None)


class StateTable(Table):
    """`state`: how the answer to a poll is read. Words that most providers use are known; these come first."""

    at: OnePath = Field(description="where the job's state stands")
    running: Words = Field(frozenset(), description="words of a job at work; every unknown word is one, too")
    done: Words = Field(frozenset(), description="words of a job that has its result, even where that is empty")
    failed: Words = Field(frozenset(), description="words of a job that has failed")
    gone: Words = Field(frozenset(), description="words for a job that the provider does not know")
    by_reason: Words = Field(
        frozenset(), description="words that may be about the asking, the account or the job: the reason tells"
    )
    gone_status: Codes = Field([404], description="codes for a job that the provider does not know")
    gone_unless: OnePath | None = Field(None, description="where a text stands here, the body is read all the same")
    codes: Codes = Field([], description="codes besides 2xx under which the body speaks of the job, such as 400")
    refused: AskedTable | None = Field(None, description="words by which the poll itself is refused")
    inside: OnePath | None = Field(None, description="where an object must stand for the answer to be one")
    reason: OnePaths | None = Field(None, description="where the reason of a failure stands; `errors` if left out")
    left_over: Paths | None = Field(None, description="ids of what a failed job made all the same, for people")
    cause: CauseTable | None = Field(None, description="words that say why it failed")
    charged: Annotated[Charged, _enum(Charged)] | None = Field(None, description="whether a failed job costs: yes, no")
    fraction: OnePath | None = Field(None, description="how much is done, from 0 to 1")
    percent: OnePath | None = Field(None, description="how much is done, from 0 to 100")
    position: OnePath | None = Field(None, description="how many jobs stand before it")
    left_seconds: OnePaths | None = Field(None, description="the estimate of the rest [seconds]")
    message: Path | None = Field(None, description="the provider's last message about the work")
    ask_again_seconds: OnePath | None = Field(None, description="when to ask again, at the earliest [seconds]")
    cost: CostTable | None = Field(None, description="what it costs")


class MediaTable(Table):
    """A place of outputs: an address or base64, a list of them, or of records with `url`."""

    at: Path = Field(description="where they stand")
    role: Text = Field("image", description="what they are called in the result: image, video, audio, preview ...")
    by_suffix: bool = Field(False, description="whether an address that ends as a video's does has the role video")
    addresses: bool = Field(False, description="whether they are addresses of files and nothing else")


def _media(value: object) -> object:
    """A path alone is a place of pictures."""
    return [
        {"at": entry} if isinstance(entry, str) else entry for entry in (value if isinstance(value, list) else [value])
    ]


Media = Annotated[list[MediaTable], BeforeValidator(_media)]


class FailedTable(Table):
    """A result's request that answers with the job's failure."""

    status: Codes = Field(min_length=1, description="the codes of a failed job, such as 422")
    reason: OnePaths | None = Field(None, description="where the reason stands; `errors` if left out")
    moderated: Path | None = Field(None, description="where something stands here, the moderation refused it")
    charged: Annotated[Charged, _enum(Charged)] | None = Field(None, description="whether it costs all the same")


class ResultTable(CallTable):
    """`result`: where the outputs stand. With `path` or `url` another request has them, which is made at once."""

    media: Media = Field([], description="the places of the outputs")
    otherwise: Media = Field([], description="places that are tried in turn where `media` has nothing")
    copies: OnePaths | None = Field(None, description="lists with further addresses of the outputs, in their order")
    partial: Path | None = Field(None, description="what the provider says of outputs that are missing")
    failed: FailedTable | None = Field(None, description="how its request answers for a failed job")
    cost: CostTable | None = Field(None, description="what it cost")


class CancelTable(CallTable):
    """`cancel`: the request that stops a job, and what its codes mean; any other code says nothing."""

    method: Method = Field("POST", description="POST, PUT or DELETE")
    stopped: Codes = Field([], description="codes of a job that is surely over")
    requested: Codes = Field([], description="codes of a cancel that was taken note of")
    too_late: Codes = Field([], description="codes of a job that had ended before")


class IdempotencyTable(Table):
    """What the API promises of a submit that comes twice; `{key}` stands for its key."""

    contract: Annotated[Contract, _enum(Contract)] = Field(description="replay, reject or client_id")
    live_seconds: Seconds = Field(description="how long the provider remembers a key [seconds]")


class ParamTable(Table):
    """One field of a request's params."""

    type: Annotated[list[Type], BeforeValidator(_list)] = Field(
        ["any"], min_length=1, description="its type, or a list of types"
    )
    required: bool = Field(False, description="whether a request must have it")
    default: Any = Field(None, description="what is sent where a request lacks it")
    enum: list[str | int | float | bool] | None = Field(None, min_length=1, description="the values that it may have")
    minimum: float | None = Field(None, description="the least number, also where it is written as a text")
    maximum: float | None = Field(None, description="the greatest number, likewise")
    about: str = Field("", description="what it is, for `bide describe`")


class OperationTable(Table):
    """`[operations.NAME]`: one thing that can be asked for."""

    about: str = Field("", description="what it makes, in a sentence")
    params: dict[Text, ParamTable] | None = Field(None, description="the fields of params; left out: any pass")
    others: list[Text] = Field([], description="further fields that the API documents, which pass unchecked")
    closed: bool = Field(False, description="whether a field that is not listed is refused")
    forbidden: dict[Text, Text] = Field({}, description="fields that a request must not have, each with the reason")
    one_of: list[Annotated[list[Text], Field(min_length=1)]] = Field(
        [], description="lists of names of which a request needs one, as a param or as a picture of inputs"
    )
    inputs: Literal["base64", "file", "url"] | None = Field(None, description="what pictures become: base64, file, url")
    required_inputs: list[Text] = Field([], description="pictures that a request must have")
    allowed_inputs: list[Text] | None = Field(None, description="pictures that it may have; any if left out")
    buys: bool = Field(True, description="false for an operation that costs nothing")
    has_outputs: bool = Field(True, description="false where success has no file")
    kinds: list[Kind] = Field(
        [MediaKind.IMAGE, MediaKind.VIDEO], min_length=1, description="what outputs may be: image, video, audio, ..."
    )
    lane: Text | None = Field(None, description='what durations and prices depend on, such as "{params.model}"')
    price: dict[Text, Price] = Field(
        {}, description='by lane, or "*" for all: what it costs, such as "0.02 * params.n"'
    )
    poll_plan: PollPlanTable | None = Field(None, description="how often its jobs are polled")
    deadline_seconds: Annotated[float, Field(gt=0, le=MAX_DEADLINE_SECONDS)] | None = Field(
        None, description="how long its jobs may take in all [seconds]"
    )
    idempotency: IdempotencyTable | None = Field(None, description="what the API promises of a second submit")
    submit: SubmitTable = Field(description="the request that buys")
    accepted: AcceptedTable = Field(description="how its answer is read")
    poll: CallTable = Field(description="the request that asks how the job stands")
    state: StateTable = Field(description="how its answer is read")
    result: ResultTable = Field(ResultTable(), description="where the outputs stand")
    cancel: CancelTable | None = Field(None, description="the request that stops a job")


class CatalogTable(CallTable):
    """`[catalogs.NAME]`: a list that the API offers, for `bide catalog`."""

    about: str = Field("", description="what it lists")
    arguments: list[Annotated[str, Field(pattern=r"^[A-Za-z_][\w-]*$")]] = Field([], description="what must be given")
    entries: OnePaths = Field([JsonPath("$")], description="where the list stands, the first that is one")
    public: bool = Field(False, description="true where it is asked for without a key")
    refused: AskedTable | None = Field(None, description="words by which it is refused")


class Document(Table):
    """A whole file."""

    provider: ProviderTable = Field(description="what holds for the whole API")
    auth: AuthTable = Field(AuthTable(), description="secrets and headers")
    operations: dict[Annotated[str, Field(pattern=rf"^{OPERATION.pattern}$")], OperationTable] = Field(
        min_length=1, description="what can be asked for"
    )
    catalogs: dict[Annotated[str, Field(pattern=rf"^{OPERATION.pattern}$")], CatalogTable] = Field(
        {}, description="lists that the API offers"
    )


#: The tables in the order of a file, with the place of each: for the reference, and for "did you mean".
TABLES: Mapping[str, type[Table]] = {
    "provider": ProviderTable,
    "auth": AuthTable,
    "operations.NAME": OperationTable,
    "operations.NAME.params.NAME": ParamTable,
    "operations.NAME.submit": SubmitTable,
    "operations.NAME.submit.hook": HookTable,
    "operations.NAME.accepted": AcceptedTable,
    "operations.NAME.accepted.refused": RefusedTable,
    "operations.NAME.poll": CallTable,
    "operations.NAME.state": StateTable,
    "operations.NAME.state.refused": AskedTable,
    "operations.NAME.state.cause": CauseTable,
    "operations.NAME.result": ResultTable,
    "operations.NAME.result.media": MediaTable,
    "operations.NAME.result.failed": FailedTable,
    "operations.NAME.cancel": CancelTable,
    "operations.NAME.idempotency": IdempotencyTable,
    "....poll_plan, provider.poll": PollPlanTable,
    "....cost": CostTable,
    "catalogs.NAME": CatalogTable,
}
