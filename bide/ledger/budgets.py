"""Budgets as the ledger has them: what stands in each, who waits for one, and what the workers' files say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from functools import partial
from typing import Any, NamedTuple, Self

import redis

from bide.ledger import scripts
from bide.ledger.book import KEPT_SECONDS
from bide.ledger.executor import Executor
from bide.ledger.keys import BUDGETS_KEY, budget_key, prefix
from bide.ledger.records import AccountName, Messages
from bide.ledger.replies import messages_of
from bide.ledger.scripts.job import BudgetLimit
from bide.money.budgets import ALL, Budget, BudgetStand, run_budget_name

#: How many jobs that wait for one budget go back to the line at once.
MOST_WOKEN = 200


class BudgetScripts:
    """Reads budgets, and lets jobs go on; each method raises `LedgerAwayError` when Redis stays away."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def publish(self, budgets: Sequence[Budget]) -> None:
        """Note what the file of budgets says, for all that have no such file."""
        texts: dict[Any, Any] = {budget.name: budget.to_json() for budget in budgets}
        if self._executor.reach(lambda server: server.hgetall(BUDGETS_KEY)) == texts:
            return
        pipeline = self._executor.server.pipeline()
        pipeline.delete(BUDGETS_KEY)
        if texts:
            pipeline.hset(BUDGETS_KEY, mapping=texts)
        self._executor.reach(lambda _: pipeline.execute())

    def published(self) -> list[Budget]:
        """All budgets, by name."""
        texts = self._executor.reach(lambda server: server.hgetall(BUDGETS_KEY))
        return [Budget.from_json(text) for _, text in sorted(texts.items())]

    def stands(self, budgets: Sequence[Budget], *, on: date | None = None) -> list[BudgetStand]:
        """How budgets stand in their present periods, or in those of another day."""
        today = on or datetime.fromtimestamp(self._executor.now(), UTC).date()
        accounts = self._executor.accounts()
        pipeline = self._executor.pipeline()
        for budget in budgets:
            pipeline.hmget(budget_key(budget.name, budget.period(today)), "reserved", "spent")
            for account in accounts:
                pipeline.zcard(f"{prefix(account)}over_budget:{budget.name}")
        found = self._executor.execute(pipeline) if budgets else []
        each = 1 + len(accounts)
        return [
            BudgetStand(budget, budget.period(today), int(reserved or 0), int(spent or 0), sum(waiting))
            for budget, ((reserved, spent), *waiting) in zip(
                budgets, (found[at : at + each] for at in range(0, len(found), each)), strict=True
            )
        ]

    def wake(self, account: AccountName, budgets: Sequence[Budget]) -> Messages:
        """Let jobs go on that waited for a budget, as far as it has room by now; returns what to send."""
        return self._wake(account, budgets)[0]

    def wake_run(self, account: AccountName, run_id: str) -> tuple[Messages, int]:
        """Let rows go on that waited for the budget of their run; what to send, and how many they are."""
        return self._wake(account, (), only=run_budget_name(run_id))

    def _wake(self, account: AccountName, budgets: Sequence[Budget], *, only: str = "") -> tuple[Messages, int]:
        script = scripts.account.Wake(most=MOST_WOKEN, only=only, budgets=[limit_of(budget) for budget in budgets])
        hints, round_, woken = self._executor.run(account, script)
        return messages_of(account, (hints, round_)), int(woken)

    def restore(self, stood: Sequence[Mapping[str, Any]], *, ledger: str, written_at: str) -> None:
        """Take up what a statement says of budgets that the ledger has lost: all of it counts as spent.

        `ledger`: the id of the one that wrote the statement. Of several statements the latest counts, in whatever order
        they come. What this ledger has of an earlier one of its own, as on an old backup, counts once.
        """
        for each in stood:
            stated = Stated(int(each["reserved"]) + int(each["spent"]), written_at, ledger)
            key = budget_key(each["name"], each["period"])
            self._executor.reach(partial(_take_up, key=key, stated=stated, ends=each["period"] != ALL))

    def note_stated(self, stood: Sequence[Mapping[str, Any]], *, ledger: str, written_at: str) -> None:
        """Note what this ledger's own statement says of budgets: a later one of its own says more by the difference."""
        pipeline = self._executor.server.pipeline()
        for each in stood:
            if total := int(each["reserved"]) + int(each["spent"]):
                key = budget_key(each["name"], each["period"])
                pipeline.hset(key, "stated", Stated(total, written_at, ledger).text)
        self._executor.reach(lambda _: pipeline.execute())

    def first_alarm(self, stand: BudgetStand) -> bool:
        """Note the alarm of a budget's period; False where it was noted before."""
        key = budget_key(stand.budget.name, stand.period)
        return bool(self._executor.reach(lambda server: server.hsetnx(key, "alarm", 1)))


class Stated(NamedTuple):
    """What a statement says of a budget's period, and which one."""

    #: Reserved and spent together [millionths].
    amount: int
    written_at: str
    #: The id of the ledger that wrote it.
    ledger: str

    @property
    def text(self) -> str:
        """As a field of the budget has it."""
        return f"{self.amount} {self.written_at} {self.ledger}".rstrip()

    @classmethod
    def parse(cls, text: str | None) -> Self:
        """The reverse of `text`; nothing where there is none."""
        amount, written_at, ledger = [*(text or "").split(" "), "", ""][:3]
        return cls(int(amount or 0), written_at, ledger)


#: `taken_up` of a budget that an earlier release took up: it does not say how much, or of when.
_TAKEN_UP_BEFORE = "1"


def _take_up(server: redis.Redis, *, key: str, stated: Stated, ends: bool) -> None:
    """Add to a budget what a statement has more than the one before, in one transaction."""

    def add(pipeline: Any) -> None:
        own, taken_up = pipeline.hmget(key, "stated", "taken_up")
        of_own = bool(stated.ledger) and Stated.parse(own).ledger == stated.ledger
        before = Stated.parse(own if of_own else taken_up)
        pipeline.multi()
        if taken_up == _TAKEN_UP_BEFORE or before.written_at > stated.written_at:
            return
        pipeline.hset(key, "stated" if of_own else "taken_up", stated.text)
        pipeline.hincrby(key, "spent", stated.amount - before.amount)
        if ends:
            pipeline.expire(key, KEPT_SECONDS)

    server.transaction(add, key)


def limit_of(budget: Budget) -> BudgetLimit:
    """A budget as scripts need it."""
    return BudgetLimit(budget.name, budget.per, budget.amount, budget.over)
