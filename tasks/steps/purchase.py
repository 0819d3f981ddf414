"""One purchase: one POST, between an intent written before it and an answer written after it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
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
    LedgerAwayError,
    NoReceiptError,
    NotReplicatedError,
    NotSentError,
    OverBudgetError,
    StorageError,
    SubmissionUnknownError,
)
from bide.ledger import Messages, Record
from bide.ledger.records import BoughtWith, decode_media, encode_media
from bide.ledger.settling import Promise
from bide.ledger.submits import HELD_BACK, OTHER_LEDGER, TOO_LATE, UNREPEATABLE
from bide.money.budgets import Budget
from bide.money.quote import Quote
from bide.polling.timing import PollTiming
from bide.providers.base import (
    Account,
    Answer,
    Call,
    Cancels,
    Charged,
    Finished,
    KeyTaken,
    Provider,
    Refused,
    Submission,
    Submitted,
    Ticket,
)
from bide.providers.costs import cost_text
from bide.providers.exchange import handle_text
from tasks.steps.ask import cancel_there
from tasks.steps.fail import fail, lease_lost, redacted, too_late
from tasks.steps.home import keep_inline
from tasks.steps.outcome import Fail, Outcome, Suspend
from tasks.steps.put_off import OTHER_LEDGER_REASON, over_budget, pause_account, take_back, wait_in_line
from tasks.steps.settle import UNREPEATABLE_REASON, doubt_of, look_again, settled_by, unsettled
from workers.metrics.counted import SUBMITS
from workers.metrics.tally import tally
from workers.telemetry.step_log import Level, note
from workers.toolbox import Toolbox

log = structlog.get_logger()

Kept = TypeVar("Kept")

#: How long an accepted submit waits for a ledger to record it, and for a store to keep a result in it [seconds].
ANSWER_PATIENCE_SECONDS = 600.0

#: Between two attempts to record or keep an answer [seconds].
ANSWER_AGAIN_SECONDS = 1.0


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
    promise: Promise
    lane: str
    quote: Quote
    budgets: Sequence[Budget]
    poll_timing: PollTiming
    #: Why no earlier submit under the key was accepted, '' where that is open or there was none.
    absent: str

    @property
    def in_doubt(self) -> bool:
        """Whether an earlier submit under the key may have been accepted."""
        return self.record.in_doubt and not self.absent

    def make(self) -> Outcome:
        """Write the intent, send the request once, record the answer."""
        begun, ledger, bought_with = time.monotonic(), self.tools.ledger, self._bought_with()
        try:
            attempt = ledger.submits.intend(
                self.record,
                self.token,
                bought_with=bought_with,
                promise=self.promise,
                absent=self.absent,
                lane=self.lane,
                quote=self.quote,
                budgets=self.budgets,
            )
        except OverBudgetError as error:
            return over_budget(self.tools, self.record, self.token, error)
        except NotReplicatedError as error:
            return take_back(self.tools, self.record, self.token, str(error))
        if attempt <= 0:
            return self._not_begun(attempt)
        reached("intent_written")
        try:
            self.tools.receipts.begin(self.record, attempt)
        except NoReceiptError as error:
            return take_back(self.tools, self.record, self.token, str(error), attempt=attempt)
        if time.monotonic() - begun > ledger.timing.lease_seconds:  # others may count on it that nothing is sent now
            return self._not_accepted(attempt, "not sent: the process stood still", after_seconds=None)
        return self._buy(attempt)

    def _not_begun(self, why: int) -> Outcome:
        """No intent was written, for this reason of `SubmitScripts.intend`."""
        if why == HELD_BACK:  # while its inputs were fetched
            note(outcome="held_back")
            return Suspend(self.tools.ledger.accounts.admit(self.record.account))
        if why == OTHER_LEDGER:
            self.tools.ledger_check.doubt()
            return wait_in_line(self.tools, self.record, self.token, OTHER_LEDGER_REASON)
        if why == TOO_LATE:
            return too_late(self.tools, self.record, self.token)
        if why == UNREPEATABLE:
            return self._fail(FailureCode.SUBMISSION_UNKNOWN, UNREPEATABLE_REASON, 0)
        return lease_lost()

    def _buy(self, attempt: int) -> Outcome:
        tools, answer = self.tools, None
        try:
            answer = tools.event_loop.run(tools.http.call(self.call, buys=True))
            outcome = self.adapter.submit_outcome(answer, self.submission, self.credentials)
        except NotSentError as error:
            return self._not_accepted(attempt, str(error), after_seconds=error.after_seconds)
        except SubmissionUnknownError as error:
            return self._unknown(attempt, str(error), answer)
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
            case KeyTaken(message) as taken:
                return self._unknown(attempt, message, answer, taken)

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
                return self._unknown(attempt, f"the answer holds a finished result that can't be kept: {error}")
        recorded = encode_media(outputs, can_ask=bool(provider_job_id))
        left_out = len(outputs) - len(decode_media(recorded)) if recorded else 0
        level: Level = "warning" if left_out else "info"
        facts = {"provider_job_id": provider_job_id, "outputs_left_out": left_out or None}
        self._note_outcome("finished_at_once", level=level, **facts)
        return self._record_accepted(attempt, finished, outputs=recorded, partial=finished.partial)

    def _record_accepted(self, attempt: int, accepted: Submitted | Finished, **facts: Any) -> Suspend:
        """Record the acceptance."""
        bought_with = self._bought_with(handle_text(accepted.handle), cost_text(accepted.cost))
        outputs, partial_ = facts.get("outputs"), facts.get("partial", "")
        done = "" if outputs is None else outputs or "ask"
        self.tools.receipts.accepted(
            self.record, attempt, accepted.provider_job_id, bought_with, outputs=done, partial=partial_
        )
        submitted = partial(
            self.tools.ledger.submits.submitted,
            self.record,
            self.token,
            attempt=attempt,
            provider_job_id=accepted.provider_job_id,
            bought_with=bought_with,
            settled=settled_by(self.record, accepted) if self.in_doubt else None,
            **facts,
        )
        messages = self._recorded(submitted)
        if messages.bought_after_leaving:  # the record that has the job now says so, too
            note("error", outcome="bought_twice", reason="accepted by an account that it had left for its fallback")
        if self.absent and not self.promise.free:
            look_again(self.tools, self.adapter, self.credentials, self.record, accepted.provider_job_id)
        if isinstance(self.adapter, Cancels):
            self._cancel_there(bought_with.ticket(self.record.text("op"), accepted.provider_job_id))
        return Suspend(messages)

    def _recorded(self, submitted: Callable[[], Messages]) -> Messages:
        """Record the acceptance until it is safe; the messages of all attempts.

        A failover that loses it leads to a record which knows of the intent alone: it is recorded there anew.
        """
        sent = Messages()

        def record() -> Messages:
            nonlocal sent
            try:
                return submitted()
            except NotReplicatedError as error:
                sent += error.messages
                raise

        try:
            last = self._patiently(record)
        except NotReplicatedError as error:  # after all that time the leader's word has to do
            log.error("job.answer_not_replicated", reason=str(error))
            return sent
        return sent + last

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
                elif isinstance(error, NotReplicatedError):
                    log.warning("job.answer_waits_for_replicas", reason=str(error))
                else:
                    log.warning("job.answer_waits_for_ledger")
                time.sleep(ANSWER_AGAIN_SECONDS)

    def _not_accepted(self, attempt: int, reason: str, *, after_seconds: float | None) -> Suspend:
        """The provider did not take the request this time: the ledger says when it is sent again."""
        self._note_outcome("not_accepted", reason=redacted(self.record, reason))
        self.tools.receipts.not_accepted(self.record, attempt)
        messages = self.tools.ledger.submits.refused(
            self.record,
            self.token,
            attempt=attempt,
            reason=reason[:200],
            after_seconds=after_seconds,
            evidence=f"attempt {attempt}: not taken this time: {reason}",
        )
        return Suspend(messages)

    def _refused(self, attempt: int, refused: Refused) -> Outcome:
        tally.count(self.record.account, SUBMITS, "refused")
        if refused.whole_account:
            pause_account(self.tools, self.record, refused.message)
            if self.in_doubt:  # it is sent again once the account is mended
                return self._not_accepted(attempt, refused.message, after_seconds=None)
        return self._fail(refused.code, refused.message, attempt, cause=refused.cause, charged=refused.charged)

    def _fail(self, code: FailureCode, message: str, attempt: int, **why: Any) -> Outcome:
        if why.get("charged") in (None, Charged.NO):
            self.tools.receipts.not_accepted(self.record, attempt)
        return fail(self.tools, self.record, self.token, code, message, attempt=attempt, **why)

    def _unknown(
        self, attempt: int, reason: str, answer: Answer | None = None, taken: KeyTaken | None = None
    ) -> Suspend | Fail:
        """The submit may have been accepted, as far as its `answer` says."""
        doubt = doubt_of(attempt, reason, answer, taken)
        return unsettled(self.tools, self.record, self.token, reason, doubt, sent=True)

    def _note_outcome(self, outcome: str, *, level: Level = "info", **facts: Any) -> None:
        tally.count(self.record.account, SUBMITS, outcome)
        note(level, outcome=outcome, **facts)
