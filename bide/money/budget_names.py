"""What budgets name and nobody has seen: most likely a misspelt name, under which nothing is counted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bide.money.budgets import Budget
from bide.spelling import nearest


@dataclass(frozen=True)
class Names:
    """The names that are known, of each kind; accounts as `PROVIDER/ACCOUNT`."""

    accounts: frozenset[str] = frozenset()
    tenants: frozenset[str] = frozenset()
    lanes: frozenset[str] = frozenset()

    def __or__(self, other: Names) -> Names:
        return Names(self.accounts | other.accounts, self.tenants | other.tenants, self.lanes | other.lanes)


def doubtful_names(budgets: Iterable[Budget], known: Names) -> Iterator[tuple[str, str]]:
    """The budgets that name what is not known and is like what is: their names, and what to look at."""
    for budget in budgets:
        for kind, named, names in (
            ("account", budget.account, known.accounts),
            ("tenant", budget.tenant, known.tenants),
            ("lane", budget.lane, known.lanes),
        ):
            if named and named not in names and (meant := nearest(named, names)):
                yield budget.name, f"nothing counts for {kind} {named} so far; did you mean {meant}?"
