"""What an adapter is: it builds calls and reads answers, and nothing else.

An adapter never sleeps, retries, reads the environment, logs or knows Celery. It is pure: the same job gives the same
call, the same answer the same outcome. Everything with a clock, a socket or a store happens above it.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError

from bide.backoff import PollPlan, retry_after_seconds
from bide.contract import FailureCode, readable
from bide.errors import AccountRefusedError, InvalidRequestError, PollFailedError, SubmissionUnknownError, UnreadableAnswerError


class InputForm(StrEnum):
    """How an adapter wants the pictures of a request handed over."""

    BASE64 = "base64"  # inside the JSON body, without a data-URI prefix
    FILE = "file"  # as multipart files with a content type
    URL = "url"  # as an address the provider can fetch, presigned where the object is ours


class Params(BaseModel):
    """Base of the params models: the known fields are checked, unknown ones pass to the provider as they are."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)


@dataclass(frozen=True)
class Operation:
    """One thing a provider can be asked to make."""

    params: type[Params]
    #: What the pictures of `inputs` become; None: the operation takes none.
    inputs: InputForm | None = None
    #: Names that `inputs` must hold, and names it may hold (None: any).
    required_inputs: frozenset[str] = frozenset()
    allowed_inputs: frozenset[str] | None = None
    #: None: the provider's own.
    poll_plan: PollPlan | None = None
    deadline_seconds: float | None = None
    #: False where success has no file (training): an empty result is then a success.
    has_outputs: bool = True


@dataclass(frozen=True)
class Account:
    """Where and as whom to call; the key never shows in a repr."""

    base_url: str
    api_key: str = field(repr=False)


@dataclass(frozen=True)
class Upload:
    """One input picture, in the form its operation asked for: `base64` and `content` of FILE and BASE64, `url` of URL."""

    name: str
    content: bytes = field(default=b"", repr=False)
    content_type: str = "application/octet-stream"
    url: str = field(default="", repr=False)


@dataclass(frozen=True)
class Submission:
    """A job about to be bought: params already checked, inputs already fetched."""

    job_id: str
    operation: str
    params: Mapping[str, Any]
    inputs: Mapping[str, Upload] = field(default_factory=dict)


@dataclass(frozen=True)
class Ticket:
    """A job at the provider: what is needed to ask about it."""

    operation: str
    provider_job_id: str
    #: Whatever the adapter wants to remember between polls (`Running.cursor`); at most 1 kB.
    cursor: str = ""
    #: True once the provider was seen to know the job.
    seen: bool = False


@dataclass(frozen=True)
class Call:
    """One HTTP request, as data. At most one of `json` and `form` is set."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict)
    json: Any = field(default=None, repr=False)
    #: Fields and files of a multipart body: text, or (file name, bytes, content type).
    form: Mapping[str, str | tuple[str, bytes, str]] | None = field(default=None, repr=False)
    #: Largest answer that is read [bytes].
    max_answer_bytes: int = 4 * 1024 * 1024


@dataclass(frozen=True)
class Answer:
    """One HTTP response, read whole."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # names in lower case
    body: bytes = field(default=b"", repr=False)

    def json(self) -> Any:
        """The body as JSON; raises `UnreadableAnswerError` (never with the body in the message)."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            kind = self.headers.get("content-type", "no content type")
            raise UnreadableAnswerError(f"HTTP {self.status} with a body that is not JSON ({kind}, {len(self.body)} bytes)") from error

    def object(self) -> dict[str, Any]:
        """The body as a JSON object; raises `UnreadableAnswerError`."""
        value = self.json()
        if not isinstance(value, dict):
            raise UnreadableAnswerError(f"HTTP {self.status} with a JSON {type(value).__name__} where an object was expected")
        return value

    @property
    def retry_after_seconds(self) -> float | None:
        return retry_after_seconds(self.headers.get("retry-after"))


# What a submit came to.


@dataclass(frozen=True)
class Submitted:
    """Accepted: the provider's id, and its estimate of the whole job if it gave one [seconds]."""

    provider_job_id: str
    estimate_seconds: float | None = None


@dataclass(frozen=True)
class Media:
    """One output: at `url` (with `fallback_urls` holding the same bytes), or inline as `content`."""

    role: str
    url: str = ""
    content: bytes = field(default=b"", repr=False)
    fallback_urls: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finished:
    """Accepted and already done."""

    provider_job_id: str
    outputs: tuple[Media, ...]


@dataclass(frozen=True)
class Refused:
    """Surely not accepted. `again`: the same submit may be tried later (429, 503); else the job fails with `code`."""

    code: FailureCode
    message: str
    again: bool = False
    after_seconds: float | None = None


# What a poll came to.


@dataclass(frozen=True)
class Running:
    """Still at work; `status` is the provider's own word, `cursor` what to remember for the next poll."""

    status: str
    cursor: str = ""


@dataclass(frozen=True)
class Succeeded:
    outputs: tuple[Media, ...]


@dataclass(frozen=True)
class Failed:
    reason: str


@dataclass(frozen=True)
class Unknown:
    """The provider does not know the job (any more)."""

    reason: str = "not found"


SubmitOutcome = Submitted | Finished | Refused
PollOutcome = Running | Succeeded | Failed | Unknown


@dataclass(frozen=True)
class Catalog:
    """A list the provider offers (styles, tools, models): how to get it."""

    description: str
    #: Names of what must be given to get it.
    arguments: tuple[str, ...] = ()


class Provider(ABC):
    """One provider's API. Subclass it in a file of its own; `docs/add-a-provider.md` walks through one."""

    #: File name, name in requests, settings, metrics and logs.
    name: ClassVar[str]
    #: None: the provider has no public address, it must be configured.
    default_base_url: ClassVar[str | None]
    operations: ClassVar[Mapping[str, Operation]]
    poll_plan: ClassVar[PollPlan] = PollPlan(first_seconds=2.0, factor=2.0, cap_seconds=30.0)
    #: How long a job may take from first to last [seconds], unless its request or the settings say otherwise.
    deadline_seconds: ClassVar[float] = 1800.0
    #: How long the provider keeps a finished result [seconds], as documented or safely assumed.
    results_live_seconds: ClassVar[float] = 24 * 3600.0
    #: How long `Unknown` is put down to replication lag while the job was never seen [seconds].
    unknown_grace_seconds: ClassVar[float] = 10.0
    #: Whether a submit is charged for.
    submit_buys: ClassVar[bool] = True
    catalogs: ClassVar[Mapping[str, Catalog]] = {}
    #: Where a rule of this adapter comes from.
    source: ClassVar[str] = ""

    # Calls

    @abstractmethod
    def submit_call(self, submission: Submission, account: Account) -> Call:
        """The one request that buys."""

    @abstractmethod
    def poll_call(self, ticket: Ticket, account: Account) -> Call:
        """The request that asks about one job."""

    def catalog_call(self, catalog: str, arguments: Mapping[str, str], account: Account) -> Call:
        """The request for one of `catalogs`; raises `InvalidRequestError` for any other."""
        raise InvalidRequestError(f"catalog: {self.name} offers {', '.join(sorted(self.catalogs)) or 'none'}, not {catalog!r}")

    # Answers: only 2xx, and whatever `refusal` and `poll_trouble` leave to the body, reach these.

    @abstractmethod
    def read_submit(self, answer: Answer, submission: Submission) -> SubmitOutcome:
        """Raises `SubmissionUnknownError` or `UnreadableAnswerError` when the answer does not say."""

    @abstractmethod
    def read_poll(self, answer: Answer, ticket: Ticket) -> PollOutcome:
        """Raises `PollFailedError`, `AccountRefusedError` or `UnreadableAnswerError`."""

    def read_catalog(self, catalog: str, answer: Answer) -> list[dict[str, Any]]:
        """The entries of a catalog; raises `UnreadableAnswerError`."""
        raise UnreadableAnswerError(f"{self.name} has no catalog {catalog!r}")

    # Shared

    def check(self, operation: str, params: Mapping[str, Any], input_names: set[str]) -> Operation:
        """Check what the adapter knows of a request before anything is bought; raises `InvalidRequestError`."""
        known = self.operations.get(operation)
        if known is None:
            raise InvalidRequestError(f"operation: {self.name} has no {operation!r}; it has {', '.join(sorted(self.operations))}")
        try:
            known.params.model_validate(dict(params))
        except ValidationError as error:
            raise InvalidRequestError("; ".join(f"params.{line}" for line in readable(error).split("; "))) from None
        self._check_inputs(operation, known, input_names)
        return known

    def _check_inputs(self, operation: str, known: Operation, names: set[str]) -> None:
        if names and known.inputs is None:
            raise InvalidRequestError(f"inputs: {self.name} {operation} takes no pictures, got {', '.join(sorted(names))}")
        if missing := known.required_inputs - names:
            raise InvalidRequestError(f"inputs.{min(missing)}: is required by {self.name} {operation}")
        if known.allowed_inputs is not None and (extra := names - known.allowed_inputs):
            allowed = ", ".join(sorted(known.allowed_inputs))
            raise InvalidRequestError(f"inputs.{min(extra)}: is not a picture of {self.name} {operation}; it takes {allowed}")

    def plan_for(self, operation: str) -> PollPlan:
        return self.operations[operation].poll_plan or self.poll_plan

    def deadline_for(self, operation: str) -> float:
        return self.operations[operation].deadline_seconds or self.deadline_seconds

    def error_text(self, answer: Answer) -> str:
        """The provider's own words about a refusal, short; override where its error body has other fields."""
        return error_text(answer, ("message", "detail", "error"))

    def refusal(self, answer: Answer) -> Refused | None:
        """What the HTTP code alone says of a submit; None leaves the decision to the body.

        Raises `SubmissionUnknownError` where the code does not rule out that the job was accepted.
        """
        return refusal_by_status(answer, self.error_text(answer) if answer.status >= 400 else "")

    def submit_outcome(self, answer: Answer, submission: Submission) -> SubmitOutcome:
        """Code first, then body; an answer that can't be read may hide an accepted job."""
        refused = self.refusal(answer)
        if refused is not None:
            return refused
        try:
            return self.read_submit(answer, submission)
        except UnreadableAnswerError as error:
            raise SubmissionUnknownError(f"the answer to the submit can't be read: {error}") from error

    def poll_outcome(self, answer: Answer, ticket: Ticket) -> PollOutcome:
        """Trouble by code first, then body; raises `PollFailedError` or `AccountRefusedError`."""
        poll_trouble(answer)
        try:
            return self.read_poll(answer, ticket)
        except UnreadableAnswerError as error:
            raise PollFailedError(f"the answer to the poll can't be read: {error}") from error


#: Codes of a submit that was surely not accepted and may be tried again.
_NOT_ACCEPTED_TRY_AGAIN = {429, 503}


def refusal_by_status(answer: Answer, text: str) -> Refused | None:
    """The common reading of a submit's HTTP code."""
    status = answer.status
    words = f"HTTP {status}: {text}" if text else f"HTTP {status}"
    if 200 <= status < 300:
        return None
    if status in _NOT_ACCEPTED_TRY_AGAIN:
        return Refused(FailureCode.REJECTED, words, again=True, after_seconds=answer.retry_after_seconds)
    if status in (401, 403):
        return Refused(FailureCode.UNAUTHORIZED, words)
    if status in (307, 308):
        return Refused(FailureCode.REJECTED, f"HTTP {status}: the provider redirects this address; correct the base URL")
    if 400 <= status < 500 and status not in (408, 409, 425, 499):
        return Refused(FailureCode.REJECTED, words)
    raise SubmissionUnknownError(f"the provider answered {words}; the job may have been accepted")


def poll_trouble(answer: Answer) -> None:
    """Raise for the codes that say nothing about the job; 2xx and 404 pass, the body decides."""
    status = answer.status
    if 200 <= status < 300 or status == 404:
        return
    if status in (401, 403):
        raise AccountRefusedError(f"the provider refuses the key: HTTP {status}")
    raise PollFailedError(f"HTTP {status}", after_seconds=answer.retry_after_seconds)


def error_text(answer: Answer, names: tuple[str, ...]) -> str:
    """The first of the fields `names` that says something, as text of at most 500 characters."""
    try:
        body = answer.json()
    except UnreadableAnswerError:
        return f"{answer.headers.get('content-type', 'unknown')} body of {len(answer.body)} bytes"
    if isinstance(body, dict):
        for name in names:
            if text := as_text(body.get(name)):
                return text
    return ""


def as_text(value: Any) -> str:
    """Strings, lists and objects of error texts as one short line."""
    if value is None or value == "" or value is False:
        return ""
    if isinstance(value, str):
        return value.strip()[:500]
    if isinstance(value, dict):
        return "; ".join(f"{key}: {as_text(entry)}" for key, entry in value.items() if as_text(entry))[:500]
    if isinstance(value, list | tuple):
        return "; ".join(text for text in map(as_text, value) if text)[:500]
    return str(value)[:500]
