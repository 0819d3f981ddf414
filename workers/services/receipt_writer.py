"""Writes receipts of purchases into the bucket: together, what waits at the same time, as a group commit does.

A thread puts one object at a time. All receipts that come meanwhile go into the next one. A submit waits until the
receipt of its intent is there; what became of a submit follows without anybody waiting, and is tried until it is there.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import structlog

from bide.contract import Failure, FailureCode
from bide.errors import NoReceiptError, StorageError
from bide.ledger import AccountName, Ledger, Record
from bide.ledger.identity import read_state
from bide.ledger.records import BoughtWith
from bide.receipts import LEFT_OUT, Accepted, Ended, Intent, NotAccepted, Receipt, object_key, to_json
from bide.storage import Storage

log = structlog.get_logger()

#: The most receipts of one object, and the size at which it takes no more [bytes]: a request has 256 KiB at most.
MOST_RECEIPTS, FULL_BYTES = 1000, 4 * 1024 * 1024

#: Between two puts after one has failed, and between two log lines about it [seconds].
AGAIN_SECONDS, LOG_AGAIN_SECONDS = 1.0, 60.0

#: How long a receipt that nothing depends on yet waits for others to share their object [seconds].
LINGER_SECONDS = 60.0

#: How long a process that ends tries to write what nobody waits for [seconds].
LAST_SECONDS = 10.0


class NoReceipts:
    """Without `BIDE_LEDGER__RECEIPTS` nothing is written."""

    def begin(self, record: Record, attempt: int) -> None:
        """Have a receipt of an intent in the bucket; raises `NoReceiptError` where it is not there in time."""

    def accepted(
        self, record: Record, attempt: int, provider_job_id: str, bought_with: BoughtWith, *, outputs: str, partial: str
    ) -> None:
        """The provider accepted a submit. `outputs`: '' for none yet, else their addresses, or `ask`."""

    def not_accepted(self, record: Record, attempt: int) -> None:
        """A submit was surely not accepted, or not sent."""

    def ended(self, account: AccountName, failure: Failure, *, created: str = "") -> None:
        """A job has ended badly, and its caller knows it. `created`: when its record was, as that says it."""

    def succeeded(self, account: AccountName, job_id: str, *, created: str) -> None:
        """A job has succeeded, and its caller knows it."""

    def stop(self) -> None:
        """The process is stopping."""


@dataclass(eq=False)
class _Pending:
    """A receipt on its way. `waits`: nothing is sent before it is there, and where it fails nobody needs it."""

    receipt: Receipt
    waits: bool
    done: threading.Event = field(default_factory=threading.Event)
    failure: str = ""
    since: float = field(default_factory=time.monotonic)


class ReceiptWriter(NoReceipts):
    """Writes to a folder of the bucket (`bide.receipts.folder`); shared by all threads.

    `seconds`: how long a submit waits for its receipt.
    """

    def __init__(
        self, ledger: Ledger, storage: Callable[[], Storage], where: Callable[[], str], *, seconds: float
    ) -> None:
        self._ledger, self._open, self._where, self._seconds = ledger, storage, where, seconds
        self._pending: deque[_Pending] = deque()
        self._in_no_hurry: deque[_Pending] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._last_at = self._logged_at = 0.0
        self._thread: threading.Thread | None = None

    def begin(self, record: Record, attempt: int) -> None:
        kept = self._ledger.jobs.copy_of(record)
        if kept.fields.get("submits") != str(attempt):  # the ledger was lost just now: this receipt would say nothing
            raise NoReceiptError("the ledger has no record of the intent any more")
        fields = {name: value for name, value in kept.fields.items() if name not in LEFT_OUT}
        receipt = Intent(
            **self._attempt(record, attempt), record=fields, request=kept.request_json, signature=kept.signature
        )
        pending = self._add(receipt, waits=True)
        if not pending.done.wait(self._seconds):
            with self._changed:
                if pending in self._pending:
                    self._pending.remove(pending)
            raise NoReceiptError(f"the object store has not taken its receipt within {self._seconds:g} s")
        if pending.failure:
            raise NoReceiptError(f"the object store has not taken its receipt: {pending.failure}")

    def accepted(
        self, record: Record, attempt: int, provider_job_id: str, bought_with: BoughtWith, *, outputs: str, partial: str
    ) -> None:
        receipt = Accepted(
            **self._attempt(record, attempt),
            provider_job_id=provider_job_id,
            handle=bought_with.handle,
            base_url=bought_with.base_url,
            adapter=bought_with.adapter,
            cost=bought_with.cost,
            outputs=outputs,
            partial=partial,
        )
        self._add(receipt)

    def not_accepted(self, record: Record, attempt: int) -> None:
        if attempt > 0:
            self._add(NotAccepted(**self._attempt(record, attempt)))

    def ended(self, account: AccountName, failure: Failure, *, created: str = "") -> None:
        if failure.code is FailureCode.SUBMISSION_UNKNOWN:
            return
        self._add(
            Ended(
                job_id=failure.job_id,
                account=str(account),
                at=time.time(),
                state="canceled" if failure.code is FailureCode.CANCELED else "failed",
                error=failure.model_dump_json(),
                created=created,
            )
        )

    def succeeded(self, account: AccountName, job_id: str, *, created: str) -> None:
        """Written with what comes next: its `job.json` says the same, for as long as that is kept."""
        receipt = Ended(job_id=job_id, account=str(account), at=time.time(), state="succeeded", created=created)
        self._add(receipt, hurries=False)

    def stop(self) -> None:
        with self._changed:
            self._stopping, self._last_at = True, time.monotonic() + LAST_SECONDS
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout=LAST_SECONDS)

    def _attempt(self, record: Record, attempt: int) -> dict[str, Any]:
        return {
            "ledger": self._ledger.identity.expected or read_state(self._ledger.server).id,  # a command never looks
            "job_id": record.job_id,
            "account": str(record.account),
            "attempt": attempt,
            "at": time.time(),
        }

    def _add(self, receipt: Receipt, *, waits: bool = False, hurries: bool = True) -> _Pending:
        pending = _Pending(receipt, waits)
        with self._changed:
            (self._pending if hurries else self._in_no_hurry).append(pending)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="receipts", daemon=True)
                self._thread.start()
            self._changed.notify_all()
        return pending

    def _run(self) -> None:
        while batch := self._next_batch():
            failure = self._put([each.receipt for each in batch])
            for each in batch:
                each.failure = failure
                each.done.set()
            if failure:
                self._put_off([each for each in batch if not each.waits], failure)

    def _next_batch(self) -> list[_Pending]:
        """What waits now, as far as one object takes it; [] where the process ends, and nothing waits."""
        with self._changed:
            while not (self._pending or self._stopping or self._seconds_left() == 0):
                self._changed.wait(self._seconds_left())
            if self._stopping and time.monotonic() >= self._last_at:
                return []
            batch: list[_Pending] = []
            size_bytes = 0
            for waiting in (self._pending, self._in_no_hurry):
                while waiting and len(batch) < MOST_RECEIPTS and size_bytes < FULL_BYTES:
                    batch.append(waiting.popleft())
                    size_bytes += len(getattr(batch[-1].receipt, "request", "")) + 1000
            return batch

    def _seconds_left(self) -> float | None:
        """How long what is in no hurry may wait for others; None where there is nothing of that kind."""
        if not self._in_no_hurry:
            return None
        if len(self._in_no_hurry) >= MOST_RECEIPTS:
            return 0
        return max(0.0, self._in_no_hurry[0].since + LINGER_SECONDS - time.monotonic())

    def _put(self, receipts: list[Receipt]) -> str:
        """Why the bucket did not take them; '' where it did."""
        try:
            key = object_key(self._where(), datetime.now(UTC))
            self._open().put(key, to_json(receipts), content_type="application/json")
        except StorageError as error:
            return str(error)[:300]
        except Exception as error:  # whatever it is, nothing is bought without a receipt
            log.exception("receipts.broke")
            return f"writing it broke: {type(error).__name__}"
        return ""

    def _put_off(self, left: list[_Pending], failure: str) -> None:
        """What nobody waits for is tried again in a while; what waits next is not kept from its own try."""
        if time.monotonic() - self._logged_at >= LOG_AGAIN_SECONDS or not self._logged_at:
            self._logged_at = time.monotonic()
            log.warning("receipts.not_written", reason=failure, waiting=len(left))
        with self._changed:
            self._changed.wait_for(lambda: any(each.waits for each in self._pending), timeout=AGAIN_SECONDS)
            self._pending.extendleft(reversed(left))
