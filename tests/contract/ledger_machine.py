"""A state machine that plays all events of a ledger's life, in any order, and checks its keys after each."""

from __future__ import annotations

import random
from abc import abstractmethod
from collections import Counter
from typing import Any, get_args

import redis
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from bide.contract import GenerateRequest, JobState
from bide.ledger import AccountName, Hint, Ledger, Messages, Polled, Round, Step, Verb
from bide.ledger.submits import TOO_LATE
from tests.contract.ledger_invariants import CLOCKS, check_account, check_keys, snapshot
from tests.contract.ledger_life import (
    ACCOUNTS,
    ANSWERS,
    LIMITS,
    WORK,
    Kind,
    Lease,
    a_request,
    among,
    either,
    either_account,
    event,
    next_event,
    several,
    some,
)
from tests.contract.ledger_people import People
from tests.contract.ledger_stage import ERROR, SIGNATURE, Clock, Crew

#: A cooperative crew must have brought every job to its end after so many turns of `TURN_SECONDS`: the longest silence
#: between two hints is 240 s.
MOST_TURNS, TURN_SECONDS = 90, 8


class LedgerMachine(People):
    """The machine; `leases` are those of the workers, `post` the messages under way.

    A subclass gives the server.
    """

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.server = self.new_server()
        self.ledger = Ledger(self.server, limits=LIMITS.__getitem__, clock=self.clock)
        self.post: list[Hint | Round] = []
        self.leases: list[Lease] = []
        self.to_answer: list[tuple[AccountName, str, str]] = []
        self.claimed: list[tuple[AccountName, str]] = []
        self.sent: list[tuple[AccountName, str]] = []
        self.late: set[str] = set()
        self.tokens = 0
        self.usual, self.most_jobs = "accepted", 12
        self.events = 0
        self.chance = random.Random(0)
        #: Submits of each job that were accepted, or may have been; and how many more its owner allowed for.
        self.bought: Counter[str] = Counter()
        self.allowed: Counter[str] = Counter()
        self.seqs: set[tuple[AccountName, int]] = set()

    @abstractmethod
    def new_server(self) -> redis.Redis:
        """An empty server."""

    # Messages

    @initialize(seed=st.integers(0, 2**63))
    def start(self, seed: int) -> None:
        """Some callers were there before. One seed rules all of a life: left to itself Hypothesis varies few lives."""
        self.chance = random.Random(seed)
        self.most_jobs = self.chance.choice([2, 4, 12])
        for account in ACCOUNTS:
            for number in range(4):
                self.call(account, number, "sent")

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
        elif self._intend(lease):
            self._hear(lease, what, seconds, repeated)
        elif lease.too_late:
            self._conclude(lease, JobState.FAILED, repeated)
        else:
            self.leases.remove(lease)

    def _intend(self, lease: Lease) -> bool:
        if lease.verb is Verb.SUBMIT and not lease.attempt:
            attempt, again = (self.ledger.submits.intend(lease.record, lease.token) for _ in range(2))
            assert attempt == again
            lease.too_late = attempt == TOO_LATE
            if attempt > 0:
                job_id = lease.record.job_id
                assert self.bought[job_id] <= self.allowed[job_id], f"{job_id} is bought again"
                self.bought[job_id] += 1
                lease.attempt = attempt
        return lease.attempt > 0

    def _hear(self, lease: Lease, what: str, seconds: float, repeated: bool) -> None:
        """The provider's answer to a submit; by now the job may have been given up."""
        job_id = lease.record.job_id
        self.bought[job_id] -= what in ("refused", "rejected", "invalid")
        if what.startswith("accepted"):
            self._accepted(lease, seconds, at_once=what == "accepted, done at once", repeated=repeated)
        elif what == "refused":
            after_seconds = seconds if seconds > 1 else None
            refusal: dict[str, Any] = {"attempt": lease.attempt, "reason": "429", "after_seconds": after_seconds}
            for _ in range(1 + repeated):
                self._send(self.ledger.submits.refused(lease.record, lease.token, **refusal))
            self.leases.remove(lease)
        else:
            self._conclude(lease, JobState.UNCONFIRMED if what == "doubtful" else JobState.FAILED, repeated)

    def _accepted(self, lease: Lease, seconds: float, *, at_once: bool, repeated: bool) -> None:
        record = self.ledger.jobs.read(lease.record.account, lease.record.job_id)
        if record and record.text("state") in ("unconfirmed", "queued"):
            self.late.add(record.job_id)
        for _ in range(1 + repeated):
            messages = self.ledger.submits.submitted(
                lease.record,
                lease.token,
                attempt=lease.attempt,
                provider_job_id=f"p-{lease.attempt}",
                first_poll_seconds=seconds,
                outputs="" if at_once else None,
            )
            self._send(messages)
        self.leases.remove(lease)

    def _conclude(self, lease: Lease, state: JobState, repeated: bool) -> None:
        for _ in range(1 + repeated):
            ended = self.ledger.jobs.conclude(lease.record, lease.token, state, error=ERROR, attempt=lease.attempt)
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

    # Pollers

    @event(weight=2, account=either_account, seq=among(*range(13)), lost=either, batch=among(*range(1, 4)))
    def some_round(self, account: AccountName, seq: int, lost: bool, batch: int) -> None:
        """An old round arrives, or the one that was last asked for."""
        latest = max((seq for name, seq in self.seqs if name == account), default=0)
        self._claim(account, seq if lost else latest, batch=batch)

    @event(
        weight=4,
        which=some,
        kind=among(*get_args(Kind)),
        astray=among(False, False, False, True),
        again=either,
        lost=either,
    )
    def polled(self, which: int, kind: Kind, astray: bool, again: bool, lost: bool) -> None:
        """The provider's answer arrives about a job that was claimed at some time, or never."""
        if astray or not self.claimed:
            account, job_id = self.sent[which % len(self.sent)]
        else:
            account, job_id = one = self.claimed[which % len(self.claimed)]
            if not again:
                self.claimed.remove(one)
        value, note = (ERROR, "lost" if lost else "rejected") if kind == "failed" else ("", "")
        polled = Polled(job_id, kind, 7.0, value=value, note=note)
        self._send(self.ledger.polls.record(account, [polled, Polled("nobody", kind)]))

    # Providers, workers and time

    @event(weight=2, usual=among(*ANSWERS))
    def provider_changes(self, usual: str) -> None:
        """The provider has good and bad hours."""
        self.usual = usual

    @event(weight=1, account=either_account, most=among(*range(1, 4)), open_seconds=among(*[0] * 8, 5.0, 100.0))
    def admit(self, account: AccountName, most: int, open_seconds: float) -> None:
        """A worker lets the line in, unless the provider refuses the account's key."""
        if open_seconds:
            self.ledger.accounts.block_submits(account, seconds=open_seconds, reason="401")
        self._send(self.ledger.accounts.admit(account, most=most))

    @event(
        weight=1,
        backlog=among((), (), ("bide.submit",), ("bide.poll", "bide.store")),
        page=among(*range(1, 5)),
    )
    def sweep(self, backlog: tuple[str, ...], page: int) -> None:
        """The sweeper comes by."""
        for account in ACCOUNTS:
            self._send(self.ledger.accounts.sweep(account, backlog=backlog, page=page)[0])

    @event(
        weight=4,
        seconds=among(*[0.01, 0.4, 1.0, 2.0, 3.0, 3.0, 16.0, 16.0, 50.0] * 2, 300.0, 4000.0),
        swept=either,
        renewed=either,
    )
    def time_passes(self, seconds: float, swept: bool, renewed: bool) -> None:
        """A moment or more than an hour passes, with or without a sweeper at work and leases renewed."""
        until = self.clock.now + seconds
        while swept and seconds < 60 and self.clock.now + 8 < until:
            self.clock.advance(8)
            self.sweep((), 10)
            if renewed:
                self._renew()
        self.clock.now = until

    def _renew(self) -> None:
        """Workers and pollers renew; one that has lost its lease may go on all the same."""
        for account in ACCOUNTS:
            leases = [(lease.record.job_id, lease.token) for lease in self.leases if lease.record.account == account]
            assert set(self.ledger.jobs.renew_leases(account, leases)) <= {job_id for job_id, _ in leases}
            self.ledger.polls.reclaim(
                account, [job_id for name, job_id in self.claimed if name == account] + ["nobody"]
            )

    @rule()
    def whatever(self) -> None:
        """One of the events."""
        self.events += 1
        name, arguments = next_event(self.chance)
        note(f"{name}({', '.join(f'{argument}={value!r}' for argument, value in arguments.items())})")
        getattr(self, name)(**arguments)

    # What holds after each event

    @invariant()
    def nothing_is_out_of_place(self) -> None:
        """The invariants hold after each event."""
        seen = snapshot(self.server)
        for account, limits in LIMITS.items():
            check_account(seen, account, max_in_flight=limits.max_in_flight, late=self.late)
        check_keys(seen, ACCOUNTS)

    def teardown(self) -> None:
        """All messages and workers are gone; with a crew that does everything right every job comes to its end."""
        for account in ACCOUNTS:
            self.ledger.accounts.resume(account)
        crew = Crew(self.ledger, self.clock)
        for _ in range(MOST_TURNS):
            if self._all_ended():
                break
            crew.sweep()
            crew.work()
            self.nothing_is_out_of_place()
            self.clock.advance(TURN_SECONDS)
        assert self._all_ended(), snapshot(self.server)

    def _all_ended(self) -> bool:
        counts = [self.ledger.accounts.count_clocks(account) for account in ACCOUNTS]
        return not any(count[clock] for count in counts for clock in CLOCKS)

    # How

    def _step(self, account: AccountName, job_id: str, request: GenerateRequest | None = None) -> None:
        self.tokens += 1
        token = f"t{self.tokens}"
        step, again = (
            self.ledger.jobs.step(job_id, account, token=token, request=request, signature=SIGNATURE if request else "")
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

    def _send(self, messages: Messages) -> None:
        if messages.round is not None:
            mark = messages.round.account, messages.round.seq
            assert mark not in self.seqs, "one round, one message"
            assert 0 <= messages.round.countdown_seconds < 60
            self.seqs.add(mark)
            self.post.append(messages.round)
        self.post += messages.hints
        self.post = self.post[-12:]
