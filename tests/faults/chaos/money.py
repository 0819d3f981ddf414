"""The money of a run: what must add up, what must never be passed, and what must not be charged twice."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.faults.chaos.bill import Purchase
from tests.faults.chaos.books import (
    Balance,
    account_books,
    balances,
    budget_books,
    charges,
    of_account,
    of_budgets,
    of_tenant,
    tenant_books,
)
from tests.faults.chaos.budget_watch import BudgetWatch, Seen
from tests.faults.chaos.budgets import SHARES, covered
from tests.faults.chaos.contenders import CallerAnswer
from tests.faults.chaos.jobs import Job
from tests.faults.chaos.moves import Moves, moves
from tests.faults.chaos.stage import Stage

OVER_BUDGET = "over_budget"

#: The budgets that refuse jobs, but for the one that is above all that is asked for.
REFUSING = {share.budget.name for share in SHARES if share.budget.over == "refuse" and share.begins_with < 1}

_NAMED = re.compile(r"budget ([a-z0-9_-]+)")


@dataclass
class Money:
    """What a run came to; balances by account, tenant and budget."""

    accounts: dict[str, Balance] = field(default_factory=dict)
    tenants: dict[str, Balance] = field(default_factory=dict)
    budgets: dict[str, Balance] = field(default_factory=dict)
    #: What was seen of each budget, and how many jobs each has refused for good.
    seen: dict[str, Seen] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    #: How often budgets were raised.
    raised: int = 0
    moves: Moves = field(default_factory=Moves)


def judge_money(
    stage: Stage,
    jobs: Sequence[Job],
    answers: Mapping[str, CallerAnswer],
    purchases: Sequence[Purchase],
    bought: Mapping[str, Sequence[Purchase]],
    watch: BudgetWatch | None,
) -> tuple[Money, list[str]]:
    """Count a run at its end; also what must not be in words. `bought`: the purchases that were not paid back."""
    charged = charges(jobs, purchases, {name for name, one in answers.items() if one.end == "submission_unknown"})
    money = Money(accounts=balances(charged, of_account, account_books(stage)))
    broken = wrong_balances(money.accounts)
    if stage.budgets is None or watch is None:
        return money, broken
    money.tenants = balances(charged, of_tenant, tenant_books(stage))
    money.budgets = balances(charged, of_budgets, budget_books(stage))
    money.seen, money.raised = watch.seen, stage.budgets.raised
    money.moves, wrong_moves = moves(jobs, answers, bought)
    refused, unfair = over_budget(jobs, answers, bought)
    money.refused = dict(refused)
    broken += [*wrong_balances(money.tenants), *wrong_balances(money.budgets), *watch.broken, *wrong_moves, *unfair]
    return money, broken


def wrong_balances(found: Mapping[str, Balance]) -> list[str]:
    """Where book and bill differ, in words."""
    return [f"{name}: {each}" for name, each in found.items() if not each.right]


def over_budget(
    jobs: Sequence[Job], answers: Mapping[str, CallerAnswer], bought: Mapping[str, Sequence[Purchase]]
) -> tuple[Counter[str], list[str]]:
    """How many jobs each budget has refused for good, and in words those that it must not, or that were bought."""
    refused, broken = Counter[str](), []
    for job in jobs:
        answer = answers.get(job.name)
        if answer is None or answer.end != OVER_BUDGET:
            continue
        named = set(_NAMED.findall(answer.message))
        refused.update(named)
        if not named & covered(job).keys() & REFUSING:
            broken.append(f"{job.name}: refused by no budget that covers it: {answer.message}")
        if each := bought.get(job.name):
            broken.append(f"{job.name}: ended as {OVER_BUDGET}, and was bought: {each}")
    return refused, broken
