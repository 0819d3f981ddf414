"""Budgets as the ledger has them: what stands in each, who waits for one, and what the workers' files say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, NamedTuple, Self

from bide.ledger import scripts
from bide.ledger.book import KEPT_SECONDS
from bide.ledger.executor import Executor
from bide.ledger.keys import BUDGETS_KEY, budget_key, prefix
from bide.ledger.records import AccountName, Messages
from bide.ledger.replies import messages_of
from bide.ledger.scripts.job import BudgetLimit
from bide.money.book import Purchase
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

    def noted(self, period: BudgetPeriod, *, foreign: bool) -> str:
        """When the latest statement was written of which this ledger has all that the budget had (ISO); '' for none.

        `foreign`: statements of another ledger are meant, and not those that this one has written.
        """
        fields = ["taken_up"] if foreign else ["taken_up", "stated"]
        found = self._executor.reach(lambda server: server.hmget(period.key, fields))
        return max(Stated.parse(text).written_at for text in found)

    def raise_to(
        self, stood: Mapping[BudgetPeriod, Stated], purchases_since: Callable[[float], Sequence[Purchase]]
    ) -> None:
        """Have budgets hold what statements of this ledger's own past say, and besides what was bought since these.

        What is missing is added as spent. `purchases_since`: those of all records [seconds since the epoch].
        """
        wanted = {period: stated for period, stated in stood.items() if stated.amount}
        if not wanted:
            return
        pipeline = self._executor.pipeline()
        for period in wanted:
            pipeline.hmget(period.key, "reserved", "spent")
        stands = self._executor.execute(pipeline)
        # Read last: what is bought meanwhile is rather counted too often than left out.
        begun = purchases_since(min(stated.moment for stated in wanted.values()))
        for (period, stated), amounts in zip(wanted.items(), stands, strict=True):
            later = [each.sums for each in begun if each.begun > stated.moment and str(period) in each.budgets]
            known = sum(int(each or 0) for each in amounts) - sum(sums.reserved + sums.spent for sums in later)
            self._take_up(period, stated, max(stated.amount - known, 0))

    def add(self, stood: Mapping[BudgetPeriod, Stated]) -> None:
        """Add to budgets what statements of another ledger say, less what was added of its earlier ones."""
        for period, stated in stood.items():
            self._take_up(period, stated, None)

    def _take_up(self, period: BudgetPeriod, stated: Stated, missing: int | None) -> None:
        """Add what a statement has more, once; `missing` is None where it is all but what was taken up before."""

        def add(pipeline: Any) -> None:
            taken_up = pipeline.hget(period.key, "taken_up")
            before = Stated.parse(taken_up)
            pipeline.multi()
            if before.written_at >= stated.written_at or (missing is None and taken_up == _TAKEN_UP_BEFORE):
                return
            pipeline.hset(period.key, "taken_up", stated.text)
            pipeline.hincrby(period.key, "spent", stated.amount - before.amount if missing is None else missing)
            if period.period != ALL:
                pipeline.expire(period.key, KEPT_SECONDS)

        self._executor.reach(lambda server: server.transaction(add, period.key))

    def note_stated(self, stood: Sequence[Mapping[str, Any]], *, ledger: str, written_at: str) -> None:
        """Note that a statement of this ledger's own says how budgets stand: all of it is in them.

        Also where nothing stands in one any more; one in which nothing ever stood is no key.
        """
        stated = {BudgetPeriod(each["name"], each["period"]): Stated.of(each, written_at, ledger) for each in stood}
        pipeline = self._executor.pipeline()
        for period in stated:
            pipeline.exists(period.key)
        there = self._executor.execute(pipeline) if stated else []
        pipeline = self._executor.server.pipeline()
        for (period, each), exists in zip(stated.items(), there, strict=True):
            if exists:
                pipeline.hset(period.key, "stated", each.text)
        self._executor.reach(lambda _: pipeline.execute())

    def first_alarm(self, stand: BudgetStand) -> bool:
        """Note the alarm of a budget's period; False where it was noted before."""
        key = budget_key(stand.budget.name, stand.period)
        return bool(self._executor.reach(lambda server: server.hsetnx(key, "alarm", 1)))


class BudgetPeriod(NamedTuple):
    """One period of a budget."""

    name: str
    period: str

    def __str__(self) -> str:
        """As a record has it."""
        return f"{self.name}@{self.period}"

    @property
    def key(self) -> str:
        """The key of what stands in it."""
        return budget_key(self.name, self.period)


class Stated(NamedTuple):
    """What a statement says of a budget's period, and which one."""

    #: Reserved and spent together [millionths].
    amount: int
    #: ISO 8601, to the second; '' for no statement.
    written_at: str
    #: The id of the ledger that wrote it.
    ledger: str

    @property
    def text(self) -> str:
        """As a field of the budget has it."""
        return f"{self.amount} {self.written_at} {self.ledger}".rstrip()

    @property
    def moment(self) -> float:
        """When it was written [seconds since the epoch]."""
        return datetime.fromisoformat(self.written_at).timestamp()

    @classmethod
    def of(cls, stood: Mapping[str, Any], written_at: str, ledger: str) -> Self:
        """What a statement has in its list of budgets."""
        return cls(int(stood["reserved"]) + int(stood["spent"]), written_at, ledger)

    @classmethod
    def parse(cls, text: str | None) -> Self:
        """The reverse of `text`; nothing where there is none."""
        amount, written_at, ledger = [*(text or "").split(" "), "", ""][:3]
        return cls(int(amount or 0), written_at, ledger)


#: `taken_up` of a budget that an earlier release took up: it does not say how much, or of when.
_TAKEN_UP_BEFORE = "1"


def limit_of(budget: Budget) -> BudgetLimit:
    """A budget as scripts need it."""
    return BudgetLimit(budget.name, budget.per, budget.amount, budget.over)
