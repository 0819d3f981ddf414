"""The scripts of jobs and accounts, as methods: each runs one Lua file of `scripts`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bide.contract import FailureCode, GenerateRequest, JobState
from bide.ledger import scripts
from bide.ledger.breaker import CircuitBreaker
from bide.ledger.keys import ACCOUNTS_KEY, canceled_key, idempotency_key, prefix
from bide.ledger.records import (
    AccountName,
    Claim,
    Concluded,
    Limits,
    Messages,
    Polled,
    Record,
    Repair,
    Step,
    Timing,
    Verb,
)
from bide.ledger.replies import claimed_of, hint_of, messages_of, pairs, round_of
from bide.ledger.script import Key
from bide.ledger.scripted import error_of
from bide.ledger.submits import Submits, bought_before
from bide.ledger.unconfirmed import UnconfirmedSubmits

__all__ = ["ACCOUNTS_KEY", "Ledger", "idempotency_key", "prefix"]

#: Job deadlines when neither the caller nor the settings give one [seconds].
DEFAULT_DEADLINE_SECONDS = 1800.0

#: How the sweeper ends a job whose worker died during its submit.
DIED_SUBMITTING = "the worker died while submitting; the provider may have accepted"

#: How the sweeper ends a job whose deadline passed in line, where it was not bought and where it may have been.
LATE_IN_LINE = "the deadline passed while the job waited in line; nothing was bought"
LATE_BEFORE_RESUBMIT = "the deadline passed before it was submitted again; the first submit may have been accepted"


class Ledger(Submits, UnconfirmedSubmits, CircuitBreaker):
    """All scripts of all accounts on one Redis.

    Every method raises `LedgerAwayError` when Redis stays away.
    """

    # A message for a job

    def open(self, job_id: str, request: GenerateRequest, *, deadline_seconds: float, signature: str = "") -> Step:
        """Write the record, or find it: OPENED, FOLLOW, CONFLICT or VERSION."""
        return self._step(job_id, AccountName.of(request), "", request, deadline_seconds, signature, take=False)

    def step(
        self,
        job_id: str,
        account: AccountName,
        *,
        token: str,
        request: GenerateRequest | None = None,
        deadline_seconds: float = DEFAULT_DEADLINE_SECONDS,
        signature: str = "",
    ) -> Step:
        """Open or find the record and take the step it allows, under a lease named `token`."""
        return self._step(job_id, account, token, request, deadline_seconds, signature, take=True)

    def _step(
        self,
        job_id: str,
        account: AccountName,
        token: str,
        request: GenerateRequest | None,
        deadline_seconds: float,
        signature: str,
        *,
        take: bool,
    ) -> Step:
        limits = self._limits(account)
        key = request.idempotency_key if request else None
        script = scripts.job.Step(
            idempotency_key=Key(idempotency_key(key) if key else ""),
            accounts=Key(ACCOUNTS_KEY),
            canceled=Key(canceled_key(job_id)),
            id=job_id,
            token=token,
            request=request.to_json() if request else "",
            signature=signature,
            operation=request.operation if request else "",
            deadline_seconds=str((request and request.deadline_seconds) or deadline_seconds),
            bulk=bool(request and request.priority == "bulk"),
            resubmit=bool(request and request.on_unknown == "resubmit"),
            fingerprint=request.fingerprint() if request else "",
            retention_seconds=self.timing.retention_seconds,
            lease_seconds=self.timing.lease_seconds,
            max_in_flight=limits.max_in_flight,
            submits_per_second=limits.submits_per_second,
            account_name=str(account),
            take=take,
        )
        verb, *rest = self._run(account, script)
        match Verb(verb):
            case Verb.SUBMIT | Verb.STORE | Verb.ANSWER as taken:
                fields, request_json, kept, now = rest
                record = Record(job_id, account, pairs(fields), request_json)
                return Step(taken, record, now=float(now), signature=kept)
            case Verb.WAIT:
                return Step(Verb.WAIT, round=round_of(account, rest[1:]), signature=rest[0])
            case Verb.FOLLOW:
                return Step(Verb.FOLLOW, other=rest[0], signature=rest[1] if len(rest) > 1 else None)
            case other:
                return Step(other, other=rest[0] if rest else "")

    # Ending

    def conclude(
        self,
        record: Record,
        token: str,
        state: JobState,
        *,
        result: str = "",
        error: str = "",
        attempt: int = 0,
        note: str = "",
    ) -> Concluded:
        """End the job under our lease, as far as it was ours and no other submit of it says otherwise.

        `attempt`: the submit that was refused, where one was. That counts also where its lease was lost meanwhile. It
        leaves the job unconfirmed (`UNCONFIRMED`) where an earlier submit of it may have been accepted. `note`: what
        people need to know of this end.
        """
        key, value = ("result", result) if result else ("error", error)
        script = scripts.job.Conclude(
            id=record.job_id,
            token=token,
            ending=state.value,
            field=key,
            value=value,
            lease_seconds=self.timing.lease_seconds,
            longest_block_seconds=self.timing.hold_max_seconds,
            attempt=str(attempt or ""),
            unconfirmed_error=bought_before(error) if state is JobState.FAILED else "",
            note=note,
        )
        return Concluded(int(self._run(record.account, script)))

    def postpone(self, record: Record, token: str, *, seconds: float, note: str, ask_again: bool = False) -> Messages:
        """Let go of a step that could not be done this time; its message comes again after `seconds`.

        A job that is not bought yet gives its place up until then.
        """
        limits = self._limits(record.account)
        script = scripts.job.Postpone(
            id=record.job_id,
            token=token,
            seconds=seconds,
            hint_seconds=self.timing.hint_seconds,
            note=note,
            ask_again=ask_again,
            max_in_flight=limits.max_in_flight,
            submits_per_second=limits.submits_per_second,
        )
        reply = self._run(record.account, script)
        if not reply:
            return Messages()
        hint, round_ = reply
        return Messages((hint_of(record.account, hint, seconds),), round_of(record.account, round_))

    def answered(self, account: AccountName, job_id: str, *, leader: str = "", known_state: str = "") -> Messages:
        """The caller of `job_id` knows how its job (or its `leader`) ended.

        `known_state`: the state of the leader that this caller knows. Where the leader has another by now, the
        caller gets a message again.
        """
        limits = self._limits(account)
        script = scripts.job.Answered(
            id=job_id,
            retention_seconds=self.timing.retention_seconds,
            hint_seconds=self.timing.hint_seconds,
            leader=leader,
            max_in_flight=limits.max_in_flight,
            submits_per_second=limits.submits_per_second,
            known_state=known_state,
        )
        return messages_of(account, self._run(account, script))

    # Polling

    def claim(self, account: AccountName, seq: int, *, batch: int) -> Claim:
        """Start the polling round `seq`: claim at most `batch` due jobs."""
        limits = self._limits(account)
        script = scripts.account.Claim(
            seq=seq,
            batch=batch,
            claim_seconds=self.timing.claim_seconds,
            polls_per_second=limits.polls_per_second,
            max_in_flight=limits.max_in_flight,
            submits_per_second=limits.submits_per_second,
        )
        reply = self._run(account, script)
        if not int(reply[0]):
            return Claim(current=False)
        return Claim(True, tuple(map(claimed_of, reply[1])), round_of(account, reply[2]), float(reply[3]))

    def reclaim(self, account: AccountName, job_ids: Iterable[str]) -> None:
        """Keep the claims on jobs whose answers are still awaited."""
        self._run(account, scripts.account.Reclaim(claim_seconds=self.timing.claim_seconds, ids=[*job_ids]))

    def polled(self, account: AccountName, outcomes: Iterable[Polled]) -> Messages:
        """Record what polls of claimed jobs came to."""
        limits = self._limits(account)
        script = scripts.account.Polled(
            hint_seconds=self.timing.hint_seconds,
            max_in_flight=limits.max_in_flight,
            submits_per_second=limits.submits_per_second,
            outcomes=[_outcome(polled) for polled in outcomes],
        )
        return messages_of(account, self._run(account, script))

    def learn(self, account: AccountName, news: Sequence[tuple[str, str, str]]) -> list[str]:
        """Replace the duration models of some operations: (operation, what it was, what it is now).

        Returns what holds now for each: another process's model, where that one was faster, to be built upon.
        """
        script = scripts.account.Learn(news=[scripts.account.Model(*each) for each in news])
        return list(self._run(account, script))

    def admit(self, account: AccountName, *, most: int = 200) -> Messages:
        """Let the head of the line in, as far as there is room."""
        limits = self._limits(account)
        script = scripts.account.Admit(
            max_in_flight=limits.max_in_flight,
            submits_per_second=limits.submits_per_second,
            hint_seconds=self.timing.hint_seconds,
            most=most,
        )
        return messages_of(account, self._run(account, script))

    # Staying alive

    def renew(self, account: AccountName, leases: Sequence[tuple[str, str]]) -> list[str]:
        """Renew (job id, token) leases; returns the ids of those that are lost."""
        each = [scripts.account.Lease(*lease) for lease in leases]
        script = scripts.account.Renew(lease_seconds=self.timing.lease_seconds, leases=each)
        return list(self._run(account, script))

    def sweep(
        self, account: AccountName, *, backlog: Iterable[str] = (), page: int = 200
    ) -> tuple[Messages, list[Repair], bool]:
        """Mend one page of what ran out on this account's clocks. `backlog`: queues that have messages waiting.

        What to send, what was mended, and whether the page was full, so that more may wait.
        """
        script = _sweep(account, self._limits(account), self.timing, backlog, page)
        hints, round_, repairs, full = self._run(account, script)
        return messages_of(account, (hints, round_)), [Repair(*repair) for repair in repairs], bool(full)

    def watch(self, account: AccountName) -> None:
        """Note that a process is alive while another sweeps the account; if that one dies, it is no silence."""
        self._run(account, scripts.account.Watch(lease_seconds=self.timing.lease_seconds))


def _sweep(
    account: AccountName, limits: Limits, timing: Timing, backlog: Iterable[str], page: int
) -> scripts.account.Sweep:
    errors = {
        "crashed_error": (FailureCode.CRASHED, f"a step of this job killed its worker {timing.most_crashes} times"),
        "unconfirmed_error": (FailureCode.SUBMISSION_UNKNOWN, DIED_SUBMITTING),
        "deadline_error": (FailureCode.DEADLINE, LATE_IN_LINE),
        "deadline_unconfirmed_error": (FailureCode.SUBMISSION_UNKNOWN, LATE_BEFORE_RESUBMIT),
    }
    return scripts.account.Sweep(
        page=page,
        hint_seconds=timing.hint_seconds,
        lease_seconds=timing.lease_seconds,
        most_crashes=timing.most_crashes,
        retention_seconds=timing.retention_seconds,
        max_in_flight=str(limits.max_in_flight),
        submits_per_second=str(limits.submits_per_second),
        backlog=" ".join(backlog),
        **{name: error_of(account, code, message) for name, (code, message) in errors.items()},
    )


def _outcome(polled: Polled) -> scripts.account.Outcome:
    return scripts.account.Outcome(
        id=polled.job_id,
        kind=polled.kind,
        seconds=polled.seconds,
        key=polled.key,
        value=polled.value,
        note=polled.note,
        seen=polled.seen,
        unknown_for=str(polled.unknown_for or ""),
        late_seconds=f"{polled.late_seconds:.1f}",
        word=polled.word,
    )
