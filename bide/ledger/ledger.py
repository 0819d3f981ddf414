"""The moves of a job, as methods: each is one Lua script beside this file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bide.contract import FailureCode, GenerateRequest, JobState
from bide.ledger.breaker import Health
from bide.ledger.keys import ACCOUNTS_KEY, canceled_key, idempotency_key, prefix
from bide.ledger.records import (
    RECORD_VERSION,
    AccountName,
    Claim,
    Concluded,
    Messages,
    Polled,
    Record,
    Repair,
    Step,
    Verb,
)
from bide.ledger.replies import claimed_of, hint_of, messages_of, pairs, round_of
from bide.ledger.scripted import error_of
from bide.ledger.submits import Submits, bought_before
from bide.ledger.unconfirmed import Settling

__all__ = ["ACCOUNTS_KEY", "Ledger", "idempotency_key", "prefix"]

#: Job deadlines when the caller gives none and nobody else knows better [seconds].
DEFAULT_DEADLINE_SECONDS = 1800.0


class Ledger(Submits, Settling, Health):
    """All moves of all accounts on one Redis.

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
        reply = self._run(
            "job/step",
            account,
            job_id,
            token,
            request.to_json() if request else "",
            signature,
            request.operation if request else "",
            (request and request.deadline_seconds) or deadline_seconds,
            int(bool(request and request.priority == "bulk")),
            int(bool(request and request.on_unknown == "resubmit")),
            request.fingerprint() if request else "",
            self.timing.retention_seconds,
            self.timing.lease_seconds,
            limits.max_in_flight,
            limits.submits_per_second,
            str(account),
            int(take),
            RECORD_VERSION,
            keys=(idempotency_key(key) if key else "", ACCOUNTS_KEY, canceled_key(job_id)),
        )
        verb, *rest = reply
        match Verb(verb):
            case Verb.SUBMIT | Verb.STORE | Verb.ANSWER as taken:
                fields, request_json, now = rest
                return Step(taken, Record(job_id, account, pairs(fields), request_json), now=float(now))
            case Verb.WAIT:
                return Step(Verb.WAIT, round=round_of(account, rest[1:]))
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

        `attempt`: the submit that was refused, where one was: that counts also where its lease was lost meanwhile, and
        leaves the job unconfirmed (`DOUBTED`) where an earlier submit of it may have been accepted. `note`: what is to
        be known of an end that is not all it could be.
        """
        key, value = ("result", result) if result else ("error", error)
        timing, text = self.timing, (state.value, key, value)
        doubtful = bought_before(error) if state is JobState.FAILED else ""
        more = (timing.lease_seconds, timing.hold_max_seconds, attempt or "", doubtful, note)
        return Concluded(int(self._run("job/conclude", record.account, record.job_id, token, *text, *more)))

    def put_off(self, record: Record, token: str, *, seconds: float, note: str, ask_again: bool = False) -> Messages:
        """Let go of a step that could not be done this time; its message comes again after `seconds`.

        A job that is not bought yet gives its place up until then.
        """
        limits = self._limits(record.account)
        reply = self._run(
            "job/postpone",
            record.account,
            record.job_id,
            token,
            seconds,
            self.timing.hint_seconds,
            note,
            "ask" if ask_again else "",
            limits.max_in_flight,
            limits.submits_per_second,
        )
        if not reply:
            return Messages()
        hint, round_ = reply
        return Messages((hint_of(record.account, hint, seconds),), round_of(record.account, round_))

    def answered(self, account: AccountName, job_id: str, *, leader: str = "", told: str = "") -> Messages:
        """The caller of `job_id` has been told how its job (or its `leader`) ended.

        `told`: the leader's state of which it was told; where that is another by now, the caller is told again.
        """
        limits, timing = self._limits(account), self.timing
        reply = self._run(
            "job/answered",
            account,
            job_id,
            timing.retention_seconds,
            timing.hint_seconds,
            leader,
            limits.max_in_flight,
            limits.submits_per_second,
            told,
        )
        return messages_of(account, reply)

    # Polling

    def claim(self, account: AccountName, seq: int, *, batch: int) -> Claim:
        """Start the polling round `seq`: claim at most `batch` due jobs."""
        limits = self._limits(account)
        reply = self._run(
            "account/claim",
            account,
            seq,
            batch,
            self.timing.claim_seconds,
            limits.polls_per_second,
            limits.max_in_flight,
            limits.submits_per_second,
        )
        if not int(reply[0]):
            return Claim(current=False)
        return Claim(True, tuple(map(claimed_of, reply[1])), round_of(account, reply[2]), float(reply[3]))

    def reclaim(self, account: AccountName, job_ids: Iterable[str]) -> None:
        """Keep the claims on jobs whose answers are still awaited."""
        self._run("account/reclaim", account, self.timing.claim_seconds, *job_ids)

    def polled(self, account: AccountName, outcomes: Iterable[Polled]) -> Messages:
        """Record what the provider said about claimed jobs."""
        limits = self._limits(account)
        flat: list[str | float] = []
        for one in outcomes:
            unknown_for = one.unknown_for or ""
            flat += [one.job_id, one.kind, one.seconds, one.key, one.value, one.note, int(one.seen), unknown_for]
            flat += [f"{one.late_seconds:.1f}", one.word]
        reply = self._run(
            "account/polled", account, self.timing.hint_seconds, limits.max_in_flight, limits.submits_per_second, *flat
        )
        return messages_of(account, reply)

    def learn(self, account: AccountName, news: Sequence[tuple[str, str, str]]) -> list[str]:
        """Replace what is known of some operations: (operation, what it was, what it is now).

        What holds now for each: another's, where somebody else was faster, to be built upon.
        """
        return list(self._run("account/learn", account, *(part for each in news for part in each)))

    def admit(self, account: AccountName, *, most: int = 200) -> Messages:
        """Let the head of the line in, as far as there is room."""
        limits = self._limits(account)
        reply = self._run(
            "account/admit", account, limits.max_in_flight, limits.submits_per_second, self.timing.hint_seconds, most
        )
        return messages_of(account, reply)

    # Staying alive

    def renew(self, account: AccountName, leases: Sequence[tuple[str, str]]) -> list[str]:
        """Renew (job id, token) leases; returns the ids of those that are lost."""
        flat = [part for lease in leases for part in lease]
        return list(self._run("account/renew", account, self.timing.lease_seconds, *flat))

    def sweep(
        self, account: AccountName, *, backlog: Iterable[str] = (), page: int = 200
    ) -> tuple[Messages, list[Repair], bool]:
        """Mend one page of what ran out on this account's clocks. `backlog`: queues that have messages waiting.

        What to send, what was mended, and whether the page was full, so that more may wait.
        """
        limits, timing = self._limits(account), self.timing
        hints, round_, repairs, full = self._run(
            "account/sweep",
            account,
            page,
            timing.hint_seconds,
            timing.lease_seconds,
            timing.most_crashes,
            timing.retention_seconds,
            limits.max_in_flight,
            limits.submits_per_second,
            error_of(account, FailureCode.CRASHED, f"a step of this job killed its worker {timing.most_crashes} times"),
            error_of(
                account,
                FailureCode.SUBMISSION_UNKNOWN,
                "the worker died while submitting; the provider may have accepted",
            ),
            error_of(
                account, FailureCode.DEADLINE, "the deadline passed while the job waited in line; nothing was bought"
            ),
            " ".join(backlog),
            error_of(
                account,
                FailureCode.SUBMISSION_UNKNOWN,
                "the deadline passed before it was submitted again; the first submit may have been accepted",
            ),
        )
        return messages_of(account, (hints, round_)), [Repair(*repair) for repair in repairs], bool(full)

    def watch(self, account: AccountName) -> None:
        """Look after an account that another process sweeps, so that nothing looks like a silence if that one dies."""
        self._run("account/watch", account, self.timing.lease_seconds)
