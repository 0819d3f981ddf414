"""Delivers callbacks, in a thread of its own: no step and no answer ever waits for a receiver."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import structlog

from bide.errors import BadMediaError, BideError, LedgerAwayError, NotDeliveredError
from bide.ledger import AccountName, Ledger
from bide.ledger.callbacks import Outcome, Owed
from bide.polling.backoff import PollPlan, retry_after_seconds
from bide.settings.sections import CallbackSettings
from bide.webhooks.outgoing import Delivery
from workers.io.callback_check import refused_address, signing_secrets
from workers.io.guard import check_url
from workers.io.http import HttpClient
from workers.services.deliveries import delivery_of
from workers.services.event_loop import EventLoop
from workers.services.receivers import SHORTEST_PAUSE_SECONDS, Place, Receivers, host_of

log = structlog.get_logger()

#: How many callbacks of one account are claimed together: those behind them come next.
PAGE = 64

#: When a callback is tried again: 5, 10, 20 seconds and so on, at last every hour.
PLAN = PollPlan(first_seconds=5.0, factor=2.0, cap_seconds=3600.0)

#: How much longer than its time-out a callback stays claimed [seconds].
CLAIM_MARGIN_SECONDS = 30.0


@dataclass(frozen=True)
class Tried:
    """What came of a callback: its outcome, a note, and the receiver's wish for the next attempt."""

    owed: Owed
    outcome: Outcome
    note: str = ""
    after_seconds: float | None = None
    duration_seconds: float = 0.0
    #: Whether the receiver answered at all.
    answered: bool = False
    #: Whether there was an attempt: a callback may also be given up without one.
    attempted: bool = True


@dataclass(frozen=True)
class Ended:
    """An attempt is over, and its place free."""

    place: Place
    tried: Tried


class CallbackSender:
    """`deliver` may be called from any thread and returns at once. A callback under way at the end is sent again later.

    A callback whose receiver has no place free is put off, which is no attempt: those behind it go on.
    """

    def __init__(
        self,
        ledger: Ledger,
        http: HttpClient,
        event_loop: EventLoop,
        *,
        settings: CallbackSettings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger, self._http, self._event_loop = ledger, http, event_loop
        self._settings, self._clock = settings, clock
        #: Since when the sender has run and reached the ledger: before that, no callback could be tried.
        self._serving_since = clock()
        self._inbox: queue.SimpleQueue[AccountName | Ended | None] = queue.SimpleQueue()
        self._receivers = Receivers(timeout_seconds=self._settings.timeout_seconds)
        #: Accounts whose callbacks are claimed next: when an attempt has ended, and at a time of `time.monotonic`.
        self._claim_after_attempt: set[AccountName] = set()
        self._claim_at: dict[AccountName, float] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def deliver(self, account: AccountName) -> None:
        """Have the account's due callbacks delivered."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="callback_sender", daemon=True)
                self._thread.start()
        self._inbox.put(account)

    def stop(self) -> None:
        """Take no more callbacks."""
        self._inbox.put(None)
        if self._thread is not None:
            self._thread.join(timeout=5)

    def _run(self) -> None:
        while (item := self._next()) is not None:
            try:
                self._handle(item)
            except LedgerAwayError as error:
                self._serving_since = self._clock()
                log.warning("callback.ledger_away", reason=str(error))
            except Exception:
                log.exception("callback.broke")  # its claim runs out, and the sweeper sends a message for it

    def _next(self) -> AccountName | Ended | None:
        """What is to be done next; None at the end."""
        account = min(self._claim_at, key=self._claim_at.__getitem__, default=None)
        if account is None:
            return self._inbox.get()
        seconds = self._claim_at[account] - time.monotonic()
        try:
            if seconds > 0:
                return self._inbox.get(timeout=seconds)
        except queue.Empty:
            pass
        del self._claim_at[account]
        return account

    def _handle(self, item: AccountName | Ended) -> None:
        if isinstance(item, AccountName):
            self._take(item)
            return
        tried = item.tried
        self._receivers.leave(item.place, tried.duration_seconds, answered=tried.answered)
        self._record(tried)
        for account in sorted(self._claim_after_attempt):
            self._take(account)

    def _take(self, account: AccountName) -> None:
        """Claim a page of what is due; send what has a place, and put off the rest."""
        self._claim_after_attempt.discard(account)
        if self._receivers.full:
            self._claim_after_attempt.add(account)
            return
        seconds = self._settings.timeout_seconds + CLAIM_MARGIN_SECONDS
        claimed = self._ledger.callbacks.claim(account, most=PAGE, seconds=seconds)
        waiting = [late for owed in claimed if (late := self._start(owed)) is not None]
        if waiting:
            self._ledger.callbacks.postpone(account, waiting)
        self._plan(account, full=len(claimed) == PAGE)

    def _plan(self, account: AccountName, *, full: bool) -> None:
        """When to claim for the account again: at once after a full page, else when its next callback is due."""
        seconds = 0.0 if full else self._ledger.callbacks.due_in(account)
        if seconds is not None:
            self._claim_at[account] = time.monotonic() + (seconds if full else max(seconds, SHORTEST_PAUSE_SECONDS))

    def _start(self, owed: Owed) -> tuple[Owed, float] | None:
        """Send one callback; where its receiver has no place free, the callback and how long to put it off."""
        delivery = None
        if not owed.host:
            if (delivery := self._delivery(owed)) is None:
                return None
            owed = replace(owed, host=host_of(delivery.url))
        if (seconds := self._receivers.pause_seconds(owed.host)) is not None:
            return self._late(owed, seconds)
        if (delivery := delivery or self._delivery(owed)) is not None:
            place = self._receivers.enter(owed.host)
            sent = self._event_loop.start(self._send(owed, delivery, place.total_seconds))
            sent.add_done_callback(lambda done: self._inbox.put(Ended(place, done.result())))
        return None

    def _late(self, owed: Owed, seconds: float) -> tuple[Owed, float] | None:
        """A callback to put off; None where its time is over, and it is given up.

        The time of a callback that was never tried runs only while this sender serves. So after an outage of bide all
        that is owed is tried.
        """
        served_seconds = self._clock() - self._serving_since
        waited_seconds = owed.age_seconds if owed.tries else min(owed.age_seconds, served_seconds)
        if waited_seconds <= self._settings.give_up_seconds:
            return owed, seconds
        note = f"{owed.host}: too slow for all that is sent there"
        self._record(Tried(owed, Outcome.AGAIN, note, attempted=False))
        return None

    def _delivery(self, owed: Owed) -> Delivery | None:
        """What to send; None where there is nothing to send, or no way to, which is recorded."""
        record = self._ledger.jobs.read(owed.account, owed.job_id)
        try:
            delivery = delivery_of(record, owed.number) if record else None
        except ValueError:
            log.exception("callback.unreadable", job_id=owed.job_id)
            self._record(Tried(owed, Outcome.FAILED, "the job's record can't be read", attempted=False))
            return None
        if delivery is None:
            self._ledger.callbacks.tried(owed, Outcome.DELIVERED)  # there is nothing, or by now something else, to send
        return delivery

    async def _send(self, owed: Owed, delivery: Delivery, total_seconds: float) -> Tried:
        """One attempt; never raises."""
        began = time.monotonic()
        tried = await self._outcome(owed, delivery, total_seconds)
        return replace(tried, duration_seconds=time.monotonic() - began)

    async def _outcome(self, owed: Owed, delivery: Delivery, total_seconds: float) -> Tried:
        try:
            return await self._post(owed, delivery, total_seconds)
        except BideError as error:
            wish = error.after_seconds if isinstance(error, NotDeliveredError) else None
            return Tried(owed, Outcome.AGAIN, str(error), wish)
        except Exception as error:
            log.exception("callback.not_sent", job_id=owed.job_id)
            return Tried(owed, Outcome.AGAIN, type(error).__name__)

    async def _post(self, owed: Owed, delivery: Delivery, total_seconds: float) -> Tried:
        secrets = signing_secrets(self._settings)
        if not secrets:
            raise NotDeliveredError("can't be signed: BIDE_CALLBACKS__SECRET is not set")
        try:
            target = check_url(delivery.url, allowed_hosts=self._settings.allowed_hosts)
            headers = delivery.headers(secrets, now=datetime.now(UTC))
            answer = await self._http.post(
                target.url,
                delivery.body.encode(),
                headers=headers,
                guarded=target.guarded,
                total_seconds=total_seconds,
            )
        except BadMediaError as error:
            raise NotDeliveredError(refused_address(error)) from None
        if 200 <= answer.status < 300:
            return Tried(owed, Outcome.DELIVERED, answered=True)
        gone = answer.status == 410  # by the standard: this receiver wants no more
        wish = retry_after_seconds(answer.headers.get("retry-after"))
        outcome = Outcome.FAILED if gone else Outcome.AGAIN
        return Tried(owed, outcome, f"HTTP {answer.status}", wish, answered=True)

    def _record(self, tried: Tried) -> None:
        owed, outcome = tried.owed, tried.outcome
        pause = _pause(owed.tries, tried.after_seconds)
        if outcome is Outcome.AGAIN and owed.age_seconds + pause > self._settings.give_up_seconds:
            outcome = Outcome.FAILED
        self._ledger.callbacks.tried(owed, outcome, seconds=pause, note=tried.note)
        facts = {
            "job_id": owed.job_id,
            "account": str(owed.account),
            "outcome": outcome.value,
            "attempt": owed.tries + tried.attempted,
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
