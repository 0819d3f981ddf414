"""The callbacks that are owed: a clock per account on which each job's end stands until its receiver has it.

The script that ends a job puts it there (`conclude` in `include/ending.lua`), so that no end can be lost. A callback
sender that claims one and dies leaves it to the next. So it may be sent twice, always under the same webhook id.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple

from bide.ledger import scripts
from bide.ledger.executor import Executor
from bide.ledger.keys import prefix
from bide.ledger.packing import Packer
from bide.ledger.records import AccountName, Record

#: Clock of the callbacks that are owed, and list of those that were given up.
OWED, UNDELIVERED = "callbacks", "undelivered"


class Outcome(StrEnum):
    """The outcome of one attempt."""

    DELIVERED = "delivered"
    AGAIN = "again"
    FAILED = "failed"


@dataclass(frozen=True)
class Owed:
    """One callback, claimed: the end number `number` of its job, tried `tries` times in `age_seconds`.

    `host` is its receiver's, where it was put off before; else ''.
    """

    account: AccountName
    job_id: str
    number: int
    tries: int
    age_seconds: float
    host: str = field(default="", repr=False)


@dataclass(frozen=True)
class Callback:
    """One callback as operators see it."""

    account: AccountName
    job_id: str
    #: False while it is still tried; `at` is then the next time, else when it was given up.
    failed: bool
    at: datetime
    state: str
    tries: int
    #: What came of the last attempt, without the receiver's address.
    note: str = field(default="")


class Entry(NamedTuple):
    """A callback on its clock or list, before its record is read."""

    job_id: str
    failed: bool
    at: float


class CallbackScripts:
    """Claims, records and lists callbacks; each method raises `LedgerAwayError` when Redis stays away."""

    def __init__(self, executor: Executor, packer: Packer) -> None:
        self._executor, self._packer = executor, packer

    def due(self, account: AccountName) -> bool:
        """Whether any callback of the account is to be sent now."""
        seconds = self.due_in(account)
        return seconds is not None and seconds <= 0

    def due_in(self, account: AccountName) -> float | None:
        """The time until the account's next callback is to be sent [seconds]; None where none is owed."""
        first = self._executor.reach(lambda server: server.zrange(prefix(account) + OWED, 0, 0, withscores=True))
        return float(first[0][1]) - self._executor.now() if first else None

    def claim(self, account: AccountName, *, most: int, seconds: float) -> list[Owed]:
        """Claim callbacks that are due; a callback without an outcome within `seconds` is due again."""
        reply = self._executor.run(account, scripts.callbacks.Claim(most=most, claim_seconds=seconds))
        return [Owed(account, one[0], int(one[1]), int(one[2]), float(one[3]), one[4]) for one in reply]

    def postpone(self, account: AccountName, waiting: Sequence[tuple[Owed, float]]) -> None:
        """Give back callbacks that were claimed and not tried; each is due again after its seconds."""
        each = [scripts.callbacks.Waiting(owed.job_id, owed.host, seconds) for owed, seconds in waiting]
        self._executor.run(account, scripts.callbacks.Postpone(waiting=each))

    def tried(self, owed: Owed, outcome: Outcome, *, seconds: float = 0.0, note: str = "") -> None:
        """Record the outcome of an attempt; `seconds`: the time until the next one (AGAIN)."""
        script = scripts.callbacks.Tried(
            id=owed.job_id,
            number_of_end=str(owed.number),
            outcome=outcome.value,
            seconds=seconds,
            note=note[:200],
        )
        self._packer.pack(owed.account, owed.job_id, self._executor.run(owed.account, script))

    def replay(self, account: AccountName, job_id: str) -> bool:
        """Have the callback of a job's last end sent anew. False: the job has no end, or asked for no callback."""
        script = scripts.callbacks.Replay(id=job_id)
        return bool(self._executor.run(account, script))

    def unfinished(self, account: AccountName, *, most: int = 1000) -> list[Callback]:
        """The callbacks that failed, oldest first, then those that are still tried, next first."""
        entries = [*self._entries(account, UNDELIVERED, most), *self._entries(account, OWED, most)]
        pipeline = self._executor.pipeline()
        for entry in entries:
            pipeline.hmget(f"{prefix(account)}job:{entry.job_id}", "state", "callback_tries", "callback_note")
        records = self._executor.execute(pipeline) if entries else []
        return [_callback(account, entry, *fields) for entry, fields in zip(entries, records, strict=True) if fields[0]]

    def _entries(self, account: AccountName, name: str, most: int) -> Iterable[Entry]:
        found = self._executor.reach(lambda server: server.zrange(prefix(account) + name, 0, most - 1, withscores=True))
        return [Entry(job_id, name == UNDELIVERED, at) for job_id, at in found]


def webhook_id(record: Record, number: int) -> str:
    """The id of a job's end in the headers of its callback: one for all attempts, another for the next end."""
    text = f"{record.account}:{record.job_id}:{record.text('created')}:{number}"
    return f"msg_{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def _callback(account: AccountName, entry: Entry, state: str, tries: str | None, note: str | None) -> Callback:
    at = datetime.fromtimestamp(entry.at, UTC)
    return Callback(account, entry.job_id, entry.failed, at, state, int(tries or 0), note or "")
