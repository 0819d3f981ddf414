"""The step that buys: one POST, between an intent written before it and an answer written after it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import structlog

from bide.contract import FailureCode, JobState
from bide.crashpoints import reached
from bide.errors import (
    BadMediaError,
    ConfigurationError,
    ForeignAddressError,
    InvalidRequestError,
    LedgerAwayError,
    NotSentError,
    StorageError,
    SubmissionUnknownError,
    TryLaterError,
)
from bide.ledger import Record
from bide.ledger.records import BoughtWith, decode_media, encode_media
from bide.ledger.submits import HELD_BACK, TOO_LATE
from bide.polling.backoff import Backoff
from bide.polling.timing import PollTiming
from bide.providers.base import Account, Call, Cancels, Finished, Provider, Refused, Submission, Submitted, Ticket
from bide.providers.costs import cost_text
from bide.providers.exchange import handle_text
from tasks.steps.ask import cancel_there
from tasks.steps.fail import OTHERWISE, fail, failure_of, lease_lost, redacted
from tasks.steps.home import keep_inline
from tasks.steps.outcome import Caller, Fail, Outcome, Suspend
from workers.io.callback_check import check_callback
from workers.io.destination import confined
from workers.metrics.counted import SUBMITS
from workers.metrics.tally import tally
from workers.telemetry.step_log import Level, note
from workers.toolbox import Toolbox

log = structlog.get_logger()

Kept = TypeVar("Kept")

#: When inputs that could not be fetched are tried again: always after 10 seconds.
INPUTS_BACKOFF = Backoff(first_seconds=10.0, factor=1.0, cap_seconds=10.0)

#: How long an account submits nothing after a job met an object store that takes nothing; then one job tries [seconds].
STORE_HOLD_SECONDS = 3.0

#: How long an accepted submit waits for a ledger to record it, and for a store to keep a result in it [seconds].
ANSWER_PATIENCE_SECONDS = 600.0


def submit(tools: Toolbox, record: Record, token: str, *, now: float) -> Outcome:
    """Submit one job under the lease `token`; raises `LeaseLostError`."""
    reached("capacity_taken")
    note(attempt=int(record.number("submits")) + 1, waited_seconds=round(now - record.number("created"), 3))
    if now >= record.number("deadline"):
        return _too_late(tools, record, token)
    with tools.leases.renewing(record, token) as lease:
        if refusal := tools.store_check.wait():
            return _wait_for_store(tools, record, token, refusal)
        try:
            purchase = _prepare(tools, record, token)
        except InvalidRequestError as error:
            return fail(tools, record, token, FailureCode.INVALID_REQUEST, str(error))
        except ForeignAddressError as error:
            return fail(tools, record, token, FailureCode.PROTOCOL, str(error))
        except (TryLaterError, StorageError) as error:
            if isinstance(error, StorageError) and error.permanent:
                return fail(tools, record, token, FailureCode.STORAGE, str(error))
            return _put_off(tools, record, token, str(error))
        lease.check()
        return purchase.make()


def _wait_for_store(tools: Toolbox, record: Record, token: str, refusal: str) -> Suspend:
    """Nothing is bought that could not be stored: the job waits in line, and with it the account's others."""
    note("warning", outcome="held_back", reason=refusal)
    reason = refusal[:300]
    return Suspend(tools.ledger.submits.hold_back(record, token, seconds=STORE_HOLD_SECONDS, reason=reason))


def _prepare(tools: Toolbox, record: Record, token: str) -> Purchase:
    """All that a submit takes, its inputs fetched.

    Raises `InvalidRequestError`, `ForeignAddressError`, `TryLaterError`, `StorageError`.
    """
    request = record.request
    account = tools.accounts.get(record.account)
    credentials = account.credentials
    check_callback(request, tools.settings.callbacks)
    operation = account.check(request)
    inputs = tools.fetcher.inputs(request, operation, record, account) if request.inputs else {}
    lane = account.lane(request)
    submission = Submission(record.job_id, request.operation, request.params, inputs)
    return Purchase(
        tools,
        record,
        token,
        adapter=account.adapter,
        credentials=credentials,
        submission=submission,
        call=confined(account.adapter.submit_call(submission, credentials), account.adapter, credentials),
        lane=lane,
        # asks the ledger: not after the answer
        poll_timing=tools.poll_timings.get(record.account, request.operation, lane),
    )


def _put_off(tools: Toolbox, record: Record, token: str, reason: str) -> Suspend:
    """The inputs can't be had now: try again later."""
    note("warning", outcome="put_off", reason=redacted(record, reason))
    seconds = INPUTS_BACKOFF.delay(0)
    return Suspend(tools.ledger.jobs.postpone(record, token, seconds=seconds, note=reason[:200]))


def _too_late(tools: Toolbox, record: Record, token: str) -> Outcome:
    return fail(tools, record, token, FailureCode.DEADLINE, "the deadline passed before the job was submitted")


@dataclass(frozen=True, repr=False)  # it holds a prompt
class Purchase:
    """One submit, from the checked request to what its answer means."""

    tools: Toolbox
    record: Record
    token: str
    adapter: Provider
    credentials: Account
    submission: Submission
    call: Call
    lane: str
    poll_timing: PollTiming

    def make(self) -> Outcome:
        """Write the intent, send the request once, record the answer."""
        bought_with = self._bought_with()
        attempt = self.tools.ledger.submits.intend(self.record, self.token, bought_with=bought_with, lane=self.lane)
        if attempt == HELD_BACK:  # while its inputs were fetched
            note(outcome="held_back")
            return Suspend(self.tools.ledger.accounts.admit(self.record.account))
        if attempt == TOO_LATE:
            return _too_late(self.tools, self.record, self.token)
        if not attempt:
            return lease_lost()
        reached("intent_written")
        return self._buy(attempt)

    def _buy(self, attempt: int) -> Outcome:
        tools = self.tools
        try:
            answer = tools.event_loop.run(tools.http.call(self.call, buys=True))
            outcome = self.adapter.submit_outcome(answer, self.submission, self.credentials)
        except NotSentError as error:
            return self._not_accepted(attempt, str(error), after_seconds=error.after_seconds)
        except SubmissionUnknownError as error:
            return self._unknown(str(error))
        except ConfigurationError as error:  # no request could be made of it, so none was sent
            return self._fail(FailureCode.INVALID_REQUEST, str(error), attempt)
        reached("answer_read")
        match outcome:
            case Submitted():
                return self._accepted(attempt, outcome)
            case Finished():
                return self._finished(attempt, outcome)
            case Refused(_, message, True, after_seconds):
                return self._not_accepted(attempt, message, after_seconds=after_seconds)
            case Refused() as refused:
                return self._refused(attempt, refused)

    def _bought_with(self, handle: str = "", cost: str = "") -> BoughtWith:
        return BoughtWith(self.credentials.base_url, f"{self.adapter.name} {self.adapter.version}", handle, cost)

    def _accepted(self, attempt: int, submitted: Submitted) -> Suspend:
        first_poll_seconds = self.poll_timing.first(estimate_seconds=submitted.estimate_seconds)
        facts = {"provider_job_id": submitted.provider_job_id, "first_poll_seconds": round(first_poll_seconds, 3)}
        self._note_outcome("submitted", level="info", **facts)
        return self._record_accepted(
            attempt, submitted, first_poll_seconds=first_poll_seconds, estimate_seconds=submitted.estimate_seconds
        )

    def _finished(self, attempt: int, finished: Finished) -> Suspend | Fail:
        provider_job_id, outputs = finished.provider_job_id, finished.outputs
        if not provider_job_id and any(media.content for media in outputs):
            try:
                outputs = self._patiently(partial(keep_inline, self.tools, self.record, outputs))
            except (BadMediaError, StorageError) as error:
                return self._unknown(f"the answer holds a finished result that can't be kept: {error}")
        recorded = encode_media(outputs, can_ask=bool(provider_job_id))
        left_out = len(outputs) - len(decode_media(recorded)) if recorded else 0
        level: Level = "warning" if left_out else "info"
        facts = {"provider_job_id": provider_job_id, "outputs_left_out": left_out or None}
        self._note_outcome("finished_at_once", level=level, **facts)
        return self._record_accepted(attempt, finished, outputs=recorded, partial=finished.partial)

    def _record_accepted(self, attempt: int, accepted: Submitted | Finished, **facts: Any) -> Suspend:
        """Record the acceptance."""
        bought_with = self._bought_with(handle_text(accepted.handle), cost_text(accepted.cost))
        submitted = partial(
            self.tools.ledger.submits.submitted,
            self.record,
            self.token,
            attempt=attempt,
            provider_job_id=accepted.provider_job_id,
            bought_with=bought_with,
            **facts,
        )
        messages = self._patiently(submitted)
        if isinstance(self.adapter, Cancels):
            self._cancel_there(bought_with.ticket(self.record.text("op"), accepted.provider_job_id))
        return Suspend(messages)

    def _cancel_there(self, ticket: Ticket) -> None:
        """Have the provider stop the job where it was canceled during the submit; its caller knows that already."""
        with suppress(LedgerAwayError):
            found = self.tools.ledger.jobs.read(self.record.account, self.record.job_id)
            if found and found.text("state") == JobState.CANCELED:
                asked = cancel_there(self.tools, self.adapter, self.credentials, ticket)
                canceled = self.tools.event_loop.run(asked)
                note(reason=f"canceled meanwhile; the provider was asked to stop it: {canceled or 'it can not'}")

    def _patiently(self, keep: Callable[[], Kept]) -> Kept:
        """Keep what the answer holds. It is paid for and nowhere else, so it outwaits what is away."""
        until = time.monotonic() + ANSWER_PATIENCE_SECONDS
        while True:
            try:
                return keep()
            except (LedgerAwayError, StorageError) as error:
                if time.monotonic() >= until:
                    raise
                if isinstance(error, StorageError):
                    log.warning("job.answer_waits_for_store", reason=str(error)[:200])
                else:
                    log.warning("job.answer_waits_for_ledger")
                time.sleep(1)

    def _not_accepted(self, attempt: int, reason: str, *, after_seconds: float | None) -> Suspend:
        """The provider did not take the request this time: the ledger says when it is sent again."""
        self._note_outcome("not_accepted", reason=redacted(self.record, reason))
        messages = self.tools.ledger.submits.refused(
            self.record, self.token, attempt=attempt, reason=reason[:200], after_seconds=after_seconds
        )
        return Suspend(messages)

    def _refused(self, attempt: int, refused: Refused) -> Outcome:
        tally.count(self.record.account, SUBMITS, "refused")
        if refused.whole_account:
            self._pause_account(refused.message)
        return self._fail(refused.code, refused.message, attempt, cause=refused.cause, charged=refused.charged)

    def _fail(self, code: FailureCode, message: str, attempt: int, **why: Any) -> Outcome:
        return fail(self.tools, self.record, self.token, code, message, attempt=attempt, **why)

    def _pause_account(self, reason: str) -> None:
        """The account's other jobs would be refused as well: they wait until an operator has mended the account."""
        account = self.record.account
        with suppress(LedgerAwayError):  # whether the next job finds it out again is not worth this one's end
            if self.tools.ledger.accounts.pause(account, reason=reason, by="bide"):
                log.error(
                    "account.paused",
                    account=str(account),
                    reason=redacted(self.record, reason),
                    remedy=f"bide resume {' '.join(account)}",
                )

    def _unknown(self, reason: str) -> Suspend | Fail:
        """The submit may have been accepted: unless its request allows another one, an operator decides."""
        code = FailureCode.SUBMISSION_UNKNOWN.value
        self._note_outcome("unconfirmed", level="warning", code=code, reason=redacted(self.record, reason))
        failure = failure_of(self.record, FailureCode.SUBMISSION_UNKNOWN, reason)
        ledger, error = self.tools.ledger, failure.model_dump_json()
        concluded = ledger.jobs.conclude(self.record, self.token, JobState.UNCONFIRMED, error=error)
        if concluded:
            return Fail(failure, Caller.of(self.record))
        note(outcome=OTHERWISE[concluded])
        return Suspend(ledger.accounts.admit(self.record.account))

    def _note_outcome(self, outcome: str, *, level: Level = "info", **facts: Any) -> None:
        tally.count(self.record.account, SUBMITS, outcome)
        note(level, outcome=outcome, **facts)
