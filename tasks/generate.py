"""`bide.generate`: one job is one task. It takes the next step that the job's record allows, and suspends."""

from __future__ import annotations

import re
import uuid
from typing import Any

import structlog
from celery import Task
from celery.exceptions import Ignore, Reject, Retry
from celery.states import PENDING, RETRY

import workers.telemetry.tracing  # noqa: F401 - has itself started with the worker
from bide.contract import JOB_ID, NAME, Failure, FailureCode, GenerateRequest, JobState
from bide.crashpoints import reached
from bide.describe import describe
from bide.errors import InvalidRequestError, JobFailed, LeaseLostError, LedgerAwayError
from bide.ledger import AccountName, Messages, Record, Step, Verb
from bide.providers import find
from config.queues import GENERATE
from tasks.steps.answer import Answered, ended, failed, outcome, said, told_of
from tasks.steps.store import PutOff, store
from tasks.steps.submit import submit
from workers.app import app
from workers.services.dispatcher import ACCOUNT_HEADER, signature_of
from workers.telemetry.step_log import StepLog, note
from workers.toolbox import Toolbox, toolbox

log = structlog.get_logger()

#: What a header that names an account looks like: `provider/account`, each a name of the contract.
_ACCOUNT = re.compile(rf"{NAME.pattern}/{NAME.pattern}")


class JobTask(Task):  # type: ignore[type-arg]  # generic in the stubs only
    """What happens around a step: messages go out, and the ledger hears of answers, once the result is stored."""

    Request = "workers.celery_patches.request:JobRequest"
    Strategy = "workers.celery_patches.message_check:checked_strategy"

    def on_retry(self, exc: Exception, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        """The caller's result says RETRY now: only after that may anybody resume the job."""
        reached("answer_recorded")
        toolbox().dispatcher.send(getattr(self.request, "bide_messages", Messages()))

    def on_success(self, retval: Any, task_id: str, args: Any, kwargs: Any) -> None:
        self._told()

    def on_failure(self, exc: Exception, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        if isinstance(exc, JobFailed):  # anything else is no answer: the sweeper has the caller told again
            self._told()

    def _told(self) -> None:
        answered: Answered | None = getattr(self.request, "bide_answered", None)
        if answered is None:
            return
        reached("caller_told")
        tools = toolbox()
        try:
            messages = tools.ledger.answered(
                answered.account, answered.job_id, leader=answered.leader, told=answered.told
            )
        except Exception:  # the result is out; the sweeper has the caller told once more
            log.exception("job.answer_not_noted", job_id=answered.job_id)
        else:
            tools.dispatcher.send(messages)


@app.task(base=JobTask, bind=True, throws=(JobFailed,), **GENERATE)
def generate(self: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Submit a generation job and return its stored result (`contract.JobResult`); fails with `JobFailed`.

    Takes one argument, `request`, by keyword or as the first positional one; a message of bide's own has none.
    """
    with StepLog("job.step") as line:
        result = _run(self, line, args, kwargs)
    if result is None:
        raise Retry("suspended")  # the worker is free, the caller's task says RETRY, and no message waits
    return result


def _run(task: Any, line: StepLog, args: Any, kwargs: Any) -> dict[str, Any] | None:
    """The job's result, or None to suspend."""
    line.about(job_id=str(task.request.id)[:128])
    line.headers = task.request.headers or {}
    try:
        step, account, token = _entered(task, toolbox(), args, kwargs)
        line.record = step.record
        line.about(account=str(account))
        line.note(step=step.verb.value, outcome="suspended")
        return _take_step(task, toolbox(), step, account, token)
    except (JobFailed, Ignore):
        raise
    except LedgerAwayError as error:
        line.note("warning", outcome="ledger_away", reason=str(error))
        raise Reject(str(error), requeue=True) from error
    except LeaseLostError:
        line.note("warning", outcome="lease_lost")
        raise Ignore from None
    except Exception as error:
        # The lease runs out and the sweeper decides; what may have been bought is never bought again.
        line.note("error", outcome="broke", exc_info=error)
        _suspend(task, Messages())
        return None


def _take_step(task: Any, tools: Toolbox, step: Step, account: AccountName, token: str) -> dict[str, Any] | None:
    """The job's result, or None to suspend."""
    job_id = task.request.id
    record = step.record
    if record:
        note(**told_of(record))
    match step.verb:
        case Verb.SUBMIT if record:
            task.request.bide_answered = Answered(account, job_id)  # for an end; a suspension is no answer
            _suspend(task, submit(tools, record, token, now=step.now))
            return None
        case Verb.STORE if record:
            task.request.bide_answered = Answered(account, job_id)
            try:
                return store(tools, record, token, now=step.now)
            except PutOff as again:
                _suspend(task, again.messages)
                return None
        case Verb.ANSWER if record:
            task.request.bide_answered = Answered(account, job_id)
            return _answer(record)
        case Verb.FOLLOW:
            return _follow(task, tools, account, step.other)
        case Verb.WAIT:
            _suspend(task, Messages(round=step.round))
            return None
    raise _no_step(task, step)


def _no_step(task: Any, step: Step) -> Exception:
    """What to raise for a message that leads to no step of its job."""
    match step.verb:
        case Verb.CONFLICT if step.other != task.request.id:
            return _invalid(task.request.id, "idempotency_key: was used with another request; take a new key")
        case Verb.CONFLICT:
            return _id_in_use(task)
        case Verb.MISSING:
            return _without_record(task)
    note("info" if step.verb is Verb.STALE else "warning", outcome="ignored", state=step.other or None)
    return Ignore()


def _answer(record: Record) -> dict[str, Any]:
    """What its caller is told of a job that has ended."""
    if record.state is JobState.SUCCEEDED:
        note(outcome="answered")
    else:
        note(outcome="answered", code=record.failure.code.value, reason=said(record, record.failure.message))
    return outcome(record)


def _entered(task: Any, tools: Toolbox, args: Any, kwargs: Any) -> tuple[Step, AccountName, str]:
    """Enter, or end in an answer: without a record nobody would come again to a caller who was told to wait."""
    try:
        return _enter(task, tools, args, kwargs)
    except (JobFailed, Ignore, LedgerAwayError):
        raise
    except Exception as error:
        note("error", outcome="broke", exc_info=error)
        # A record decides by itself, and the sweeper comes for it; a hint without one tells nobody what was bought.
        if tools.ledger.find(task.request.id) or not (args or kwargs):
            raise Ignore from None
        why = f"bide's own code broke ({type(error).__name__}); nothing was bought, the worker's log says more"
        raise _failed(task.request.id, FailureCode.CRASHED, why, retryable=True) from None


def _enter(task: Any, tools: Toolbox, args: Any, kwargs: Any) -> tuple[Step, AccountName, str]:
    """Open or find the record: by the request of a first message, by the header of a resuming one."""
    job_id, token = task.request.id, uuid.uuid4().hex
    if not (isinstance(job_id, str) and JOB_ID.fullmatch(job_id)):
        shown = job_id[:128].encode(errors="replace").decode() if isinstance(job_id, str) else ""
        raise _invalid(shown, "id: a job id is letters, digits and _.:- only, 128 at most")
    try:
        raw = _argument(args, kwargs)
        if raw is None:
            return _resume(task, tools, token)
        request = GenerateRequest.parse(raw)
        find(request.provider).check(request.operation, request.params, set(request.inputs))
        account = AccountName.of(request)
        tools.account(account)
        tools.check_callback(request)
    except InvalidRequestError as error:
        if opened := tools.ledger.find(job_id):  # its record decides, and the step that buys checks it again
            return tools.ledger.step(job_id, opened.account, token=token), opened.account, token
        raise _invalid(job_id, str(error)) from None
    reached("before_record")
    step = tools.ledger.step(
        job_id,
        account,
        token=token,
        request=request,
        deadline_seconds=tools.deadline_seconds(account, request.operation),
        signature=signature_of(task.request, describe(request)),
    )
    reached("recorded")
    return step, account, token


def _argument(args: Any, kwargs: Any) -> Any:
    given = [*args, *kwargs.values()]
    if len(given) > 1 or set(kwargs) - {"request"}:
        raise InvalidRequestError("request: is the one argument this task takes, positional or by that name")
    return next(iter(given), None)


def _resume(task: Any, tools: Toolbox, token: str) -> tuple[Step, AccountName, str]:
    """The step of a job that a message without a request names. The header saves a search, the ledger decides."""
    job_id, header = task.request.id, (task.request.headers or {}).get(ACCOUNT_HEADER)
    if isinstance(header, str) and _ACCOUNT.fullmatch(header):
        account = AccountName.parse(header)
        step = tools.ledger.step(job_id, account, token=token)
        if step.verb is not Verb.MISSING:
            return step, account, token
    if record := tools.ledger.find(job_id):
        return tools.ledger.step(job_id, record.account, token=token), record.account, token
    return Step(Verb.MISSING), AccountName("", ""), token


def _without_record(task: Any) -> Exception:
    """What a message comes to that brings no request for a job without a record.

    Only a job that never began is surely not bought. A caller in RETRY has a job whose record is gone.
    """
    job_id, headers = task.request.id, task.request.headers or {}
    try:
        state = task.backend.get_state(job_id)
    except Exception as error:  # the result backend is away, so the caller can't be reached either
        state = type(error).__name__
    if state == PENDING and ACCOUNT_HEADER not in headers:
        return _invalid(job_id, "request: is required")
    if state == RETRY:
        message = "the ledger has lost the record of this job; look for it at the provider before it is ordered anew"
        return _failed(job_id, FailureCode.SUBMISSION_UNKNOWN, message)
    note("warning", outcome="ignored", reason="the ledger has no record of this job")
    return Ignore()


def _id_in_use(task: Any) -> Ignore:
    """Refuse another request under the id of a known job. The result of that id belongs to the known job.

    The refusal reaches the message's own error callbacks and its chord.
    """
    job_id = task.request.id
    refusal = _invalid(job_id, "id: belongs to another job of this deployment; take a new id")
    try:
        task.backend.mark_as_failure(job_id, refusal, request=task.request, store_result=False)
    except Exception as error:
        note("warning", reason=f"its error callbacks could not be called: {type(error).__name__}")
    return Ignore()


def _follow(task: Any, tools: Toolbox, account: AccountName, leader: str) -> dict[str, Any] | None:
    """Another caller asked for the same: one purchase by `leader`, one result for both."""
    record = tools.ledger.read(account, leader)
    note(leader=leader)
    if record is None or not ended(record):
        _suspend(task, Messages())
        return None
    task.request.bide_answered = Answered(account, task.request.id, leader, told=record.state.value)
    return _answer(record)


def _suspend(task: Any, messages: Messages) -> None:
    """Leave `messages` to be sent once the suspension is stored; nobody is told of an end."""
    task.request.bide_messages = messages
    task.request.bide_answered = None


def _invalid(job_id: str, message: str) -> JobFailed:
    return _failed(job_id, FailureCode.INVALID_REQUEST, message)


def _failed(job_id: str, code: FailureCode, message: str, *, retryable: bool = False) -> JobFailed:
    note(outcome="failed", code=code.value, reason=message[:300])
    return failed(Failure(code=code, message=message[:1000], job_id=job_id, retryable=retryable))
