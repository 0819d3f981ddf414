"""What a message comes to that leads to no step of its job: it conflicts, comes late, or has no record."""

from __future__ import annotations

from celery.states import PENDING, RETRY

from bide.contract import FailureCode
from bide.ledger import Step, Verb
from tasks.steps.enter import Message, refuse, refuse_invalid
from tasks.steps.outcome import Fail, Ignore
from workers.services.dispatcher import ACCOUNT_HEADER
from workers.telemetry.step_log import note


def no_step(message: Message, step: Step) -> Fail | Ignore:
    """The outcome of a message whose job allows none of the steps."""
    match step.verb:
        case Verb.CONFLICT if step.other != message.job_id:
            return refuse_invalid(message.job_id, "idempotency_key: was used with another request; take a new key")
        case Verb.CONFLICT:
            return _id_in_use(message)
        case Verb.MISSING:
            return _without_record(message)
    note("info" if step.verb is Verb.STALE else "warning", outcome="ignored", state=step.other or None)
    return Ignore(step.verb.value)


def _id_in_use(message: Message) -> Ignore:
    """Refuse another request under the id of a known job. The result of that id belongs to the known job."""
    refusal = refuse_invalid(message.job_id, "id: belongs to another job of this deployment; take a new id")
    return Ignore("id_in_use", refusal=refusal.failure)


def _without_record(message: Message) -> Fail | Ignore:
    """The outcome of a message that brings no request for a job without a record.

    Only a job that never began is surely not bought. A caller in RETRY has a job whose record is gone.
    """
    try:
        state = message.result_state()
    except Exception as error:  # the result backend is away, so the caller can't be reached either
        state = type(error).__name__
    if state == PENDING and ACCOUNT_HEADER not in (message.headers or {}):
        return refuse_invalid(message.job_id, "request: is required")
    if state == RETRY:
        lost = "the ledger has lost the record of this job; look for it at the provider before it is ordered anew"
        return refuse(message.job_id, FailureCode.SUBMISSION_UNKNOWN, lost)
    note("warning", outcome="ignored", reason="the ledger has no record of this job")
    return Ignore("no_record")
