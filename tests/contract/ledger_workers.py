"""What callers and workers do to the ledger of the machine: send messages, take steps, record answers, also twice."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter, defaultdict
from typing import Any

from bide.contract import GenerateRequest, JobState
from bide.ledger import AccountName, Hint, Messages, Round, Step, Verb
from bide.ledger.settling import LISTING, Doubt
from bide.ledger.submits import TOO_LATE, UNREPEATABLE
from tests.contract.ledger_life import (
    WORK,
    Lease,
    a_request,
    among,
    either,
    either_account,
    event,
    lane_of,
    promise_of,
    several,
    some,
)
from tests.contract.ledger_people import People
from tests.contract.ledger_stage import ERROR, SIGNATURE


class Workers(People):
    """The part of `LedgerMachine` with the events of callers and workers."""

    post: list[Hint | Round]
    leases: list[Lease]
    to_answer: list[tuple[AccountName, str, str]]
    claimed: list[tuple[AccountName, str]]
    bought: defaultdict[str, Counter[str]]
    tokens: int
    usual: str
    most_jobs: int
    events: int

    # Messages

    @event(
        weight=3,
        account=either_account,
        number=among(*range(24)),
        how=among(*["sent"] * 5, "opened", "opened", "mistaken"),
    )
    def call(self, account: AccountName, number: int, how: str) -> None:
        """A caller's message arrives, or a client opens the record first, or an id comes up with another request."""
        generation = max(0, self.events // 15 - number // 12)
        number = generation * 12 + number % self.most_jobs
        job_id = f"{account.provider[0]}{number}"
        request = a_request(account, number)
        if how == "mistaken":
            request = request.model_copy(update={"params": {"prompt": "mistaken"}})
        if how == "opened":
            self.ledger.jobs.open(job_id, request, deadline_seconds=1800)
        else:
            self._step(account, job_id, request)
        if (account, job_id) not in self.sent:
            self.sent.append((account, job_id))

    @event(
        weight=4,
        fates=several(among(*["delivered"] * 3, "doubled", "lost", "waits"), 3, 8),
    )
    def messages(self, fates: list[str]) -> None:
        """Hints and rounds arrive, once or to come again, or wait, or are lost."""
        for one, fate in zip(tuple(self.post), fates, strict=False):
            if fate in ("delivered", "lost"):
                self.post.remove(one)
            if fate in ("lost", "waits"):
                continue
            if isinstance(one, Round):
                self._claim(one.account, one.seq, batch=2)
            else:
                self._step(one.account, one.job_id)

    # Workers

    @event(
        weight=7,
        which=some,
        whats=several(among(*WORK), 2, 6),
        seconds=among(0.5, 3, 200),
        repeated=either,
    )
    def work(self, which: int, whats: list[str], seconds: float, repeated: bool) -> None:
        """Workers go on with their steps, whether they still have the leases or not; each script may run twice."""
        for lease, what in zip((self.leases * 2)[which % (len(self.leases) or 1) :], whats, strict=False):
            if lease not in self.leases:
                continue
            self._work(lease, self.usual if what == "as usual" else what, seconds, repeated)
            self.nothing_is_out_of_place()

    def _work(self, lease: Lease, what: str, seconds: float, repeated: bool) -> None:
        if what == "intend":
            self._intend(lease)
        elif what == "put off":
            self._put_off(lease)
        elif what == "die":
            self.leases.remove(lease)
        elif lease.verb is Verb.STORE:
            self._conclude(lease, JobState.SUCCEEDED if what.startswith("accepted") else JobState.FAILED, repeated)
        elif what == "invalid" and not lease.attempt:
            self._conclude(lease, JobState.FAILED, repeated)
        elif lease.record.settling and lease.record.text("contract") == "reject" and not lease.attempt:
            self._look_up(lease, what, repeated)
        elif lease.record.settling and lease.record.text("contract") == LISTING and not lease.attempt:
            self._look_at_list(lease, what, repeated)
        elif self._intend(lease):
            self._hear(lease, what, seconds, repeated)
        elif lease.too_late:
            self._conclude(lease, JobState.FAILED, repeated)
        else:
            self.leases.remove(lease)

    def _intend(self, lease: Lease, absent: str = "") -> bool:
        if lease.verb is Verb.SUBMIT and not lease.attempt:
            job_id, promise = lease.record.job_id, promise_of(lease.record, f"key of {lease.token}")
            quote = self.bill.quote(job_id, free=promise.free)
            more: dict[str, Any] = {"promise": promise, "absent": absent, "lane": lane_of(job_id), "quote": quote}
            attempt, again = (self.ledger.submits.intend(lease.record, lease.token, **more) for _ in range(2))
            assert attempt == again
            lease.too_late = attempt in (TOO_LATE, UNREPEATABLE)
            if attempt > 0:
                lease.key = promise.key or f"{'free' if promise.free else lease.token}"
                others = sum(1 for key, times in self.bought[job_id].items() if times > 0 and key != lease.key)
                assert others <= self.allowed[job_id], f"{job_id} is bought again"
                self.bought[job_id][lease.key] += 1
                lease.attempt = attempt
                self.bill.begin(lease.record, attempt, lease.key, quote, at=self.clock.now, absent=bool(absent))
        return lease.attempt > 0

    def _look_up(self, lease: Lease, what: str, repeated: bool) -> None:
        """The provider is asked for a job by its key: it has it, or surely does not, or the answer does not say."""
        record = lease.record
        bought = self.bought[record.job_id][record.text("submit_key")] > 0
        if what.startswith("accepted") and bought:
            lease.attempt = int(record.number("submits"))
            self._accepted(lease, 2, at_once=False, repeated=repeated)
        elif what.startswith("accepted") and self._intend(lease, absent="surely not there"):
            self._hear(lease, what, 2, repeated)
        elif lease.too_late:
            self._conclude(lease, JobState.FAILED, repeated)
        elif not what.startswith("accepted"):
            self._conclude(lease, JobState.UNCONFIRMED, repeated)
        else:
            self.leases.remove(lease)

    def _look_at_list(self, lease: Lease, what: str, repeated: bool) -> None:
        """The provider's list is looked at: it has the job or does not, or can't be had; nothing is sent again."""
        job_id = lease.record.job_id
        bought = [key for key, times in self.bought[job_id].items() if times > 0]
        if not (what.startswith("accepted") and bought):
            return self._conclude(lease, JobState.UNCONFIRMED, repeated)
        found = f"p-{job_id}-{bought[0]}".replace(" ", "-")
        for _ in range(1 + repeated):
            _, messages = self.ledger.unconfirmed.attach_listed(
                lease.record, found, evidence="listed", token=lease.token
            )
            self._send(messages)
        self.late.add(job_id)
        return self.leases.remove(lease)

    def _hear(self, lease: Lease, what: str, seconds: float, repeated: bool) -> None:
        """The provider's answer to a submit; by now the job may have been given up."""
        job_id = lease.record.job_id
        self.bought[job_id][lease.key] -= what in ("refused", "rejected", "invalid")
        if what in ("refused", "rejected", "invalid"):
            self.bill.refuse(job_id, lease.attempt)
        if what.startswith("accepted"):
            self._accepted(lease, seconds, at_once=what == "accepted, done at once", repeated=repeated)
        elif what == "refused":
            after_seconds = seconds if seconds > 1 else None
            refusal: dict[str, Any] = {"attempt": lease.attempt, "reason": "429", "after_seconds": after_seconds}
            for _ in range(1 + repeated):
                self._send(self.ledger.submits.refused(lease.record, lease.token, **refusal))
            self.leases.remove(lease)
        else:
            self._conclude(lease, JobState.UNCONFIRMED if what == "unconfirmed" else JobState.FAILED, repeated)

    def _accepted(self, lease: Lease, seconds: float, *, at_once: bool, repeated: bool) -> None:
        record = self.ledger.jobs.read(lease.record.account, lease.record.job_id)
        if record and (record.text("state") in ("unconfirmed", "queued") or record.settling):
            self.late.add(record.job_id)
        self.bill.accept(lease.record.job_id, lease.attempt)
        for _ in range(1 + repeated):
            messages = self.ledger.submits.submitted(
                lease.record,
                lease.token,
                attempt=lease.attempt,
                provider_job_id=f"p-{lease.record.job_id}-{lease.key or lease.attempt}".replace(" ", "-"),
                first_poll_seconds=seconds,
                outputs="" if at_once else None,
            )
            self._send(messages)
        self.leases.remove(lease)

    def _conclude(self, lease: Lease, state: JobState, repeated: bool) -> None:
        for _ in range(1 + repeated):
            ended = self.ledger.jobs.conclude(
                lease.record, lease.token, state, error=ERROR, attempt=lease.attempt, doubt=Doubt(0.0)
            )
        self.leases.remove(lease)
        if ended:
            self.to_answer.append((lease.record.account, lease.record.job_id, ""))

    def _put_off(self, lease: Lease) -> None:
        self._send(self.ledger.jobs.postpone(lease.record, lease.token, seconds=4, note="later", ask_again=True))
        if not lease.attempt:
            self.leases.remove(lease)

    @event(weight=2, which=some, again=either)
    def answered(self, which: int, again: bool) -> None:
        """A caller has its answer, and the ledger is informed, now or later again."""
        for one in self.to_answer[which % 3 :]:
            if not again:
                self.to_answer.remove(one)
            account, job_id, leader = one
            self._send(self.ledger.jobs.answered(account, job_id, leader=leader))

    # How

    def _step(self, account: AccountName, job_id: str, request: GenerateRequest | None = None) -> None:
        self.tokens += 1
        token = f"t{self.tokens}"
        step, again = (
            self.ledger.jobs.step(
                job_id,
                account,
                token=token,
                request=request,
                signature=SIGNATURE if request else "",
                lane=lane_of(job_id),
            )
            for _ in range(2)
        )
        assert again.verb is step.verb, "a script that runs twice gives the same answer"
        self._stepped(step, account, job_id, token)

    def _stepped(self, step: Step, account: AccountName, job_id: str, token: str) -> None:
        self._send(Messages(round=step.round))
        if step.record is not None and step.verb is Verb.ANSWER:
            self.to_answer.append((account, job_id, ""))
        elif step.record is not None:
            self.leases.append(Lease(step.record, token, step.verb))
            if step.record.text("resubmit") == "1" and not step.record.number("submits"):
                self.allowed[job_id] = max(self.allowed[job_id], 1)
        elif step.verb is Verb.FOLLOW:
            leader = self.ledger.jobs.read(account, step.other)
            if leader and (leader.state.final or leader.state is JobState.UNCONFIRMED):
                self.to_answer.append((account, job_id, step.other))

    def _claim(self, account: AccountName, seq: int, *, batch: int) -> None:
        claim = self.ledger.polls.claim(account, seq, batch=batch)
        assert len(claim.jobs) <= batch
        self.claimed += [(account, job.job_id) for job in claim.jobs]
        self._send(Messages(round=claim.round))

    @abstractmethod
    def nothing_is_out_of_place(self) -> None:
        """The invariants hold after each event."""
