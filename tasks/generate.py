"""`bide.generate`: one job is one task. It takes the next step that the job's record allows, and suspends."""

from __future__ import annotations

from contextvars import ContextVar
from functools import partial
from typing import Any

import structlog
from celery import Task, exceptions

from bide.contract import Failure
from bide.crashpoints import reached
from bide.errors import JobFailed, LeaseLostError, LedgerAwayError
from bide.ledger import Messages, Record, Verb
from config.queues import GENERATE
from tasks.steps.answer import answer, follow, write_receipt
from tasks.steps.enter import Entered, Message, enter
from tasks.steps.fail import lease_lost
from tasks.steps.no_step import no_step
from tasks.steps.outcome import Answer, Caller, Fail, Ignore, Outcome, Suspend
from tasks.steps.store import store
from tasks.steps.submit import submit
from workers.app import app
from workers.celery_patches.request import WANTS_NO_RESULT
from workers.lifecycle import process
from workers.services.dispatcher import restore_caller, signature_of
from workers.telemetry.step_log import StepLog
from workers.toolbox import Toolbox

log = structlog.get_logger()

#: The outcome of the message that this thread works on. `generate` sets it, the hooks of `JobTask` read it.
_outcome: ContextVar[Outcome | None] = ContextVar("bide_outcome", default=None)


class JobTask(Task):  # type: ignore[type-arg]  # generic in the stubs only
    """What follows a step: messages go out, and the ledger notes an answer, once Celery has stored the result."""

    Request = "workers.celery_patches.request:JobRequest"
    Strategy = "workers.celery_patches.message_check:checked_strategy"

    def on_retry(self, exc: Exception, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        """The caller's result says RETRY now: only after that may a message resume the job."""
        reached("answer_recorded")
        outcome = _outcome.get()
        if isinstance(outcome, Suspend):
            process.toolbox.dispatcher.send(outcome.messages)

    def on_success(self, retval: Any, task_id: str, args: Any, kwargs: Any) -> None:
        outcome = _outcome.get()
        if isinstance(outcome, Answer):
            write_receipt(process.toolbox, outcome)
            _note_answer(process.toolbox, outcome.caller)

    def on_failure(self, exc: Exception, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        outcome = _outcome.get()
        if isinstance(outcome, Fail) and outcome.caller is not None:  # else it is no answer of a job
            write_receipt(process.toolbox, outcome)
            _note_answer(process.toolbox, outcome.caller)


def _note_answer(tools: Toolbox, caller: Caller) -> None:
    """The caller's result is stored: have the ledger note it."""
    reached("caller_told")
    try:
        if why := tools.answer_check.why_unsafe(caller.job_id):
            log.warning("job.answer_not_safe", job_id=caller.job_id, reason=why)
        messages = tools.ledger.jobs.answered(
            caller.account, caller.job_id, leader=caller.leader, known_state=caller.leader_state, again=bool(why)
        )
    except Exception:  # the result is out; the sweeper has it stored once more
        log.exception("job.answer_not_noted", job_id=caller.job_id)
    else:
        tools.dispatcher.send(messages)


@app.task(base=JobTask, bind=True, throws=(JobFailed,), **GENERATE)
def generate(self: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Submit a generation job and return its stored result (`contract.JobResult`); fails with `JobFailed`.

    Takes one argument, `request`, by keyword or as the first positional one; a message of bide's own has none.
    """
    _outcome.set(None)
    with StepLog("job.step", draw=process.tracing.draw) as line:
        outcome = _outcome_of(_message_of(self, args, kwargs), line)
        if isinstance(outcome, Ignore) and outcome.refusal is not None:
            _refuse_message(self, outcome.refusal, line)
    _outcome.set(outcome)
    match outcome:
        case Answer(result):
            return result
        case Fail(failure):
            raise JobFailed(failure.model_dump_json())
        case Suspend():
            raise exceptions.Retry("suspended")  # the worker is free, the caller's result says RETRY, no message waits
        case Ignore(why):
            raise exceptions.Ignore(why)


def take_step(tools: Toolbox, message: Message, line: StepLog) -> Outcome:
    """The next step of the message's job, taken. Raises `LedgerAwayError`, `LeaseLostError`."""
    entered = enter(tools, message)
    if not isinstance(entered, Entered):
        return entered
    step, account, token = entered.step, entered.account, entered.token
    if step.signature is not None:
        message.restore_caller(step.signature)
    record = line.record = step.record
    line.about(account=str(account))
    line.note(step=step.verb.value, outcome="suspended", **(_log_fields(record) if record else {}))
    match step.verb:
        case Verb.SUBMIT if record:
            return submit(tools, record, token, now=step.now)
        case Verb.STORE if record:
            return store(tools, record, token, now=step.now)
        case Verb.ANSWER if record:
            return answer(record)
        case Verb.FOLLOW:
            return follow(tools, message, account, step.other)
        case Verb.WAIT:
            return Suspend(Messages(round=step.round))
    return no_step(message, step)


def _message_of(task: Any, args: Any, kwargs: Any) -> Message:
    request = task.request
    return Message(
        request.id,
        args,
        kwargs,
        headers=request.headers,
        signature=partial(signature_of, request, ignore_result=getattr(request, WANTS_NO_RESULT, False)),
        result_state=partial(task.backend.get_state, request.id),
        restore_caller=partial(restore_caller, request),
    )


def _outcome_of(message: Message, line: StepLog) -> Outcome:
    """The outcome of a step, also of one that breaks; raises Celery's `Reject` where the ledger is away."""
    line.about(job_id=str(message.job_id)[:128])
    line.headers = message.headers or {}
    try:
        return take_step(process.toolbox, message, line)
    except LedgerAwayError as error:
        line.note("warning", outcome="ledger_away", reason=str(error))
        raise exceptions.Reject(str(error), requeue=True) from error
    except LeaseLostError:
        return lease_lost()
    except Exception as error:
        # The lease runs out and the sweeper decides; what may have been bought is never bought again.
        line.note("error", outcome="broke", exc_info=error)
        return Suspend()


def _refuse_message(task: Any, refusal: Failure, line: StepLog) -> None:
    """Have the error callbacks of a message, and its chord, hear of a refusal; the result of its id stays as it is."""
    error = JobFailed(refusal.model_dump_json())
    try:
        task.backend.mark_as_failure(task.request.id, error, request=task.request, store_result=False)
    except Exception as broke:
        line.note("warning", reason=f"its error callbacks could not be called: {type(broke).__name__}")


def _log_fields(record: Record) -> dict[str, Any]:
    """What the line of every step says of its job, beside its name."""
    polls = int(record.number("polls"))
    return {"operation": record.text("op"), "provider_job_id": record.text("pid") or None, "polls": polls or None}
