"""The wire: every name, request and result that another service may rely on.

Nothing here changes without a new name.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AwareDatetime,
    BeforeValidator,
    Field,
    JsonValue,
    StringConstraints,
    ValidationError,
)

from bide.errors import InvalidRequestError
from bide.fallback import MOST_FALLBACKS, Fallback, check_accounts, listed
from bide.validation import readable, redacted
from bide.wire import Name, Wire

GENERATE_TASK = "bide.generate"
POLL_TASK = "bide.poll"
CANCEL_TASK = "bide.cancel"
NOTIFY_TASK = "bide.notify"
BULK_TASK = "bide.bulk"

SUBMIT_QUEUE = "bide.submit"
POLL_QUEUE = "bide.poll"
STORE_QUEUE = "bide.store"
CONTROL_QUEUE = "bide.control"
QUEUES = (SUBMIT_QUEUE, POLL_QUEUE, STORE_QUEUE, CONTROL_QUEUE)

#: A header that a worker gives to a message in whose JSON an object has a name twice: its request is refused.
REPEATED_NAME_HEADER = "bide_repeated_name"

#: The largest request, as JSON, that a queue takes [bytes]; larger inputs go to object storage first.
MAX_REQUEST_BYTES = 256 * 1024

#: The longest a caller may give one job [seconds]: 7 days.
MAX_DEADLINE_SECONDS = 7 * 24 * 3600

#: The longest that a request may have its objects kept, unless for ever: ten years [days].
MAX_RETENTION_DAYS = 3650

#: The form of the names of providers, operations, accounts and tenants.
NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
#: The form of a job id, which becomes part of object keys and Redis keys.
JOB_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.:-]{0,127}")

#: First parts of keys that are bide's own: of doctor, of the ledger's id, of receipts, of reports of erasures, of runs,
#: statements and uploaded inputs.
RESERVED_PREFIXES = ("bide-doctor", "bide-ledger", "bide-receipts", "erasures", "runs", "statements", "uploads")

#: Finds a prefix that begins with one of these, or that goes on behind the key of a job's object. A store that keeps
#: objects as files can't have a folder of that name.
_RESERVED = (
    rf"^({'|'.join(RESERVED_PREFIXES)})(/|$)"
    r"|(^|/)\d{4}/\d\d/\d\d/[^/]+/(job\.json|\d+\.\w+|inputs/\w+\.\w+)(/|$)"
)

Prefix = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_=-][A-Za-z0-9._=-]*(/[A-Za-z0-9_=-][A-Za-z0-9._=-]*)*$", max_length=200),
    Field(json_schema_extra={"not": {"pattern": _RESERVED}}),
]


class JobState(StrEnum):
    """Where a job stands; the last three are final, `unconfirmed` waits for an operator."""

    QUEUED = "queued"
    SUBMITTING = "submitting"
    RUNNING = "running"
    STORING = "storing"
    UNCONFIRMED = "unconfirmed"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def final(self) -> bool:
        return self in FINAL_STATES


FINAL_STATES = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELED})


class FailureCode(StrEnum):
    """Why a job ended badly; the `code` of the message of `JobFailed`."""

    INVALID_REQUEST = "invalid_request"
    REJECTED = "rejected"
    UNAUTHORIZED = "unauthorized"
    GENERATION_FAILED = "generation_failed"
    MODERATED = "moderated"
    DEADLINE = "deadline"
    LOST = "lost"
    EMPTY_RESULT = "empty_result"
    BAD_MEDIA = "bad_media"
    STORAGE = "storage"
    SUBMISSION_UNKNOWN = "submission_unknown"
    CANCELED = "canceled"
    CRASHED = "crashed"
    PROTOCOL = "protocol"
    OVER_BUDGET = "over_budget"


class FailureCause(StrEnum):
    """Why a provider made nothing, as far as it says so."""

    MODERATED = "moderated"
    BAD_INPUT = "bad_input"
    CAPACITY = "capacity"
    PROVIDER = "provider"
    EXPIRED = "expired"


class Charged(StrEnum):
    """Whether a provider charged for a job that failed."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


def _no_truth_value(value: object) -> object:
    """Refuse true and false where a number is read leniently: pydantic would take true for 1."""
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")  # noqa: TRY004 - the error that pydantic reports
    return value


def _is_none(value: object) -> bool:
    """Whether a field stays out of the JSON, where earlier releases would refuse it."""
    return value is None


def _is_empty(values: tuple[object, ...]) -> bool:
    """Whether a list stays out of the JSON, where earlier releases would refuse it."""
    return not values


class GenerateRequest(Wire):
    """The one argument of the task `bide.generate`."""

    provider: Name
    operation: Name
    params: dict[str, JsonValue] = Field(default_factory=dict)
    inputs: dict[str, str] = Field(default_factory=dict, repr=False)
    account: Name = "default"
    priority: Literal["interactive", "bulk"] = "interactive"
    idempotency_key: Annotated[str, StringConstraints(min_length=1, max_length=256)] | None = None
    deadline_seconds: (
        Annotated[float, Field(gt=0, le=MAX_DEADLINE_SECONDS, strict=False), BeforeValidator(_no_truth_value)] | None
    ) = None
    on_unknown: Literal["hold", "resubmit"] = "hold"
    #: Where the job goes on, in their order, each once the account before it has surely not made it.
    fallbacks: Annotated[tuple[Fallback, ...], BeforeValidator(listed)] = Field(
        default=(), max_length=MOST_FALLBACKS, strict=False, exclude_if=_is_empty
    )
    output_prefix: Prefix | None = None
    #: For whom the job is: tenants take turns in an account's line. Absent for a job of no tenant.
    tenant: Name | None = Field(default=None, exclude_if=_is_none)
    #: After so many days the store removes the job's objects; by default as the deployment says, else never.
    retention_days: Annotated[int, Field(ge=1, le=MAX_RETENTION_DAYS)] | None = Field(default=None, exclude_if=_is_none)
    callback_url: Annotated[str, StringConstraints(pattern=r"^https?://", max_length=2048)] | None = None
    metadata: dict[str, JsonValue] = Field(default_factory=dict)

    @classmethod
    def parse(cls, raw: object) -> Self:
        """Read a request as it came off the wire.

        Raises `InvalidRequestError`, which names each bad field and what would be right. It repeats no values, since
        they may be private.
        """
        if not isinstance(raw, dict):
            raise InvalidRequestError(f"request: must be a JSON object, not {type(raw).__name__}")
        try:
            request = cls.model_validate(raw)
        except ValidationError as error:
            known = {**cls.model_fields, **Fallback.model_fields}
            without_names = redacted(error, raw, known=known)
            raise InvalidRequestError(readable(error, raw, known=known), redacted=without_names) from None
        _check_json(raw)
        _check_prefix(request.output_prefix)
        check_accounts((request.provider, request.account), request.fallbacks)
        request.check_size()
        return request

    def check_size(self) -> None:
        """Raise `InvalidRequestError` for a request over `MAX_REQUEST_BYTES`, or nested too deeply to be read back."""
        try:
            text = self.to_json()
            self.model_validate_json(text)
        except ValueError:  # pydantic's own errors, of reading and of writing
            raise InvalidRequestError("request: is nested too deeply") from None
        size = len(text.encode())
        if size > MAX_REQUEST_BYTES:
            raise InvalidRequestError(
                f"request: {size} bytes is over the limit of {MAX_REQUEST_BYTES}; "
                "upload large inputs to object storage first and pass their s3:// address (bide.Client does that)"
            )

    def to_json(self) -> str:
        return self.model_dump_json(exclude_defaults=True)

    def in_turn(self) -> tuple[Self, ...]:
        """The request as each of its accounts gets it: its own one, then those of its fallbacks."""
        named = ("provider", "operation", "params", "account")
        changes = [{name: getattr(each, name) for name in named} for each in self.fallbacks]
        return (self, *(self.model_copy(update={**each, "fallbacks": ()}) for each in changes))

    def fingerprint(self) -> str:
        """A digest of the whole request: the same idempotency key must come with the same fingerprint."""
        canonical = json.dumps(
            self.model_dump(mode="json", exclude_defaults=True), sort_keys=True, separators=(",", ":")
        )
        return hashlib.sha256(canonical.encode()).hexdigest()[:32]


class Output(Wire):
    """One stored object of a job."""

    uri: str
    bucket: str
    key: str
    content_type: str
    size: int
    sha256: str
    width: int | None = None
    height: int | None = None
    role: str = "image"


#: A decimal number as text, so that it stays exact.
Amount = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,10}(\.[0-9]{1,18})?$")]


class JobCost(Wire):
    """What a job cost: as its provider says it, else by the price that was known before."""

    #: What is charged in all, less what was given back.
    amount: Amount
    #: A currency of ISO 4217, such as `USD`, or the provider's own unit, such as `credits`.
    unit: str
    #: What was expected before it was bought, in the same unit; absent where no price was known, or in another unit.
    reserved: Amount | None = Field(default=None, exclude_if=_is_none)
    #: Who says the amount: the provider, or who had the price. Where it is absent, the provider says it.
    source: Literal["provider", "settings", "file", "adapter"] | None = Field(default=None, exclude_if=_is_none)


class MadeBy(Wire):
    """The account that made a job which had fallbacks, and by which operation."""

    provider: str
    operation: str
    account: str


class Tried(Wire):
    """An account that a job with fallbacks was tried at, and why that did not make it."""

    provider: str
    operation: str
    account: str
    #: A `FailureCode`, or `not_submitted`: the account took no submit of it in time.
    code: str
    message: str
    #: Absent where the provider does not say it.
    cost: JobCost | None = Field(default=None, exclude_if=_is_none)


class JobResult(Wire):
    """What the task `bide.generate` returns, and what `job.json` holds."""

    job_id: str
    state: Literal[JobState.SUCCEEDED] = JobState.SUCCEEDED
    provider: str
    operation: str
    provider_job_id: str | None = None
    polls: int
    submitted_at: AwareDatetime | None = None
    finished_at: AwareDatetime
    outputs: tuple[Output, ...] = Field(strict=False)
    #: What a caller should know of a job that went well, such as params that bide does not know; left out where empty.
    warnings: tuple[str, ...] = Field(default=(), strict=False, exclude_if=_is_empty)
    #: Absent where the provider does not say it.
    cost: JobCost | None = Field(default=None, exclude_if=_is_none)
    #: What the provider left out of what was asked for, though the job went well; left out where it is nothing.
    partial: str = Field(default="", exclude_if=lambda partial: not partial)
    #: Who made it, and which accounts were tried before: of a job that went on at a fallback.
    made_by: MadeBy | None = Field(default=None, exclude_if=_is_none)
    tried: tuple[Tried, ...] = Field(default=(), strict=False, exclude_if=_is_empty)
    metadata: dict[str, JsonValue] = Field(default_factory=dict)  # last: Celery's events cut results off

    def to_wire(self) -> dict[str, Any]:
        return self.model_dump(mode="json")


class Failure(Wire):
    """How a job ended badly: the JSON message of `JobFailed`."""

    code: FailureCode
    message: str
    job_id: str
    provider: str | None = None
    provider_job_id: str | None = None
    retryable: bool = False
    #: Absent where the provider does not say; then it may have charged.
    cause: FailureCause | None = Field(default=None, exclude_if=_is_none)
    charged: Charged | None = Field(default=None, exclude_if=_is_none)
    #: All accounts of a job that went on at a fallback, the last one, whose failure this is, included.
    tried: tuple[Tried, ...] = Field(default=(), strict=False, exclude_if=_is_empty)


class CallbackEvent(Wire):
    """What is posted to a request's `callback_url` when its job ends, signed by the Standard Webhooks scheme.

    `data` is the job's result or its failure. `job.unconfirmed` (code `submission_unknown`) may be followed by another
    event of the same job, once an operator has settled it.
    """

    type: Literal["job.succeeded", "job.failed", "job.canceled", "job.unconfirmed"]
    #: When the job ended.
    timestamp: AwareDatetime
    #: The metadata of the request, so that a receiver can match a failure to it, too.
    metadata: dict[str, JsonValue] = Field(default_factory=dict)
    data: JobResult | Failure


def _check_json(raw: dict[Any, Any]) -> None:
    """Refuse NaN and half a surrogate pair: Python's reader takes them, but they could be neither stored nor sent."""
    try:
        json.dumps(raw, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, TypeError, RecursionError):
        raise InvalidRequestError("request: holds what JSON can't (NaN, infinity, half a surrogate pair)") from None


def _check_prefix(prefix: str | None) -> None:
    """Refuse a reserved prefix where a request enters. Where a record is read it passes, so that older jobs go on."""
    if prefix is not None and re.search(_RESERVED, prefix):
        raise InvalidRequestError(
            f"output_prefix: can't begin with {', '.join(RESERVED_PREFIXES)}, which bide keeps for itself, nor go on "
            "behind the key of a job's object; take another first part"
        )


def object_key(job_id: str, name: str, *, created_at: datetime, prefix: str | None) -> str:
    """The key of a job's object: `{prefix/}{yyyy}/{mm}/{dd}/{job_id}/{name}`, with the date (UTC) of its creation."""
    dated = f"{created_at:%Y/%m/%d}/{job_id}/{name}"
    return f"{prefix}/{dated}" if prefix else dated
