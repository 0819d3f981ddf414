"""Delivers callbacks, in a thread of its own: no step and no answer ever waits for somebody else's server."""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

from bide.backoff import PollPlan, retry_after_seconds
from bide.callbacks import Letter, letter_of
from bide.errors import BadMediaError, BideError, LedgerAwayError, NotDeliveredError
from bide.guard import check_url
from bide.ledger import AccountName
from bide.ledger.callbacks import Outcome, Owed
from config.sections import CallbackSettings

if TYPE_CHECKING:
    from workers.toolbox import Toolbox

log = structlog.get_logger()

#: How many callbacks one process has under way at once.
MOST_AT_ONCE = 64

#: When a callback is tried again: 5, 10, 20 seconds and so on, at last every hour.
PLAN = PollPlan(first_seconds=5.0, factor=2.0, cap_seconds=3600.0)

#: How much longer than its time-out a callback stays claimed [seconds].
CLAIM_MARGIN_SECONDS = 30.0


@dataclass(frozen=True)
class Tried:
    """One attempt, made: what came of it, what to note, and the receiver's wish for the next."""

    owed: Owed
    outcome: Outcome
    note: str = ""
    after_seconds: float | None = None
    duration_seconds: float = 0.0


class Courier:
    """`look` may be called from any thread and returns at once; a callback under way at the end is sent again later."""

    def __init__(self, tools: Toolbox) -> None:
        self._tools, self._told = tools, tools.settings.callbacks
        self._inbox: queue.SimpleQueue[AccountName | Tried | None] = queue.SimpleQueue()
        self._under_way = 0
        self._more: set[AccountName] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def look(self, account: AccountName) -> None:
        """Have the account's due callbacks delivered."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="courier", daemon=True)
                self._thread.start()
        self._inbox.put(account)

    def stop(self) -> None:
        """Take no more callbacks."""
        self._inbox.put(None)
        if self._thread is not None:
            self._thread.join(timeout=5)

    def _run(self) -> None:
        while (item := self._inbox.get()) is not None:
            try:
                self._handle(item)
            except LedgerAwayError as error:
                log.warning("callback.ledger_away", reason=str(error))
            except Exception:
                log.exception("callback.broke")  # its claim runs out, and the sweeper has it looked at again

    def _handle(self, item: AccountName | Tried) -> None:
        if isinstance(item, AccountName):
            self._take(item)
            return
        self._under_way -= 1
        self._record(item)
        for account in sorted(self._more):
            self._take(account)

    def _take(self, account: AccountName) -> None:
        """Claim what there is room for, and send it; the rest is looked at when an attempt has ended."""
        room = MOST_AT_ONCE - self._under_way
        seconds = self._told.timeout_seconds + CLAIM_MARGIN_SECONDS
        claimed = self._tools.callbacks.claim(account, most=room, seconds=seconds) if room else []
        (self._more.add if len(claimed) == room else self._more.discard)(account)
        for owed in claimed:
            self._start(owed)

    def _start(self, owed: Owed) -> None:
        record = self._tools.ledger.read(owed.account, owed.job_id)
        try:
            letter = letter_of(record, owed.number) if record else None
        except ValueError:
            log.exception("callback.unreadable", job_id=owed.job_id)
            self._record(Tried(owed, Outcome.FAILED, "the job's record can't be read"))
            return
        if letter is None:
            self._tools.callbacks.tried(owed, Outcome.DELIVERED)  # there is nothing, or by now something else, to tell
            return
        self._under_way += 1
        sent = self._tools.reactor.start(self._send(owed, letter))
        sent.add_done_callback(lambda done: self._inbox.put(done.result()))

    async def _send(self, owed: Owed, letter: Letter) -> Tried:
        """One attempt; never raises."""
        began = time.monotonic()
        tried = await self._outcome(owed, letter)
        return replace(tried, duration_seconds=time.monotonic() - began)

    async def _outcome(self, owed: Owed, letter: Letter) -> Tried:
        try:
            return await self._post(owed, letter)
        except BideError as error:
            wish = error.after_seconds if isinstance(error, NotDeliveredError) else None
            return Tried(owed, Outcome.AGAIN, str(error), wish)
        except Exception as error:
            log.exception("callback.not_sent", job_id=owed.job_id)
            return Tried(owed, Outcome.AGAIN, type(error).__name__)

    async def _post(self, owed: Owed, letter: Letter) -> Tried:
        secrets = secrets_of(self._told)
        if not secrets:
            raise NotDeliveredError("can't be signed: BIDE_CALLBACKS__SECRET is not set")
        try:
            target = check_url(letter.url, allowed_hosts=self._told.allowed_hosts)
            headers = letter.headers(secrets, now=datetime.now(UTC))
            answer = await self._tools.http.post(
                target.url,
                letter.body.encode(),
                headers=headers,
                guarded=target.guarded,
                total_seconds=self._told.timeout_seconds,
            )
        except BadMediaError as error:
            raise NotDeliveredError(refused_address(error)) from None
        if 200 <= answer.status < 300:
            return Tried(owed, Outcome.DELIVERED)
        gone = answer.status == 410  # by the standard: this receiver wants no more
        wish = retry_after_seconds(answer.headers.get("retry-after"))
        return Tried(owed, Outcome.FAILED if gone else Outcome.AGAIN, f"HTTP {answer.status}", wish)

    def _record(self, tried: Tried) -> None:
        owed, outcome = tried.owed, tried.outcome
        pause = _pause(owed.tries, tried.after_seconds)
        if outcome is Outcome.AGAIN and owed.age_seconds + pause > self._told.give_up_seconds:
            outcome = Outcome.FAILED
        self._tools.callbacks.tried(owed, outcome, seconds=pause, note=tried.note)
        facts = {
            "job_id": owed.job_id,
            "account": str(owed.account),
            "outcome": outcome.value,
            "attempt": owed.tries + 1,
            "age_seconds": round(owed.age_seconds, 3),
            "duration_seconds": round(tried.duration_seconds, 4),
            "reason": tried.note,
        }
        if outcome is Outcome.FAILED:
            log.warning("callback.attempt", **facts)
        else:
            log.info("callback.attempt", **facts)


def _pause(tries: int, wish_seconds: float | None) -> float:
    """How long to wait after the attempt that follows `tries` others; the receiver's wish may make it longer."""
    if tries == 0 and wish_seconds is None:
        return PLAN.first()
    return PLAN.after(tries, retry_after_seconds=wish_seconds)


def secrets_of(told: CallbackSettings) -> list[str]:
    """What callbacks are signed with, the current secret first; none where it is not set."""
    if told.secret is None:
        return []
    return [secret.get_secret_value() for secret in (told.secret, told.previous_secret) if secret is not None]


def refused_address(error: BadMediaError) -> str:
    """Why a callback's address may not be called, and what to set if it is meant."""
    reason = str(error).partition(";")[0]
    return f"callback_url: {reason}; list its host in BIDE_CALLBACKS__ALLOWED_HOSTS if callbacks may go there"
