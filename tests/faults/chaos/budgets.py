"""The budgets of a run: they overlap, most are reached, and those that jobs wait for are raised meanwhile."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bide.money.amounts import exact
from bide.money.budgets import Budget
from tests.faults.chaos.jobs import FREE, Job

#: How much more a budget that jobs wait for has after each raise, and at the end: shares of what its jobs ask for.
RAISED_BY, AT_LAST = 0.15, 4.0

#: About what a purchase costs [millionths]; budgets go by it.
_PRICES = {"guild": 70_000, "photogpt": 25_000}
_OTHER_PRICE = 13_000


@dataclass(frozen=True)
class Share:
    """A budget without its amount, and the share of what its jobs ask for that it begins with."""

    budget: Budget
    begins_with: float


def _share(name: str, begins_with: float, **more: str) -> Share:
    return Share(Budget(name, 0, "USD", **more), begins_with)  # type: ignore[arg-type]  # the words of a budget


#: The first one is above all that is asked for; so it may cover liars' jobs.
SHARES = (
    _share("all", 3.0, per="month"),
    _share("globex", 0.7, tenant="globex"),
    _share("initech", 0.2, tenant="initech", per="day", over="wait"),
    _share("acme-guild", 0.6, tenant="acme", provider="guild", account="guild/default", per="month"),
    _share("dreambooth", 0.4, provider="dreambooth", per="day"),
    _share("models-m2", 0.5, provider="photogpt", lane="m2"),
    _share("nextry", 0.3, provider="nextry", account="nextry/default", over="wait"),
)


def covered(job: Job) -> Mapping[str, int]:
    """About what a job may cost under each budget [millionths], whichever of its accounts makes it."""
    costs: Counter[str] = Counter()
    for account, asked in job.in_turn.items():
        price = 0 if asked["operation"] == FREE else _PRICES.get(account.provider, _OTHER_PRICE)
        lane = str(asked["params"].get("modelID", ""))
        for share in SHARES:
            if share.budget.covers(tenant=job.tenant, account=str(account), lane=lane):
                costs[share.budget.name] = max(costs[share.budget.name], price)
    return costs


class BudgetFile:
    """The file of budgets of a deployment. All limits only ever rise, and `limits` has them before the file does."""

    def __init__(self, file: Path, jobs: Sequence[Job]) -> None:
        self.file = file
        self._lock = threading.Lock()
        self._asked: Counter[str] = Counter()
        for job in jobs:
            self._asked.update(covered(job))
        #: By name [millionths].
        self.limits = {share.budget.name: self._part(share.budget.name, share.begins_with) for share in SHARES}
        self.raised = 0

    @property
    def budgets(self) -> list[Budget]:
        """All of them, with their present limits."""
        return [replace(share.budget, amount=self.limits[share.budget.name]) for share in SHARES]

    def raise_all(self, *, by: float = RAISED_BY) -> None:
        """Raise the budgets that jobs wait for."""
        with self._lock:
            for share in SHARES:
                if share.budget.over == "wait":
                    self.limits[share.budget.name] += self._part(share.budget.name, by)
            self.raised += 1
            self.write()

    def write(self) -> None:
        """Put the file there, as a whole."""
        draft = self.file.with_suffix(".part")
        draft.write_text("\n\n".join(map(_table, self.budgets)) + "\n")
        draft.replace(self.file)

    def _part(self, name: str, share: float) -> int:
        return int(self._asked[name] * share)


def _table(budget: Budget) -> str:
    """A budget as the file has it."""
    named = {
        "currency": budget.currency,
        "per": budget.per,
        "over": budget.over,
        "tenant": budget.tenant,
        "provider": budget.provider,
        "account": budget.account.partition("/")[2],
        "lane": budget.lane,
    }
    lines = [f'{name} = "{value}"' for name, value in named.items() if value]
    return "\n".join([f"[budgets.{budget.name}]", f"amount = {exact(budget.amount)}", *lines])
