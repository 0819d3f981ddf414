"""The step that buys: one POST, between an intent written before it and an answer written after it."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import structlog
from celery.exceptions import Ignore

from bide.contract import FailureCode, JobState
from bide.crashpoints import reached
from bide.errors import (
    ConfigurationError,
    InvalidRequestError,
    LeaseLostError,
    LedgerAwayError,
    NotSentError,
    StorageError,
    SubmissionUnknownError,
    TryLaterError,
)
from bide.ledger import Concluded, Messages, Record
from bide.ledger.records import decode_media, encode_media
from bide.ledger.submits import HELD_BACK, TOO_LATE
from bide.providers import find
from bide.providers.base import Account, Call, Finished, Media, Provider, Refused, Submission, Submitted
from tasks.steps.answer import failed, failure_of, said
from workers.metrics.counted import FAILED_JOBS, SUBMITS
from workers.metrics.tally import tally
from workers.telemetry.step_log import Level, note
from workers.toolbox import Toolbox

log = structlog.get_logger()

#: How long to wait before inputs that could not be fetched are tried again [seconds].
INPUTS_AGAIN_SECONDS = 10.0

#: How long an accepted submit waits for a ledger to record it [seconds].
ANSWER_PATIENCE_SECONDS = 600.0

#: What a step's line says of a job that did not end as it was to.
OTHERWISE = {
    Concluded.NOT_OURS: "lease_lost",
    Concluded.AGAIN: "submit_again",
    Concluded.DOUBTED: "unconfirmed",
    Concluded.BOUGHT: "bought_before",
}


def submit(tools: Toolbox, record: Record, token: str, *, now: float) -> Messages:
    """Submit one job whose lease is held as `token`.

    Returns what to send once the caller's task is suspended; raises `JobFailed` when the job ended here.
    """
    reached("capacity_taken")
    note(attempt=int(record.number("submits")) + 1, waited_seconds=round(now - record.number("created"), 3))
    if now >= record.number("deadline"):
        raise too_late(tools, record, token)
    with tools.leases.holding(record, token) as lease:
        try:
            purchase = _Purchase(tools, record, token)
        except InvalidRequestError as error:
            raise end(tools, record, token, FailureCode.INVALID_REQUEST, str(error)) from None
        except (TryLaterError, StorageError) as error:
            if isinstance(error, StorageError) and error.permanent:
                raise end(tools, record, token, FailureCode.STORAGE, str(error)) from None
            note("warning", outcome="put_off", reason=said(record, str(error)))
            return tools.ledger.put_off(record, token, seconds=INPUTS_AGAIN_SECONDS, note=str(error)[:200])
        lease.check()
        return purchase.make()


class _Purchase:
    """One submit, from the checked request to what its answer means."""

    def __init__(self, tools: Toolbox, record: Record, token: str) -> None:
        self._tools, self._record, self._token = tools, record, token
        request = record.request
        self._adapter: Provider = find(request.provider)
        self._account: Account = tools.account(record.account)
        tools.check_callback(request)
        operation = self._adapter.check(request.operation, request.params, set(request.inputs))
        inputs = tools.inputs(request, operation, record) if request.inputs else {}
        self._submission = Submission(record.job_id, request.operation, request.params, inputs)
        self._call: Call = self._adapter.submit_call(self._submission, self._account)
        self._poll_timing = tools.poll_timing(
            record.account, request.operation
        )  # asks the ledger: not once there is an answer

    def make(self) -> Messages:
        """Write the intent, send the request once, record the answer."""
        attempt = self._tools.ledger.intend(self._record, self._token)
        if attempt == HELD_BACK:  # while its inputs were fetched
            note(outcome="held_back")
            return self._tools.ledger.admit(self._record.account)
        if attempt == TOO_LATE:
            raise too_late(self._tools, self._record, self._token)
        if not attempt:
            raise LeaseLostError(f"job {self._record.job_id}: somebody else has it")
        reached("intent_written")
        return self._buy(attempt)

    def _buy(self, attempt: int) -> Messages:
        tools = self._tools
        try:
            answer = tools.event_loop.run(tools.http.call(self._call, buys=True))
            outcome = self._adapter.submit_outcome(answer, self._submission, self._account)
        except NotSentError as error:
            return self._again(attempt, str(error), after_seconds=error.after_seconds)
        except SubmissionUnknownError as error:
            return self._unknown(str(error))
        except ConfigurationError as error:  # no request could be made of it, so none was sent
            raise end(tools, self._record, self._token, FailureCode.INVALID_REQUEST, str(error), attempt) from None
        reached("answer_read")
        match outcome:
            case Submitted(provider_job_id, estimate):
                return self._accepted(attempt, provider_job_id, estimate)
            case Finished(provider_job_id, outputs):
                return self._finished(attempt, provider_job_id, outputs)
            case Refused(_, message, True, after_seconds):
                return self._again(attempt, message, after_seconds=after_seconds)
            case Refused(code, message) as refused:
                tally.count(self._record.account, SUBMITS, "refused")
                if refused.whole_account:
                    self._pause(message)
                raise end(tools, self._record, self._token, code, message, attempt)

    def _accepted(self, attempt: int, provider_job_id: str, estimate_seconds: float | None) -> Messages:
        first_poll_seconds = self._poll_timing.first(estimate_seconds=estimate_seconds)
        self._came_to("submitted", provider_job_id=provider_job_id, first_poll_seconds=round(first_poll_seconds, 3))
        return self._note(
            attempt=attempt,
            provider_job_id=provider_job_id,
            first_poll_seconds=first_poll_seconds,
            estimate_seconds=estimate_seconds,
        )

    def _finished(self, attempt: int, provider_job_id: str, outputs: tuple[Media, ...]) -> Messages:
        recorded = encode_media(outputs, can_ask=bool(provider_job_id))
        left_out = len(outputs) - len(decode_media(recorded)) if recorded else 0
        level: Level = "warning" if left_out else "info"
        facts = {"provider_job_id": provider_job_id, "outputs_left_out": left_out or None}
        self._came_to("finished_at_once", level=level, **facts)
        return self._note(attempt=attempt, provider_job_id=provider_job_id, outputs=recorded)

    def _note(self, **accepted: Any) -> Messages:
        """Record the acceptance. This answer is paid for and nowhere else, so it outwaits a ledger that is away."""
        until = time.monotonic() + ANSWER_PATIENCE_SECONDS
        while True:
            try:
                return self._tools.ledger.submitted(self._record, self._token, **accepted)
            except LedgerAwayError:
                if time.monotonic() >= until:
                    raise
                log.warning("job.answer_waits_for_ledger")
                time.sleep(1)

    def _again(self, attempt: int, reason: str, *, after_seconds: float | None) -> Messages:
        self._came_to("not_accepted", reason=said(self._record, reason))
        told: dict[str, Any] = {"attempt": attempt, "reason": reason[:200], "after_seconds": after_seconds}
        return self._tools.ledger.refused(self._record, self._token, **told)

    def _pause(self, reason: str) -> None:
        """Whoever is in line would be refused as well: they wait until an operator has mended the account."""
        account = self._record.account
        with suppress(LedgerAwayError):  # whether the next job finds it out again is not worth this one's end
            if self._tools.ledger.pause(account, reason=reason, by="bide"):
                log.error(
                    "account.paused",
                    account=str(account),
                    reason=said(self._record, reason),
                    remedy=f"bide resume {' '.join(account)}",
                )

    def _unknown(self, reason: str) -> Messages:
        code = FailureCode.SUBMISSION_UNKNOWN.value
        self._came_to("unconfirmed", level="warning", code=code, reason=said(self._record, reason))
        failure = failure_of(self._record, FailureCode.SUBMISSION_UNKNOWN, reason)
        ledger = self._tools.ledger
        came = ledger.conclude(self._record, self._token, JobState.UNCONFIRMED, error=failure.model_dump_json())
        if came:
            raise failed(failure)
        note(outcome=OTHERWISE[came])
        return ledger.admit(self._record.account)

    def _came_to(self, outcome: str, *, level: Level = "info", **facts: Any) -> None:
        tally.count(self._record.account, SUBMITS, outcome)
        note(level, outcome=outcome, **facts)


def too_late(tools: Toolbox, record: Record, token: str) -> Exception:
    """Record that the deadline passed before anything was bought; what to raise for it."""
    return end(tools, record, token, FailureCode.DEADLINE, "the deadline passed before the job was submitted")


def end(tools: Toolbox, record: Record, token: str, code: FailureCode, message: str, attempt: int = 0) -> Exception:
    """Record the job's failure; what to raise for it. `attempt`: the submit that was refused, where one was."""
    failure = failure_of(record, code, message)
    error = failure.model_dump_json()
    came = tools.ledger.conclude(record, token, JobState.FAILED, error=error, attempt=attempt)
    if came is not Concluded.NOT_OURS:
        tools.dispatcher.send(tools.ledger.admit(record.account))
    if not came:
        return _not_failed(record, came, message)
    tally.count(record.account, FAILED_JOBS, code.value)
    note(outcome="failed", code=code.value, reason=said(record, message))
    return failed(failure)


def _not_failed(record: Record, came: Concluded, message: str) -> Exception:
    """What to raise for a failure that is none, since an earlier submit counts, or that is not ours to tell."""
    if came is Concluded.NOT_OURS:
        return LeaseLostError(f"job {record.job_id}: somebody else has it")
    code = FailureCode.SUBMISSION_UNKNOWN.value if came is Concluded.DOUBTED else None
    note("warning", outcome=OTHERWISE[came], code=code, reason=said(record, message))
    return Ignore()
