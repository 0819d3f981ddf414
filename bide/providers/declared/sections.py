"""The tables of a provider's file: each key with its type, its default and what it means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from bide.contract import MAX_DEADLINE_SECONDS
from bide.money.currencies import as_currency
from bide.money.expressions import Price
from bide.providers.declared.answer_tables import (
    AcceptedTable,
    AskedTable,
    CauseTable,
    CostTable,
    FailedTable,
    MediaTable,
    RefusedTable,
    ResultTable,
    StateTable,
)
from bide.providers.declared.paths import JsonPath
from bide.providers.declared.request_tables import CallTable, CancelTable, HookTable, SubmitTable, Table
from bide.providers.declared.types import (
    NAME,
    OPERATION,
    Address,
    ContractWord,
    Headers,
    Host,
    Json,
    Kind,
    OnePaths,
    Seconds,
    Text,
    Type,
    as_list,
)
from bide.providers.offering import MediaKind


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
    base_url: Address | None = Field(None, description="the API's address; without it each deployment sets BASE_URL")
    hosts: list[Host] = Field(
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
    currency: Annotated[str, BeforeValidator(as_currency)] = Field(
        "USD", description="the unit of the prices: a currency such as USD, or the provider's own, such as credits"
    )


class AuthTable(Table):
    """`[auth]`: the account's secrets, and the headers that carry them."""

    credentials: list[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]] = Field(
        ["api_key"], description="the names of the secrets, each a setting of the account; [] for none"
    )
    headers: Headers = Field({}, description='headers of every call, such as Authorization = "Bearer {api_key}"')
    media: bool = Field(False, description="whether downloads from the API's own origin have these headers, too")


class IdempotencyTable(Table):
    """What the API promises of a submit that comes twice; `{key}` stands for its key."""

    contract: ContractWord = Field(description="replay, reject or client_id")
    live_seconds: Seconds = Field(description="how long the provider remembers a key [seconds]")


class ParamTable(Table):
    """One field of a request's params."""

    type: Annotated[list[Type], BeforeValidator(as_list)] = Field(
        ["any"], min_length=1, description="its type, or a list of types"
    )
    required: bool = Field(False, description="whether a request must have it")
    default: Json = Field(None, description="what is sent where a request lacks it")
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
    "operations.NAME.poll_plan": PollPlanTable,
    "operations.NAME.state.cost": CostTable,
    "catalogs.NAME": CatalogTable,
}
