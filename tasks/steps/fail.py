"""How a step ends a job badly: the ledger decides whether the failure counts, or an earlier submit does."""

from __future__ import annotations

from typing import Any

from bide.contract import Failure, FailureCode, JobState
from bide.ledger import Concluded, Record
from bide.ledger.failures import canceled_meanwhile
from tasks.steps.outcome import Caller, Fail, Ignore, Outcome, Suspend
from workers.metrics.counted import FAILED_JOBS
from workers.metrics.tally import tally
from workers.telemetry.redaction import redact
from workers.telemetry.step_log import note
from workers.toolbox import Toolbox

#: What a step's line says of a job that did not end as it was to.
OTHERWISE = {
    Concluded.NOT_OURS: "lease_lost",
    Concluded.AGAIN: "submit_again",
    Concluded.UNCONFIRMED: "unconfirmed",
    Concluded.BOUGHT: "bought_before",
    Concluded.CANCELED: "canceled",
    Concluded.SETTLING: "settling",
    Concluded.MOVED: "fell_back",
}


def fail(
    tools: Toolbox,
    record: Record,
    token: str,
    code: FailureCode,
    message: str,
    *,
    attempt: int = 0,
    outputs: str = "",
    final: bool = False,
    **why: Any,
) -> Fail | Ignore | Suspend:
    """Record the job's failure, or have it go on at its fallback. `attempt`: the submit that was refused, if one was.

    `outputs`: the addresses of a result that is not stored; the record keeps them, so that a paid one can be found.
    `final`: the job ends here, whatever fallbacks it has.
    `why`: `cause` and `charged` of the failure, where the provider says them, and whether it is `retryable`.
    """
    failure = failure_of(record, code, message, **why)
    concluded = tools.ledger.jobs.conclude(
        record, token, JobState.FAILED, error=failure.model_dump_json(), attempt=attempt, outputs=outputs, final=final
    )
    if concluded is Concluded.NOT_OURS:
        return lease_lost()
    tools.dispatcher.send(tools.ledger.accounts.admit(record.account))
    if concluded is Concluded.MOVED:
        note(
            outcome=OTHERWISE[concluded],
            code=code.value,
            reason=redacted(record, message),
            went_on=str(record.next_account),
        )
        return Suspend(tools.ledger.jobs.went_on(record))
    if concluded is Concluded.CANCELED:
        note(outcome=OTHERWISE[concluded], reason=redacted(record, message))
        return canceled(record, failure)
    if not concluded:  # an earlier submit counts
        unconfirmed = FailureCode.SUBMISSION_UNKNOWN.value if concluded is Concluded.UNCONFIRMED else None
        note("warning", outcome=OTHERWISE[concluded], code=unconfirmed, reason=redacted(record, message))
        return Ignore(OTHERWISE[concluded])
    tally.count(record.account, FAILED_JOBS, code.value)
    note(outcome="failed", code=code.value, reason=redacted(record, message))
    return Fail(record.with_tried(failure), Caller.of(record))


def too_late(tools: Toolbox, record: Record, token: str) -> Outcome:
    """End a job whose deadline has passed before anything was bought."""
    return fail(tools, record, token, FailureCode.DEADLINE, "the deadline passed before the job was submitted")


def canceled(record: Record, failure: Failure) -> Fail:
    """The outcome of a step whose job was canceled meanwhile and is surely not bought; `failure` says why not."""
    reworded = Failure.model_validate_json(canceled_meanwhile(failure.model_dump_json()))
    return Fail(record.with_tried(reworded), Caller.of(record))


def lease_lost() -> Ignore:
    """The outcome of a step whose job another worker has by now."""
    note("warning", outcome="lease_lost")
    return Ignore("lease_lost")


def failure_of(record: Record, code: FailureCode, message: str, **why: Any) -> Failure:
    """A new failure of this job."""
    return Failure(
        code=code,
        message=message[:1000],
        job_id=record.job_id,
        provider=record.account.provider,
        provider_job_id=record.text("pid") or None,
        **why,
    )


def redacted(record: Record, text: str) -> str:
    """A provider's words about a job, for its line: without what they quote of its request."""
    return redact(text, record.request.params)
