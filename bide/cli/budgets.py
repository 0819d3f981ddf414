"""`bide budgets`: how each budget stands in its present period, and how many jobs wait for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bide.cli.connection import broker_option
from bide.cli.ledgers import column, field, flat, from_each
from bide.cli.output import echo, echo_json
from bide.printable import counted

if TYPE_CHECKING:
    from bide.ledger import Ledger
    from bide.money.budgets import Budget, BudgetStand


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@broker_option
def budgets(as_json: bool, broker: str | None) -> None:
    """Show the budgets: what is reserved and spent of each, and how many jobs wait."""
    found = flat(from_each(broker, _read))
    if as_json:
        echo_json(
            [
                {**field(name), **_as_json(stand), **({"doubts": doubts} if doubts else {})}
                for name, (stand, doubts) in found
            ]
        )
        return
    if not found:
        echo("there is no budget: a file of budgets has them, and workers read it (config/budgets.toml)")
    for name, (stand, doubts) in found:
        first, *others = _lines(stand)
        echo("  ".join((*column(name), first)), *others, *(f"    {words}" for words in doubts))


def _read(ledger: Ledger) -> list[tuple[BudgetStand, list[str]]]:
    """How each budget of a ledger stands, with the doubts about it in words."""
    from bide.money.budget_names import doubtful_names  # noqa: PLC0415 - slow to import, and --help does not need it

    found = ledger.budgets.published()
    names = list(doubtful_names(found, ledger.books.names()))
    return [
        (stand, [*(words for name, words in names if name == stand.budget.name), *_uncounted(ledger, stand)])
        for stand in ledger.budgets.stands(found)
    ]


def _uncounted(ledger: Ledger, stand: BudgetStand) -> list[str]:
    """What the books have in this period from before the budget was there, in words."""
    from bide.money.amounts import exact  # noqa: PLC0415 - slow to import, and --help does not need it

    in_books = ledger.books.of_budget(stand.budget)
    more = in_books.spent + in_books.reserved - stand.spent - stand.reserved if in_books else 0
    if more <= 0:
        return []
    return [f"the books of this period have {exact(more)} {stand.budget.currency} more: bought before it was there"]


def _as_json(stand: BudgetStand) -> dict[str, Any]:
    from bide.money.amounts import exact  # noqa: PLC0415 - slow to import, and --help does not need it

    budget = stand.budget
    amounts = {"amount": budget.amount, "reserved": stand.reserved, "spent": stand.spent}
    return {
        "budget": budget.name,
        "period": stand.period,
        "for": about(budget),
        "currency": budget.currency,
        **{name: exact(value) for name, value in amounts.items()},
        "percent": round(stand.percent, 1),
        "over": budget.over,
        "waiting": stand.waiting,
    }


def _lines(stand: BudgetStand) -> list[str]:
    it = _as_json(stand)
    waiting = (
        f", {counted(stand.waiting, 'job')} {'waits' if stand.waiting == 1 else 'wait'} for it" if stand.waiting else ""
    )
    return [
        f"{it['budget']}  {it['percent']:g} % of {it['amount']} {it['currency']} ({stand.period}){waiting}",
        f"    spent {it['spent']}, reserved {it['reserved']}; for {it['for']}; a job too much "
        + ("waits" if it["over"] == "wait" else "fails as over_budget"),
    ]


def about(budget: Budget) -> str:
    """What a budget is for."""
    named = {"tenant": budget.tenant, "provider": budget.provider, "account": budget.account, "lane": budget.lane}
    if budget.account:
        del named["provider"]
    return ", ".join(f"{name} {value}" for name, value in named.items() if value) or "all jobs"
