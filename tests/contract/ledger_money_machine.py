"""A state machine about money: whatever becomes of submits, the book is what may be on the bill, within its budgets."""

from __future__ import annotations

import random
from abc import abstractmethod
from collections import defaultdict
from typing import Any

import redis
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from bide.contract import JobState
from bide.errors import OverBudgetError
from bide.ledger import Polled, Record, Verb
from bide.ledger.settling import Doubt
from bide.money.budgets import Budget
from tests.contract.ledger_bill import Bill
from tests.contract.ledger_life import Kind, promise_of
from tests.contract.ledger_stage import ACCOUNT, ERROR, Clock, Stage

FREE_OF_CHARGE = '{"code":"generation_failed","message":"no","job_id":"","charged":"no"}'

#: Each with how often it happens.
EVENTS = {"new_job": 4, "work": 9, "answer": 12, "late_answer": 4, "poll": 4, "cancel": 1, "settle": 3, "sweep": 3}
EVENTS |= {"pass_time": 4}

#: More jobs than these only make a life slow.
MOST_JOBS = 10

#: How many events one step of Hypothesis has, whose own work for a step takes longer than an event.
AT_ONCE = 8


class MoneyMachine(RuleBasedStateMachine):
    """Jobs of one account under two budgets. A subclass gives the server."""

    def __init__(self) -> None:
        super().__init__()
        self.stage = Stage(self.new_server(), Clock())
        self.ledger, self.clock = self.stage.ledger, self.stage.clock
        self.bill, self.jobs = Bill(), list[str]()
        self.leases: list[tuple[Record, str]] = []
        self.under_way: list[tuple[Record, str, int, str]] = []
        self.unanswered: list[tuple[Record, str, int, str]] = []
        self.chance = random.Random(0)
        self.budgets = [
            Budget("day", 3_000, "USD", per="day", over="wait"),
            Budget("month", 9_000, "USD", per="month", account=str(ACCOUNT)),
        ]

    @abstractmethod
    def new_server(self) -> redis.Redis:
        """An empty server."""

    @initialize(seed=st.integers(0, 2**63))
    def start(self, seed: int) -> None:
        """One seed rules all of a life."""
        self.chance = random.Random(seed)

    @rule()
    def whatever(self) -> None:
        """Some events, one by one."""
        for name in self.chance.choices(list(EVENTS), list(EVENTS.values()), k=AT_ONCE):
            note(name)
            getattr(self, name)()
            self.book_and_budgets_are_right()

    # What happens

    def new_job(self) -> None:
        """A caller's message arrives."""
        job_id = f"j{len(self.jobs)}"
        if len(self.jobs) == MOST_JOBS:
            return
        self.jobs.append(job_id)
        again = "resubmit" if self.chance.random() < 0.5 else "hold"
        seconds = self.chance.choice([60.0, 7200.0, 400_000.0])
        self._step(job_id, on_unknown=again, deadline_seconds=seconds)

    def work(self) -> None:
        """Messages arrive, and workers go on to the purchase."""
        idle = [job_id for job_id in self.jobs if not self.stage.field(job_id, "token")]
        for job_id in self.chance.sample(idle, min(4, len(idle))):
            if self.stage.state(job_id) in ("queued", "submitting", "storing"):
                self._step(job_id)
        self.chance.shuffle(self.leases)
        for record, token in self.leases[: self.chance.randint(1, 4)]:
            self.leases.remove((record, token))
            self._intend(record, token)

    def _step(self, job_id: str, **changes: Any) -> None:
        token = self.stage.token()
        step = self.stage.arrive(job_id, token=token, **changes) if changes else self.stage.resume(job_id, token=token)
        if step.verb is Verb.SUBMIT and step.record:
            self.leases.append((step.record, token))
        elif step.verb is Verb.STORE and step.record and self.chance.random() < 0.5:
            self.ledger.jobs.conclude(step.record, token, JobState.SUCCEEDED, result="{}")
        elif step.verb is Verb.ANSWER and self.chance.random() < 0.5:
            self.ledger.jobs.answered(ACCOUNT, job_id)

    def _intend(self, record: Record, token: str) -> None:
        promise = promise_of(record, f"key of {token}")
        quote = self.bill.quote(record.job_id, free=promise.free)
        key, purchases = promise.key or token, self.bill.begun[record.job_id]
        absent = "not there" if record.in_doubt and purchases[-1].key == key and self.chance.random() < 0.3 else ""
        try:
            attempt = self.ledger.submits.intend(
                record, token, promise=promise, absent=absent, quote=quote, budgets=() if promise.free else self.budgets
            )
        except OverBudgetError as error:
            if absent:
                purchases[-1].attempts.clear()
            if not error.waits:
                self.ledger.jobs.conclude(record, token, JobState.FAILED, error=ERROR)
            return
        if attempt > 0:
            self.bill.begin(record, attempt, key, quote, at=self.clock.now, absent=bool(absent))
            self.under_way.append((record, token, attempt, key))
        elif attempt < -1:
            self.ledger.jobs.conclude(record, token, JobState.FAILED, error=ERROR)

    def answer(self) -> None:
        """The answer to a submit comes, or none; each script may run twice."""
        if not self.under_way:
            return
        one = self.under_way.pop(self.chance.randrange(len(self.under_way)))
        how = self.chance.choice(["accepted", "accepted", "refused", "rejected", "unknown", "nothing", "not safe"])
        if how in ("unknown", "nothing"):
            self.unanswered.append(one)
        for _ in range(self.chance.randint(1, 2)):
            self._hear(*one, how=how)

    def late_answer(self) -> None:
        """What became of a submit turns out when nobody waits for it any more."""
        if self.unanswered:
            one = self.unanswered.pop(self.chance.randrange(len(self.unanswered)))
            if any(one[2] in purchase.attempts for purchase in self.bill.begun[one[0].job_id]):
                self._hear(*one, how=self.chance.choice(["accepted", "refused", "rejected"]))

    def _hear(self, record: Record, token: str, attempt: int, key: str, *, how: str) -> None:
        job_id = record.job_id
        if how == "accepted":
            self.bill.accept(job_id, attempt)
            self.ledger.submits.submitted(
                record, token, attempt=attempt, provider_job_id=f"p-{job_id}-{key[-6:].strip()}"
            )
        elif how == "refused":
            self.bill.refuse(job_id, attempt)
            self.ledger.submits.refused(record, token, attempt=attempt, reason="429", after_seconds=1)
        elif how == "rejected":
            self.bill.refuse(job_id, attempt)
            self.ledger.jobs.conclude(record, token, JobState.FAILED, error=ERROR, attempt=attempt)
        elif how == "not safe":  # too few replicas had the intent: nothing was sent
            if self.stage.field(job_id, "token") == token:
                self.bill.refuse(job_id, attempt)
            self.ledger.submits.take_back(record, token, seconds=1, reason="not safe")
        elif how == "unknown":
            self.ledger.jobs.conclude(
                record, token, JobState.UNCONFIRMED, error=ERROR, attempt=attempt, doubt=Doubt(0.0)
            )

    def poll(self) -> None:
        """The provider answers about a running job: it ended, failed, costs less, or is not known."""
        running = [job_id for job_id in self.jobs if self.stage.state(job_id) == "running"]
        if not running:
            return
        job_id, how = self.chance.choice(running), self.chance.choice(["ended", "failed", "no charge", "cost", "lost"])
        purchases = [each for each in self.bill.begun[job_id] if each.accepted]
        if how == "ended":
            self._record(Polled(job_id, "ended"))
        elif how == "lost" and self.stage.field(job_id, "attached"):
            self._lose(job_id)
        elif how == "failed":
            self._record(Polled(job_id, "failed", value=ERROR))
        elif len(self.bill.begun[job_id]) == len(purchases) == 1:
            [only] = purchases
            only.price = 0 if how == "no charge" else only.price // 2
            cost = "" if how == "no charge" else f"0.{only.price:06} USD"
            kind: Kind = "failed" if how == "no charge" else "running"
            self._record(Polled(job_id, kind, seconds=5, value=FREE_OF_CHARGE, cost=cost or "0 USD"))

    def _lose(self, job_id: str) -> None:
        """The id that an operator attached is not known there."""
        self._record(Polled(job_id, "failed", value=ERROR, note="lost"))
        for purchase in self.bill.begun[job_id]:
            if purchase.attached:
                purchase.accepted = purchase.attached = False

    def _record(self, outcome: Polled) -> None:
        self.ledger.polls.record(ACCOUNT, [outcome])

    def cancel(self) -> None:
        """A caller cancels."""
        if self.jobs:
            self.ledger.jobs.cancel(ACCOUNT, self.chance.choice(self.jobs), at_provider=self.chance.random() < 0.5)

    def settle(self) -> None:
        """An operator settles an unconfirmed job."""
        held = [job_id for job_id in self.jobs if self.stage.state(job_id) == "unconfirmed"]
        if not held:
            return
        job_id, how = self.chance.choice(held), self.chance.choice(["attach", "resubmit", "give up"])
        if how == "give up":
            self.ledger.unconfirmed.give_up(ACCOUNT, job_id)
        elif how == "resubmit" and not self.stage.field(job_id, "cancel"):
            self.ledger.unconfirmed.resubmit(ACCOUNT, job_id)
        elif how == "attach" and (
            stands := [each for each in self.bill.begun[job_id] if each.attempts and not each.accepted]
        ):
            stands[-1].accepted = stands[-1].attached = True
            self.ledger.unconfirmed.attach(ACCOUNT, job_id, f"found-{job_id}-{len(self.bill.begun[job_id])}")

    def sweep(self) -> None:
        """The sweeper comes by; now and then a budget is raised."""
        if self.chance.random() < 0.1:
            day, month = self.budgets
            self.budgets = [Budget("day", day.amount + 2_000, "USD", per="day", over="wait"), month]
        self.ledger.accounts.sweep(ACCOUNT)
        self.ledger.budgets.wake(ACCOUNT, self.budgets)
        self.ledger.accounts.admit(ACCOUNT)

    def pass_time(self) -> None:
        """A moment, or a day's or a month's end."""
        self.clock.advance(self.chance.choice([0.1, 2, 2, 15, 15, 30, 4000, 90_000, 31 * 86_400]))

    # What holds

    @invariant()
    def book_and_budgets_are_right(self) -> None:
        """After each event."""
        self.bill.check(self.ledger)
        by_period: defaultdict[tuple[str, str], int] = defaultdict(int)
        for purchase in (each for purchases in self.bill.begun.values() for each in purchases if each.budgeted):
            for budget in self.budgets:
                by_period[budget.name, budget.period(purchase.day)] += purchase.price * purchase.stands
        for (name, period), amount in by_period.items():
            stood = self.stage.server.hgetall(f"bide:budget:{name}:{period}")
            assert int(stood.get("reserved", 0)) + int(stood.get("spent", 0)) == amount, (name, period, stood)
            assert amount <= next(budget.amount for budget in self.budgets if budget.name == name), (name, period)

    @invariant()
    def what_waits_for_a_budget_waits(self) -> None:
        """Whatever else became of a job, it waits for money no more."""
        for job_id in self.jobs:
            if self.stage.field(job_id, "over_budget"):
                assert (self.stage.state(job_id), self.stage.clocks(job_id)) == ("queued", {"lease"}), job_id

    def teardown(self) -> None:
        """Each job that waits is taken up, or fails, within its time."""
        for _ in range(6):
            self.clock.advance(86_400)
            self.sweep()
            self.sweep()
        waiting = [job_id for job_id in self.jobs if self.stage.field(job_id, "over_budget")]
        assert not waiting, waiting
        self.book_and_budgets_are_right()
