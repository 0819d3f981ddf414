"""The values that go into the ledger and come out of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum, StrEnum
from functools import cached_property
from itertools import accumulate
from typing import Any, NamedTuple, Self

from bide.contract import Failure, GenerateRequest, JobState, MadeBy, Tried
from bide.ledger.moves import Move, read_moves, shortened
from bide.ledger.words import ids_in
from bide.providers.base import MAX_FALLBACKS, Cost, Media, Progress, Ticket

#: Version of the record's layout, written into every record and checked when one is read.
RECORD_VERSION = "1"

#: The most that the addresses of one result take in a record [bytes]; a provider may name 100,000.
MAX_ADDRESSES_BYTES = 256 * 1024


class AccountName(NamedTuple):
    """One provider account; its string is `provider/account`."""

    provider: str
    account: str

    def __str__(self) -> str:
        return f"{self.provider}/{self.account}"

    @classmethod
    def of(cls, request: GenerateRequest) -> Self:
        return cls(request.provider, request.account)

    @classmethod
    def parse(cls, text: str) -> Self:
        return cls(*text.split("/", 1))


@dataclass(frozen=True)
class Limits:
    """What one account may do at once and per second; a rate of 0 means unlimited."""

    max_in_flight: int = 100
    submits_per_second: float = 0.0
    polls_per_second: float = 0.0
    #: What each tenant may take of it, as `bide.ledger.tenants.caps_text` writes it.
    tenant_caps: str = ""


@dataclass(frozen=True)
class Timing:
    """The times after which the ledger acts [seconds], and whether it packs."""

    lease_seconds: float = 10.0
    hint_seconds: float = 15.0
    claim_seconds: float = 10.0
    retention_seconds: int = 7 * 24 * 3600
    longest_block_seconds: float = 60.0
    most_crashes: int = 3
    #: Whether finished records are packed.
    packs: bool = False


class Verb(StrEnum):
    """The step that a message for a job leads to."""

    SUBMIT = "submit"
    STORE = "store"
    ANSWER = "answer"
    WAIT = "wait"  # in line
    STALE = "stale"  # another worker has the job
    FOLLOW = "follow"  # another job's result is this caller's too
    OPENED = "opened"  # recorded, no step taken
    CONFLICT = "conflict"  # the id or the idempotency key belongs to another request
    MOVED = "moved"  # the job goes on at a fallback: another account has it
    MISSING = "missing"  # no record, and no request to open one
    VERSION = "version"  # written by a version of bide that this one does not understand


class Concluded(Enum):
    """The outcome of `conclude`; true only where the job has ended as it was to end."""

    NOT_OURS = 0  # another worker's to end
    ENDED = 1
    AGAIN = 2  # it may have been accepted, and is in line to be submitted again, as its request allows
    UNCONFIRMED = 3  # it was to fail, and is unconfirmed: an earlier submit of it may have been accepted
    BOUGHT = 4  # an earlier submit of it is known to have been accepted: it is polled
    CANCELED = 5  # it was to fail, and was canceled while it was submitted: it is canceled, and was not bought
    SETTLING = 6  # it may have been accepted, and a promise of its provider settles that
    MOVED = 7  # it was to fail, and goes on at its next fallback

    def __bool__(self) -> bool:
        return self is Concluded.ENDED


@dataclass(frozen=True)
class Hint:
    """A message to send: its job and queue. `signature` is that of the caller's task, '' where it is not known."""

    account: AccountName
    job_id: str
    queue: str
    signature: str = field(default="", repr=False)
    countdown_seconds: float = 0.0


@dataclass(frozen=True)
class Round:
    """A polling round to schedule."""

    account: AccountName
    seq: int
    countdown_seconds: float


@dataclass(frozen=True)
class Messages:
    """The messages that a script asks for; a lost one does no harm, since the sweeper asks again."""

    hints: tuple[Hint, ...] = ()
    round: Round | None = None
    #: The account whose callbacks are due.
    callbacks: AccountName | None = None
    #: Not to send: the provider accepted a job that had gone on at a fallback, and may charge for it, too.
    bought_after_leaving: bool = False

    def __add__(self, later: Messages) -> Messages:
        """Those of two scripts."""
        return Messages(
            self.hints + later.hints,
            later.round or self.round,
            later.callbacks or self.callbacks,
            self.bought_after_leaving or later.bought_after_leaving,
        )


@dataclass(frozen=True)
class BoughtWith:
    """What a job is bought with: later calls go to the same address, with what its adapter kept of the answer."""

    #: '' each in the records of earlier releases of bide: those jobs go on by the settings.
    base_url: str = ""
    #: Name and version, with a blank between.
    adapter: str = ""
    #: The adapter's handle of the job as JSON, '' for none.
    handle: str = field(default="", repr=False)
    #: What the provider says that it costs, as the record has it; '' where it does not say.
    cost: str = ""

    def ticket(self, operation: str, provider_job_id: str, *, cursor: str = "", seen: bool = False) -> Ticket:
        """What the adapter needs for a later call."""
        handle = json.loads(self.handle) if self.handle else None
        return Ticket(operation, provider_job_id, cursor, seen, handle, self.adapter.rpartition(" ")[2])


#: How a note begins that says what is missing of a stored result, or could not be checked.
LEFT_OUT, UNCHECKED = "the provider named", "not checked:"


@dataclass(frozen=True)
class Record:
    """A job's record as read: strings in Redis, values here."""

    job_id: str
    account: AccountName
    fields: Mapping[str, str] = field(repr=False)
    request_json: str = field(default="", repr=False)
    #: The last polls, as `polled.lua` writes them; '' in a record that is not packed.
    poll_log: str = field(default="", repr=False)

    @property
    def state(self) -> JobState:
        return JobState(self.fields["state"])

    @property
    def following(self) -> str | None:
        return self.fields.get("leader") if self.fields["state"] == "following" else None

    def number(self, name: str) -> float:
        return float(self.fields.get(name) or 0)

    @property
    def in_doubt(self) -> bool:
        """Whether submits under the job's key may have been accepted."""
        return self.number("doubted") > 0

    @property
    def settling(self) -> bool:
        """Whether bide finds out by itself what became of the job's submit."""
        return self.fields["state"] == "submitting" and self.in_doubt

    @property
    def other_ids(self) -> list[str]:
        """The provider's ids of purchases of this job besides the one that counts."""
        return ids_in(self.text("other_pid"))

    def text(self, name: str) -> str:
        return self.fields.get(name, "")

    @property
    def lane(self) -> str:
        """The name of its lane in the ledger, `OPERATION LANE`; '' for a job without one."""
        lane = self.text("lane")
        return f"{self.text('op')} {lane}" if lane else ""

    def moment(self, name: str) -> datetime | None:
        return datetime.fromtimestamp(self.number(name), UTC) if self.fields.get(name) else None

    @property
    def failure(self) -> Failure:
        """The failure that the job ended with, completed by the record's fields."""
        failure = Failure.model_validate_json(self.text("error"))
        known = {
            "job_id": self.job_id,
            "provider": self.account.provider,
            "provider_job_id": failure.provider_job_id or self.text("pid") or None,
        }
        return self.with_tried(failure.model_copy(update=known))

    @cached_property
    def asked(self) -> GenerateRequest:
        """The request as its caller made it, with all its fallbacks."""
        return GenerateRequest.model_validate_json(self.request_json)

    @cached_property
    def request(self) -> GenerateRequest:
        """The request as the job's account gets it: that of a fallback, where the job went on at one."""
        return self.asked.in_turn()[int(self.number("fallback"))]

    @property
    def next_account(self) -> AccountName | None:
        """Where the job goes on if this account surely does not make it; None where it ends here."""
        left = self.asked.in_turn()[int(self.number("fallback")) + 1 :] if self.request_json else ()
        return AccountName.of(left[0]) if left else None

    @property
    def fell_back(self) -> bool:
        """Whether the job went on at a fallback."""
        return self.number("fallback") > 0

    @property
    def moves(self) -> tuple[Move, ...]:
        """The accounts that the job has left, in their order."""
        return read_moves(self.text("tried"))

    @property
    def tried(self) -> tuple[Tried, ...]:
        """The accounts that the job has left, for its caller."""
        return tuple(move.tried for move in self.moves)

    @property
    def made_by(self) -> MadeBy:
        """The account that has the job, for its caller."""
        return MadeBy(provider=self.account.provider, operation=self.text("op"), account=self.account.account)

    def with_tried(self, failure: Failure) -> Failure:
        """A failure with all accounts that were tried; as it is for a job that went on at no fallback."""
        if not self.fell_back:
            return failure
        last = Tried(
            **self.made_by.model_dump(),
            code=failure.code.value,
            message=shortened(failure.message),
            cost=self.cost.to_wire() if self.cost else None,
        )
        return failure.model_copy(update={"tried": (*self.tried, last)})

    @property
    def stored(self) -> tuple[str, ...]:
        """The addresses of the job's objects, `s3://bucket/key`; () where it has not succeeded."""
        return stored_in(self.text("result"))

    @property
    def partial(self) -> str:
        """What the provider left out of the result, as far as it says so: '' for most."""
        if result := self.text("result"):
            return str(json.loads(result).get("partial", ""))
        return self.text("partial")

    @property
    def remark(self) -> str:
        """What there is to say of a result that was stored: '' for most, whose note is an earlier one."""
        return note if (note := self.text("note")).startswith((LEFT_OUT, UNCHECKED)) else ""

    @property
    def progress(self) -> Progress | None:
        """How far the provider says that a running job is; None where it does not say."""
        return Progress.from_text(self.text("progress")) if self.state is JobState.RUNNING else None

    @property
    def cost(self) -> Cost | None:
        """What the provider says that the job costs; None where it does not say."""
        return Cost.from_text(self.text("cost"))

    @property
    def ticket(self) -> Ticket:
        """What the adapter needs to ask about a job that the provider has."""
        bought_with = BoughtWith(self.text("base_url"), self.text("adapter"), self.text("handle"))
        return bought_with.ticket(self.text("op"), self.text("pid"), cursor=self.text("cursor"), seen=True)

    @property
    def outputs(self) -> tuple[Media, ...]:
        """The recorded addresses of results; () where the provider must be asked again."""
        return decode_media(self.text("outputs"))


def stored_in(result: str) -> tuple[str, ...]:
    """The addresses of the objects of a result, the JSON of a `JobResult`; () for none."""
    return tuple(output["uri"] for output in json.loads(result or "{}").get("outputs", ()))


@dataclass(frozen=True)
class Step:
    """The step that a message leads to, and the record for it (for SUBMIT, STORE and ANSWER)."""

    verb: Verb
    record: Record | None = None
    #: The job whose result is awaited (FOLLOW), or which owns the key (CONFLICT).
    other: str = ""
    #: The ledger's time, to compare with the record's times [seconds since the epoch].
    now: float = 0.0
    round: Round | None = None
    #: The account that has the job; None where that is the one that was asked.
    account: AccountName | None = None
    #: The caller's message as the ledger keeps it; '' where it keeps nothing of it, None where no answer may follow.
    signature: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Repair:
    """One repair of the sweeper; `job_id` is '' where it concerns the whole account."""

    job_id: str
    what: str


def encode_media(outputs: tuple[Media, ...], *, can_ask: bool = True) -> str:
    """Addresses for the record; '' where the result must be asked for again, since it has no place in Redis.

    Inline results have no place in Redis, nor have addresses of more than `MAX_ADDRESSES_BYTES`. Where the provider
    can't be asked (not `can_ask`), the first of these are recorded, one at least.
    """
    if any(media.content for media in outputs):
        return ""
    addresses = ([media.role, media.url, *media.fallback_urls[:MAX_FALLBACKS]] for media in outputs)
    entries = [json.dumps(each, separators=(",", ":")) for each in addresses]
    fitting = sum(size <= MAX_ADDRESSES_BYTES for size in accumulate(len(entry) + 1 for entry in entries))
    if fitting < len(entries) and can_ask:
        return ""
    return f"[{','.join(entries[: max(fitting, 1)])}]"


def decode_media(text: str) -> tuple[Media, ...]:
    """Addresses out of the record: the reverse of `encode_media`."""
    entries: list[list[Any]] = json.loads(text) if text else []
    return tuple(Media(role=role, url=url, fallback_urls=tuple(fallbacks)) for role, url, *fallbacks in entries)
