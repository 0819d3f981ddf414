"""What a message comes to that leads to no step of its job: it conflicts, comes late, or has no record."""

from __future__ import annotations

from bide.ledger import Step, Verb
from tasks.steps.enter import Message, id_in_use, without_record
from tasks.steps.outcome import Fail, Ignore
from workers.services.dispatcher import ACCOUNT_HEADER
from workers.telemetry.step_log import note


def no_step(message: Message, step: Step) -> Fail | Ignore:
    """The outcome of a message whose job allows none of the steps."""
    match step.verb:
        case Verb.CONFLICT if step.other != message.job_id:
            return without_record(message, "idempotency_key: was used with another request; take a new key")
        case Verb.CONFLICT:
            return id_in_use(message)
        case Verb.MISSING:
            ours = ACCOUNT_HEADER in (message.headers or {})
            return without_record(message, "" if ours else "request: is required")
    note("info" if step.verb is Verb.STALE else "warning", outcome="ignored", state=step.other or None)
    return Ignore(step.verb.value)
