"""A state machine that plays all events of a ledger's life, in any order, and checks its keys after each."""

from __future__ import annotations

import random
from abc import abstractmethod
from collections import Counter, defaultdict
from typing import get_args

import redis
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from bide.ledger import AccountName, Hint, Ledger, Messages, Polled, Record, Round
from bide.ledger.records import Timing
from bide.ledger.settling import Promise
from bide.money.quote import Quote
from tests.contract.ledger_bill import Bill
from tests.contract.ledger_invariants import CLOCKS, check_account, check_keys, snapshot
from tests.contract.ledger_life import (
    ACCOUNTS,
    ANSWERS,
    LIMITS,
    Kind,
    Lease,
    among,
    either,
    either_account,
    event,
    next_event,
    some,
)
from tests.contract.ledger_stage import ERROR, Clock, Crew
from tests.contract.ledger_workers import Workers

#: A cooperative crew must have brought every job to its end after so many turns of `TURN_SECONDS`: the longest silence
#: between two hints is 240 s, and between two tries to settle a doubt 600 s.
MOST_TURNS, TURN_SECONDS = 180, 8


class PayingCrew(Crew):
    """Buys what is on the bill of a machine."""

    def __init__(self, machine: LedgerMachine) -> None:
        super().__init__(machine.ledger, machine.clock)
        self._bill = machine.bill

    def quote(self, record: Record, promise: Promise) -> Quote:
        return self._bill.quote(record.job_id, free=promise.free)

    def begun(self, record: Record, attempt: int, promise: Promise, token: str) -> None:
        quote, at = self.quote(record, promise), self.clock.now
        self._bill.begin(record, attempt, promise.key or token, quote, at=at, absent=False)
        self._bill.accept(record.job_id, attempt)


class LedgerMachine(Workers):
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
        #: Submits of each job that were accepted, or may have been, by their keys; how many more its owner allowed for.
        self.bought: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.allowed: Counter[str] = Counter()
        self.bill = Bill()
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
        timing = Timing(packs=self.chance.random() < 0.5)
        self.ledger = Ledger(self.server, limits=LIMITS.__getitem__, timing=timing, clock=self.clock)
        for account in ACCOUNTS:
            for number in range(4):
                self.call(account, number, "sent")

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
        """Workers and pollers renew; a worker that has lost its lease may go on all the same."""
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
        self.bill.check(self.ledger)

    def teardown(self) -> None:
        """All messages and workers are gone; with a crew that does everything right every job comes to its end."""
        for account in ACCOUNTS:
            self.ledger.accounts.resume(account)
        crew = PayingCrew(self)
        for _ in range(MOST_TURNS):
            if self._all_ended():
                break
            crew.sweep()
            crew.work()
            self.nothing_is_out_of_place()
            self.clock.advance(TURN_SECONDS)
        assert self._all_ended(), snapshot(self.server)
        self.bill.check_ended(self.ledger)

    def _all_ended(self) -> bool:
        counts = [self.ledger.accounts.count_clocks(account) for account in ACCOUNTS]
        return not any(count[clock] for count in counts for clock in CLOCKS)

    def _send(self, messages: Messages) -> None:
        if messages.round is not None:
            mark = messages.round.account, messages.round.seq
            assert mark not in self.seqs, "one round, one message"
            assert 0 <= messages.round.countdown_seconds < 60
            self.seqs.add(mark)
            self.post.append(messages.round)
        self.post += messages.hints
        self.post = self.post[-12:]
