"""Looks at every budget several times a second: whether more than its limit is ever reserved or spent."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bide.ledger.keys import budget_key, prefix
from bide.money.amounts import exact
from tests.faults.chaos.budgets import BudgetFile
from tests.faults.chaos.reader import Reader
from tests.faults.chaos.stage import Stage

#: Between two looks [seconds].
LOOK_SECONDS = 0.2

#: The most breaches of a budget that are named one by one.
MOST_NAMED = 5


@dataclass
class Seen:
    """One budget over all looks; amounts in millionths."""

    limit: int = 0
    looks: int = 0
    #: The most that was reserved and spent at any look, and the largest share of the limit of that moment [%].
    highest: int = 0
    highest_percent: float = 0.0
    #: The most jobs that waited for it at any look.
    most_waiting: int = 0
    breaches: list[str] = field(default_factory=list)

    def look(self, reserved: int, spent: int, limit: int, *, waiting: int = 0, when: str = "") -> None:
        """Take one look into account; `limit` is the one of this moment, or a later, higher one."""
        taken = reserved + spent
        self.limit, self.looks = limit, self.looks + 1
        self.highest, self.most_waiting = max(self.highest, taken), max(self.most_waiting, waiting)
        self.highest_percent = max(self.highest_percent, round(100 * taken / limit, 2) if limit else 0.0)
        if taken > limit:
            found = f"reserved {exact(reserved)} and spent {exact(spent)} of {exact(limit)}"
            self.breaches.append(f"{found}{when and f' {when}'}")


class BudgetWatch:
    """Looks from its making until `stop`; all budgets at one moment, and directly at the Redis of the ledger."""

    def __init__(self, stage: Stage, budgets: BudgetFile) -> None:
        self._stage, self._budgets, self._began = stage, budgets, time.monotonic()
        self.seen: dict[str, Seen] = {name: Seen() for name in budgets.limits}
        self._reader = Reader("budgets", self._read, every_seconds=LOOK_SECONDS)

    def stop(self) -> None:
        self._reader.stop()

    @property
    def broken(self) -> list[str]:
        """Each budget that was ever passed, in words."""
        return [
            f"budget {name}: {len(seen.breaches)} of {seen.looks} looks above its limit: {breach}"
            for name, seen in self.seen.items()
            for breach in seen.breaches[:MOST_NAMED]
        ]

    def _read(self) -> None:
        today, accounts = datetime.now(UTC).date(), self._stage.accounts
        with self._stage.server() as server, server.pipeline(transaction=True) as pipeline:
            for budget in self._budgets.budgets:
                pipeline.hmget(budget_key(budget.name, budget.period(today)), "reserved", "spent")
                for account in accounts:
                    pipeline.zcard(f"{prefix(account)}over_budget:{budget.name}")
            found: list[Any] = pipeline.execute()
        each, limits = 1 + len(accounts), dict(self._budgets.limits)  # only now: one that was raised meanwhile counts
        when = f"after {time.monotonic() - self._began:.1f} s"
        for at, (name, limit) in enumerate(limits.items()):
            (reserved, spent), *waiting = found[at * each : (at + 1) * each]
            self.seen[name].look(int(reserved or 0), int(spent or 0), limit, waiting=sum(waiting), when=when)
