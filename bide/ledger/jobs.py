"""The scripts of one job: open it, take a step, end it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bide.contract import SUBMIT_QUEUE, Failure, FailureCode, GenerateRequest, JobState
from bide.errors import NotReplicatedError
from bide.fallback import MOST_FALLBACKS
from bide.ledger import scripts
from bide.ledger.executor import Executor
from bide.ledger.failures import bought_before, canceled_meanwhile, error_of
from bide.ledger.keys import ACCOUNTS_KEY, canceled_key, idempotency_key, prefix
from bide.ledger.packed import record_of
from bide.ledger.packing import Packer
from bide.ledger.records import AccountName, Concluded, Hint, Messages, Record, Step, Verb
from bide.ledger.replies import hint_of, messages_of, pairs, round_of
from bide.ledger.script import Key
from bide.ledger.settling import Doubt, in_one_line

#: Job deadlines when neither the caller nor the settings give one [seconds].
DEFAULT_DEADLINE_SECONDS = 1800.0

#: The message of a canceled job.
CANCELED = "canceled on request; what the provider has accepted stands and is charged"


@dataclass(frozen=True)
class RecordCopy:
    """All that the ledger has of a live job."""

    fields: Mapping[str, str] = field(repr=False)
    request_json: str = field(repr=False)
    #: What is kept of the caller's message.
    signature: str = field(repr=False)


@dataclass(frozen=True)
class Opening:
    """A job whose record is to be written, or found.

    `request` None: found only. `signature` of the caller's message, as `Step.signature`.
    """

    job_id: str
    account: AccountName
    request: GenerateRequest | None
    deadline_seconds: float
    signature: str = ""


class JobScripts:
    """Opens, reads, leases and ends jobs; each method raises `LedgerAwayError` when Redis stays away."""

    def __init__(self, executor: Executor, packer: Packer) -> None:
        self._executor, self._packer = executor, packer

    # A message for a job

    def open(self, job_id: str, request: GenerateRequest, *, deadline_seconds: float, signature: str = "") -> Step:
        """Write the record, or find it; the verb is OPENED, FOLLOW, CONFLICT or VERSION."""
        opening = Opening(job_id, AccountName.of(request), request, deadline_seconds, signature)
        [step] = self.open_many([opening])
        if isinstance(step, Exception):
            raise step
        return step

    def open_many(self, openings: Sequence[Opening]) -> list[Step | Exception]:
        """Write records, or find them, in one round trip; the verbs are those of `open`, or why one was not written.

        Raises `LedgerAwayError` where Redis stays away: then it is not known which of them were written. Raises
        `NotReplicatedError` where all are written, and too few replicas have them.
        """
        replies = self._executor.run_many_safely((each.account, _script_of(each)) for each in openings)
        return [
            reply if isinstance(reply, Exception) else self._where_it_is(each, _step_of(each, reply))
            for each, reply in zip(openings, replies, strict=True)
        ]

    def step(
        self,
        job_id: str,
        account: AccountName,
        *,
        token: str,
        request: GenerateRequest | None = None,
        deadline_seconds: float = DEFAULT_DEADLINE_SECONDS,
        signature: str = "",
        lane: str = "",
    ) -> Step:
        """Open or find the record, and take the step that it allows, under a lease named `token`.

        `lane`: that of the request, as `bide.providers.lanes` gives it. Raises `NotReplicatedError` where a record with
        `request` is written and not safe: the message that brings it must come again, see `SubmitScripts.take_back`.
        """
        opening = Opening(job_id, account, request, deadline_seconds, signature)
        step = self._safe_step(opening, _script_of(opening, token=token, take=True, lane=lane))
        return self._where_it_is(opening, step, token=token, take=True)

    def _safe_step(self, opening: Opening, script: scripts.job.Step) -> Step:
        if opening.request is None:
            return _step_of(opening, self._executor.run(opening.account, script))
        try:
            return _step_of(opening, self._executor.run_safely(opening.account, script))
        except NotReplicatedError as error:
            step = _step_of(opening, error.replies[0])
            if step.verb in (Verb.STORE, Verb.ANSWER, Verb.MOVED):  # no new record
                return step
            raise

    def _where_it_is(self, opening: Opening, step: Step, **how: Any) -> Step:
        """The step at the account that has the job, where that has left the account of its request."""
        while step.verb is Verb.MOVED:
            opening = replace(opening, account=AccountName.parse(step.other))
            reply = self._executor.run(opening.account, _script_of(opening, **how))
            step = replace(_step_of(opening, reply), account=opening.account)
        return step

    # Ending

    def conclude(  # noqa: PLR0913 - all of it is one end
        self,
        record: Record,
        token: str,
        state: JobState,
        *,
        result: str = "",
        error: str = "",
        attempt: int = 0,
        note: str = "",
        outputs: str = "",
        final: bool = False,
        doubt: Doubt | None = None,
    ) -> Concluded:
        """End the job under our lease, as far as it was ours and no other submit of it says otherwise.

        `attempt`: the submit that was refused, where one was. That counts also where its lease was lost meanwhile. It
        leaves the job unconfirmed (`UNCONFIRMED`) where an earlier submit of it may have been accepted, and ends it as
        canceled (`CANCELED`) where it was canceled during this one. `note`: what
        people need to know of this end. `outputs`: the addresses of a result that was refused, so that it can be found.
        `final`: a failure after which no fallback is tried.

        `doubt`: what a submit that may have been accepted (`JobState.UNCONFIRMED`) needs to be settled by its promise.
        """
        key, value = ("result", result) if result else ("error", error)
        known = doubt or Doubt()
        script = scripts.job.Conclude(
            id=record.job_id,
            token=token,
            ending=state.value,
            field=key,
            value=value,
            attempt=str(attempt or ""),
            unconfirmed_error=bought_before(error) if state is JobState.FAILED else "",
            canceled_error="" if state is JobState.SUCCEEDED else canceled_meanwhile(error),
            note=note,
            outputs=outputs,
            final=final,
            settle_seconds=known.settle_seconds,
            received=known.received,
            evidence=in_one_line(known.evidence),
        )
        return Concluded(int(self._executor.run(record.account, script)))

    def went_on(self, record: Record) -> Messages:
        """What brings a worker to a job at its next account; `record` is that of the one which it has left just now."""
        account = record.next_account
        if account is None:
            return Messages()
        key = f"{prefix(account)}body:{record.job_id}"
        signature = self._executor.reach(lambda server: server.hget(key, "signature"))
        return Messages((Hint(account, record.job_id, SUBMIT_QUEUE, str(signature or "")),))

    def postpone(
        self, record: Record, token: str, *, seconds: float, note: str, ask_again: bool = False, home: str = ""
    ) -> Messages:
        """Let go of a step that could not be done this time; its message comes again after `seconds`.

        A job that is not bought yet gives its place up until then. `ask_again`: the provider is asked for fresh
        addresses. `home`: the outputs that are stored already, as `tasks.steps.home` writes them; '' for no news.
        """
        script = scripts.job.Postpone(
            id=record.job_id, token=token, seconds=seconds, note=note, ask_again=ask_again, home=home
        )
        reply = self._executor.run(record.account, script)
        if not reply:
            return Messages()
        hint, round_ = reply
        return Messages((hint_of(record.account, hint, seconds),), round_of(record.account, round_))

    def answered(
        self, account: AccountName, job_id: str, *, leader: str = "", known_state: str = "", again: bool = False
    ) -> Messages:
        """Record that the caller of `job_id` has the end of its job (or of its `leader`); returns what to send.

        `known_state`: the state of the leader that this caller knows. Where the leader has another by now, the
        caller gets a message again. `again`: a failover may lose the answer, so that its message comes once more.
        """
        script = scripts.job.Answered(id=job_id, leader=leader, known_state=known_state, again=again)
        reply = self._executor.run(account, script)
        self._packer.pack(account, leader or job_id, reply[3])
        return messages_of(account, reply)

    def cancel(self, account: AccountName, job_id: str, *, at_provider: bool = False) -> tuple[str, Messages]:
        """Cancel at once. The state the job was in ('' where there is none), and the hint that tells its caller.

        `at_provider`: a job that its provider has, or may have, goes on until that has stopped it, or reported its end.
        """
        error = error_of(account, FailureCode.CANCELED, CANCELED, job_id=job_id)
        script = scripts.job.Cancel(
            id=job_id, error=error, at_provider=at_provider, unconfirmed_error=bought_before(error)
        )
        state, *rest = self._executor.run(account, script)
        return state, Messages((hint_of(account, rest),)) if rest else Messages()

    def cancel_unknown(self, job_id: str) -> None:
        """Cancel a job that is not opened yet: the worker that opens it finds it canceled, and buys nothing."""
        failure = Failure(code=FailureCode.CANCELED, message=CANCELED, job_id=job_id)
        kept_seconds = self._executor.timing.retention_seconds
        self._executor.reach(
            lambda server: server.set(canceled_key(job_id), failure.model_dump_json(), ex=kept_seconds)
        )

    # Leases

    def renew_leases(self, account: AccountName, leases: Sequence[tuple[str, str]]) -> list[str]:
        """Renew leases (job id, token); returns the ids of those that are lost."""
        each = [scripts.account.Lease(*lease) for lease in leases]
        script = scripts.account.Renew(leases=each)
        return list(self._executor.run(account, script))

    # Reading

    def read(self, account: AccountName, job_id: str) -> Record | None:
        """One record with its request; None where the account has none of that id."""
        pipeline = self._executor.pipeline()
        pipeline.hgetall(f"{prefix(account)}job:{job_id}")
        pipeline.hget(f"{prefix(account)}body:{job_id}", "request")
        fields, request = self._executor.execute(pipeline)
        return record_of(job_id, account, fields, request) if fields else None

    def copy_of(self, record: Record) -> RecordCopy:
        """A live job as it stands now."""
        pipeline = self._executor.pipeline()
        pipeline.hgetall(f"{prefix(record.account)}job:{record.job_id}")
        pipeline.hmget(f"{prefix(record.account)}body:{record.job_id}", "request", "signature")
        fields, (request, signature) = self._executor.execute(pipeline)
        return RecordCopy(fields, request or "", signature or "")

    def followers(self, account: AccountName, job_id: str) -> dict[str, str]:
        """The signatures of the callers that wait for this job's result besides its own, by their ids."""
        return dict(self._executor.reach(lambda server: server.hgetall(f"{prefix(account)}followers:{job_id}")))

    def find(self, job_id: str) -> Record | None:
        """The record of a job whose account is not known; None where no account has one of that id."""
        for _ in range(MOST_FALLBACKS + 1):  # it may go on at another account between two reads
            record, has_moved = self._look_for(job_id)
            if record or not has_moved:
                break
        return record

    def _look_for(self, job_id: str) -> tuple[Record | None, bool]:
        """The record of a job, as far as one look finds it; and whether an account remembers that the job has moved."""
        names = self._executor.accounts()
        pipeline = self._executor.pipeline()
        for name in names:
            pipeline.exists(f"{prefix(name)}job:{job_id}")
            pipeline.exists(f"{prefix(name)}left:{job_id}")
        found = self._executor.execute(pipeline) if names else []
        there = next((name for name, exists in zip(names, found[::2], strict=True) if exists), None)
        return self.read(there, job_id) if there else None, bool(there) or any(found[1::2])


def _script_of(opening: Opening, *, token: str = "", take: bool = False, lane: str = "") -> scripts.job.Step:
    request = opening.request
    key = request.idempotency_key if request else None
    return scripts.job.Step(
        idempotency_key=Key(idempotency_key(key) if key else ""),
        accounts=Key(ACCOUNTS_KEY),
        canceled=Key(canceled_key(opening.job_id)),
        id=opening.job_id,
        token=token,
        request=request.to_json() if request else "",
        signature=opening.signature,
        operation=request.operation if request else "",
        deadline_seconds=str((request and request.deadline_seconds) or opening.deadline_seconds),
        bulk=bool(request and request.priority == "bulk"),
        resubmit=bool(request and request.on_unknown == "resubmit"),
        fingerprint=request.fingerprint() if request else "",
        account_name=str(opening.account),
        take=take,
        lane=lane,
        fallbacks=len(request.fallbacks) if request else 0,
        tenant=(request and request.tenant) or "",
    )


def _step_of(opening: Opening, reply: Any) -> Step:
    verb, *rest = reply
    match Verb(verb):
        case Verb.SUBMIT | Verb.STORE | Verb.ANSWER as taken:
            fields, request_json, kept, now = rest
            record = record_of(opening.job_id, opening.account, pairs(fields), request_json)
            return Step(taken, record, now=float(now), signature=kept)
        case Verb.WAIT:
            return Step(Verb.WAIT, round=round_of(opening.account, rest[1:]), signature=rest[0])
        case Verb.FOLLOW:
            return Step(Verb.FOLLOW, other=rest[0], signature=rest[1] if len(rest) > 1 else None)
        case other:
            return Step(other, other=rest[0] if rest else "")
