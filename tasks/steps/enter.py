"""The step that opens or finds a job's record: by the request of a first message, by the header of a later one."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from celery.states import PENDING, RETRY

from bide.contract import JOB_ID, NAME, REPEATED_NAME_HEADER, Failure, FailureCode, GenerateRequest
from bide.crashpoints import reached
from bide.describe import describe
from bide.errors import InvalidRequestError, LedgerAwayError, NotReplicatedError
from bide.ledger import AccountName, Record, Step, Verb
from bide.providers.fallbacks import check_in_turn
from tasks.steps.outcome import Fail, Ignore
from tasks.steps.put_off import REPLICAS_HOLD_SECONDS
from workers.accounts import AccountContext
from workers.io.callback_check import check_callback
from workers.services.dispatcher import ACCOUNT_HEADER
from workers.telemetry.step_log import note
from workers.toolbox import Toolbox

#: What a header that names an account looks like: `provider/account`, each a name of the contract.
_ACCOUNT = re.compile(rf"{NAME.pattern}/{NAME.pattern}")


@dataclass(frozen=True, repr=False)  # it holds a prompt
class Message:
    """What a step reads of the Celery message that brought it; all of it as it came, and so of any type."""

    job_id: Any
    args: Any = ()
    kwargs: Any = None
    headers: Any = None
    #: What is kept of the message so that its job can be resumed, from a description of its request.
    signature: Callable[[str], str] = lambda _: ""
    #: The state of the caller's result in Celery's result backend.
    result_state: Callable[[], str] = lambda: PENDING
    #: Puts the caller's message, as the ledger keeps it, in place of this one.
    restore_caller: Callable[[str], None] = lambda _: None

    @property
    def account(self) -> AccountName | None:
        """The account that a message of bide's own names: it saves a search, the ledger decides."""
        header = (self.headers or {}).get(ACCOUNT_HEADER)
        return AccountName.parse(header) if isinstance(header, str) and _ACCOUNT.fullmatch(header) else None


@dataclass(frozen=True)
class Entered:
    """The step that the ledger allows, and the token of its lease."""

    step: Step
    account: AccountName
    token: str


def enter(tools: Toolbox, message: Message) -> Entered | Fail | Ignore:
    """The next step of the message's job, or an answer.

    Without a record nobody would come again: a caller whose message breaks bide's own code hears of it at once.
    """
    try:
        return _enter(tools, message)
    except LedgerAwayError:
        raise
    except Exception as error:
        note("error", outcome="broke", exc_info=error)
        # A record decides by itself, and the sweeper comes for it; a hint without one tells nobody what was bought.
        if tools.ledger.jobs.find(message.job_id) or not (message.args or message.kwargs):
            return Ignore("broke")
        why = f"bide's own code broke ({type(error).__name__}); nothing was bought, the worker's log says more"
        return without_record(message, why, code=FailureCode.CRASHED, retryable=True)


def refuse(job_id: str, code: FailureCode, message: str, *, retryable: bool = False) -> Fail:
    """The failure of a job that has no record."""
    note(outcome="failed", code=code.value, reason=message[:300])
    return Fail(Failure(code=code, message=message[:1000], job_id=job_id, retryable=retryable))


def without_record(
    message: Message, why: str = "", *, code: FailureCode = FailureCode.INVALID_REQUEST, retryable: bool = False
) -> Fail | Ignore:
    """The outcome of a message for a job that has no record: refused for the reason `why`, if the job never began.

    Nothing was bought for an id without a result. A caller in RETRY has a job whose record is gone: what was bought is
    not known. Any other result stays as it is. Raises `LedgerAwayError` where the result backend is away.
    """
    try:
        state = message.result_state()
    except Exception as error:
        raise LedgerAwayError(f"the result backend does not answer: {type(error).__name__}") from error
    if state == PENDING and why:
        return refuse(message.job_id, code, why, retryable=retryable)
    if state == RETRY:
        lost = "the ledger has lost the record of this job; look for it at the provider before it is ordered anew"
        return refuse(message.job_id, FailureCode.SUBMISSION_UNKNOWN, lost)
    note("warning", outcome="ignored", reason="the ledger has no record of this job")
    return Ignore("no_record")


def refuse_invalid(job_id: str, message: str) -> Fail:
    """The failure of a request that could never be done."""
    return refuse(job_id, FailureCode.INVALID_REQUEST, message)


def id_in_use(message: Message) -> Ignore:
    """Refuse another request under the id of a known job. The result of that id belongs to the known job."""
    refusal = refuse_invalid(message.job_id, "id: belongs to another job of this deployment; take a new id")
    return Ignore("id_in_use", refusal=refusal.failure)


def _enter(tools: Toolbox, message: Message) -> Entered | Fail | Ignore:
    job_id = message.job_id
    if not (isinstance(job_id, str) and JOB_ID.fullmatch(job_id)):
        shown = job_id[:128].encode(errors="replace").decode() if isinstance(job_id, str) else ""
        return refuse_invalid(shown, "id: a job id is letters, digits and _.:- only, 128 at most")
    request: GenerateRequest | None = None
    try:
        raw = _argument(message.args, message.kwargs or {})
        if raw is None:
            return _resume(tools, message)
        _check_names(message)
        request = GenerateRequest.parse(raw)
        account = _checked_account(tools, request)
    except InvalidRequestError as error:
        opened = tools.ledger.jobs.find(job_id)
        if opened is None:
            return without_record(message, str(error))
        if request is not None and request.fingerprint() != opened.text("fp"):
            return id_in_use(message)
        return _next_step(tools, job_id, opened.account)  # its record decides, and the step that buys checks it again
    return _open(tools, message, request, account)


def _argument(args: Any, kwargs: Mapping[str, Any]) -> Any:
    arguments = [*args, *kwargs.values()]
    if len(arguments) > 1 or set(kwargs) - {"request"}:
        raise InvalidRequestError("request: is the one argument this task takes, positional or by that name")
    return next(iter(arguments), None)


def _check_names(message: Message) -> None:
    """Raise `InvalidRequestError` where the JSON of a message had a name twice, of which one value is lost."""
    if (message.headers or {}).get(REPEATED_NAME_HEADER):
        raise InvalidRequestError("request: a name stands twice in one of its objects; each may stand there once")


def _checked_account(tools: Toolbox, request: GenerateRequest) -> AccountContext:
    """The account of a request that can be done here; raises `InvalidRequestError`."""
    account = check_in_turn(request, tools.accounts.usable)
    check_callback(request, tools.settings.callbacks)
    return account


def _open(tools: Toolbox, message: Message, request: GenerateRequest, account: AccountContext) -> Entered:
    """Open the record of a first message; the record of a second one is there already, and decides."""
    token = uuid.uuid4().hex
    reached("before_record")
    try:
        step = tools.ledger.jobs.step(
            message.job_id,
            account.name,
            token=token,
            request=request,
            deadline_seconds=account.deadline_seconds(request.operation),
            signature=message.signature(describe(request)),
            lane=account.lane(request),
        )
    except NotReplicatedError as error:  # its message is kept; on a new leader it opens the record anew
        with suppress(NotReplicatedError):
            record = Record(message.job_id, account.name, {})
            tools.ledger.submits.take_back(record, token, seconds=REPLICAS_HOLD_SECONDS, reason=str(error)[:300])
        raise
    reached("recorded")
    return Entered(step, step.account or account.name, token)


def _resume(tools: Toolbox, message: Message) -> Entered:
    """The step of a job that a message without a request names."""
    if account := message.account:
        entered = _next_step(tools, message.job_id, account)
        if entered.step.verb is not Verb.MISSING:
            return entered
    if record := tools.ledger.jobs.find(message.job_id):
        return _next_step(tools, message.job_id, record.account)
    return Entered(Step(Verb.MISSING), AccountName("", ""), "")


def _next_step(tools: Toolbox, job_id: str, account: AccountName) -> Entered:
    token = uuid.uuid4().hex
    step = tools.ledger.jobs.step(job_id, account, token=token)
    return Entered(step, step.account or account, token)
