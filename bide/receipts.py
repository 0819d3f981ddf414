"""Receipts: what was bought, as objects of the bucket, so that a lost ledger is not a lost purchase.

A receipt of an intent goes to the bucket before its request leaves; what became of the submit follows. One object holds
the receipts that a process wrote together. Receipts of one job are found again by job, account, ledger and attempt.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from bide.bulk.objects import keys, remove
from bide.errors import StorageError
from bide.ledger import Record
from bide.storage import Storage
from bide.wire import Wire

#: What the objects begin with that hold receipts.
PREFIX = "bide-receipts/"

#: How many days longer than records receipts are needed: the longest deadline, and a week for an operator to look.
MARGIN_DAYS = 14

#: The largest of these objects that is read [bytes]; a writer ends one at a fraction of that.
MAX_BYTES = 64 * 1024 * 1024

#: The fields of a record that no receipt has. They belong to the processes that had the job, or to its bulk run: a
#: row is a job of its own once the run is lost.
LEFT_OUT = frozenset(
    (
        *("state", "token", "queue", "hints", "crashes", "tries", "parked", "over_budget", "place", "note"),
        *("settling", "settle_tries", "callback_owed", "callback_tries", "callback_host", "callback_note"),
        *("run", "collected", "by_client"),
    )
)


class Attempt(Wire):
    """What names one submit: a job's attempt at an account, as one ledger counts them."""

    #: The id of the ledger.
    ledger: str
    job_id: str
    #: `provider/account`.
    account: str
    attempt: int
    #: When the receipt was made [seconds since the epoch].
    at: float


class Intent(Attempt):
    """A submit is about to be sent."""

    kind: Literal["intent"] = "intent"
    #: The job's record as it stood then: its fields, by the names of the ledger.
    record: dict[str, str] = Field(repr=False)
    #: The request as JSON, and what the ledger keeps of the caller's message.
    request: str = Field(repr=False)
    signature: str = Field("", repr=False)


class Accepted(Attempt):
    """The provider accepted a submit."""

    kind: Literal["accepted"] = "accepted"
    #: '' where the provider gave none, since its answer held the result.
    provider_job_id: str
    handle: str = Field("", repr=False)
    base_url: str = ""
    adapter: str = ""
    cost: str = ""
    #: Of a job that was done at once: the addresses of its result, as the ledger has them, or `ask`.
    outputs: str = Field("", repr=False)
    partial: str = ""


class NotAccepted(Attempt):
    """A submit was surely not accepted, or was never sent."""

    kind: Literal["not_accepted"] = "not_accepted"


class Ended(Wire):
    """A job has ended, and its caller knows it. What succeeded has its `job.json`, for as long as that is kept."""

    kind: Literal["ended"] = "ended"
    job_id: str
    account: str
    at: float
    state: Literal["succeeded", "failed", "canceled"]
    #: `contract.Failure` as JSON, '' of a job that succeeded.
    error: str = Field("", repr=False)
    #: When its record was created, as the record says it; '' where it is not known.
    created: str = ""


Receipt = Annotated[Intent | Accepted | NotAccepted | Ended, Field(discriminator="kind")]


_RECEIPT: TypeAdapter[Receipt] = TypeAdapter(Receipt)


class Receipts(Wire):
    """One object of the bucket: the receipts that a process wrote together."""

    version: Literal[1] = 1
    receipts: tuple[Receipt, ...] = Field(strict=False)


def needed_days(retention_days: int) -> int:
    """For how long a receipt is needed of a ledger that keeps finished records for `retention_days`."""
    return retention_days + MARGIN_DAYS


def folder(ledger_key: str) -> str:
    """Where the receipts of the ledger of an address lie; `ledger_key` is that of its id (`KnownLedger.key`)."""
    return f"{PREFIX}{ledger_key.rpartition('/')[2].removesuffix('.json')}/"


def object_key(where: str, moment: datetime) -> str:
    """A key that no other object has: by day (UTC), so that a rule of the store may remove old ones."""
    return f"{where}{moment:%Y/%m/%d/%H%M%S}-{uuid.uuid4().hex}.json"


def to_json(receipts: Iterable[Receipt]) -> bytes:
    """The content of an object."""
    return Receipts(receipts=tuple(receipts)).model_dump_json().encode()


def write_attached(storage: Storage, where: str, record: Record, provider_job_id: str, *, ledger_id: str) -> None:
    """Have the bucket know the id by which an operator has attached the last submit of a job; raises `StorageError`."""
    receipt = Accepted(
        ledger=ledger_id,
        job_id=record.job_id,
        account=str(record.account),
        attempt=int(record.number("submits")),
        at=time.time(),
        provider_job_id=provider_job_id,
        base_url=record.text("base_url"),
        adapter=record.text("adapter"),
    )
    storage.put(object_key(where, datetime.now(UTC)), to_json([receipt]), content_type="application/json")


def days(since: datetime, until: datetime) -> Iterator[date]:
    """The days (UTC) of a time; a clock that is a little ahead counts."""
    for number in range((until.date() - since.date()).days + 2):
        yield since.date() + timedelta(days=number)


@dataclass(frozen=True)
class Unreadable:
    """A receipt, or a whole object, that can't be read; the job is '' where that is not known."""

    where: str
    why: str
    job_id: str = ""
    account: str = ""

    def __str__(self) -> str:
        return f"{self.where}: the receipt of job {self.job_id}" if self.job_id else self.where


def read(storage: Storage, where: str, *, since: datetime) -> Iterator[Receipt | Unreadable]:
    """All receipts since a moment, object by object; what can't be read stands in its place.

    Raises `StorageError`, but for an object that the store refuses while it gives others.
    """
    for day in days(since, datetime.now(UTC)):
        for key in keys(storage, f"{where}{day:%Y/%m/%d}/"):
            yield from _read_object(storage, storage.uri(key))


def _read_object(storage: Storage, uri: str) -> Iterator[Receipt | Unreadable]:
    try:
        content = storage.get(uri, max_bytes=MAX_BYTES)
        yield from Receipts.model_validate_json(content).receipts
    except StorageError as error:
        if not error.permanent:
            raise
        yield Unreadable(uri, str(error))
    except ValidationError:
        yield from _one_by_one(content, uri)


def _one_by_one(content: bytes, uri: str) -> Iterator[Receipt | Unreadable]:
    """The receipts of an object of which some can't be read: a later release may know more kinds."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        yield Unreadable(uri, "it is no JSON")
        return
    items = found.get("receipts") if isinstance(found, dict) else None
    if not isinstance(items, list):
        yield Unreadable(uri, "it holds no receipts")
        return
    known = found.get("version") == 1
    if not known:
        yield Unreadable(uri, "it is of another release of bide")
    for item in items:
        try:
            yield _RECEIPT.validate_python(item if known else None)
        except (ValidationError, RecursionError):
            yield _unreadable(item, uri)


def _unreadable(item: Any, uri: str) -> Unreadable:
    given = item if isinstance(item, dict) else {}
    names = {name: given[name] for name in ("job_id", "account") if isinstance(given.get(name), str)}
    return Unreadable(uri, f"a receipt of the kind {str(given.get('kind'))[:32]!r} has another form", **names)


def any_since(storage: Storage, where: str, *, since: datetime) -> bool:
    """Whether there are receipts since a moment; raises `StorageError`."""
    return any(keys(storage, f"{where}{day:%Y/%m/%d}/") for day in days(since, datetime.now(UTC)))


def remove_jobs(storage: Storage, job_ids: Collection[str], *, found: Iterable[str] | None = None) -> int:
    """Take the receipts of some jobs out of objects, by default out of all; returns how many. Raises `StorageError`.

    A ledger that is lost later knows nothing of these jobs. An object that can't be read stays as it is. Two processes
    must not do this at once: see `bide.bulk.lease.rewriting`.
    """
    removed = 0
    for key in keys(storage, PREFIX) if found is None else found:
        content = read_object(storage, key)
        if content is None:
            continue
        kept = [each for each in content if each.job_id not in job_ids]
        if kept and len(kept) < len(content):
            storage.put(key, to_json(kept), content_type="application/json")
        elif not kept:
            remove(storage, key)
        removed += len(content) - len(kept)
    return removed


def read_object(storage: Storage, key: str, version: str = "") -> tuple[Receipt, ...] | None:
    """The receipts of one object, or of a version of it; None where it can't be read. Raises `StorageError`."""
    named = {"version": version} if version else {}
    content = storage.get(storage.uri(key), max_bytes=MAX_BYTES, **named)
    try:
        return Receipts.model_validate_json(content).receipts
    except ValidationError:
        return None
