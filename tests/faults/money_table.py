"""The tables of chaos over money: each tenant's bill beside `bide spend`, and how full every budget ever was."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tests.faults.chaos.budgets import SHARES

Result = dict[str, Any]

#: How a table of bill and book is headed, by the fields of a balance.
BALANCE = {
    "billed": "the providers charge",
    "open": "of it for jobs in doubt",
    "lied": "of it that a lie may hide",
    "spent": "the book: spent",
    "reserved": "the book: of submits still open",
}


def money(runs: Sequence[Result]) -> str:
    """The tenants over all seeds, each budget of each seed, and the fallbacks; '' where there was no such run."""
    known = sorted((run for run in runs if run["money"]["seen"]), key=lambda run: run["options"]["seed"])
    if not known:
        return ""
    return "\n\n".join([books("tenant", (run["money"]["tenants"] for run in known)), _budgets(known), fallbacks(known)])


def books(what: str, found: Iterable[Mapping[str, Mapping[str, int]]]) -> str:
    """A row for each account or tenant over all runs: what its providers charge, and what its book says of it."""
    sums: dict[str, Counter[str]] = defaultdict(Counter)
    for balances in found:
        for name, balance in balances.items():
            sums[name].update(balance)
    sums["all"] = sum(sums.values(), Counter())
    rows = [[name, *(_money(each[column]) for column in BALANCE)] for name, each in sums.items()]
    return table([what, *(f"{words} [USD]" for words in BALANCE.values())], rows)


def fallbacks(runs: Sequence[Result]) -> str:
    """How many jobs had fallbacks and went on at one, why, and what must be zero."""
    moves = [run["money"]["moves"] for run in runs]
    total = {name: sum(each[name] for each in moves) for name in moves[0] if name != "left_because"}
    codes: Counter[str] = Counter()
    for each in moves:
        codes.update(each["left_because"])
    why = ", ".join(f"`{code}` {number}" for code, number in codes.most_common())
    return (
        f"Jobs with a fallback: {total['jobs']:,}. Went on at one: {total['moved']:,}, of them "
        f"{total['succeeded_elsewhere']:,} succeeded there. Accounts that they left: {why}. "
        f"Charged twice by a fallback: {total['charged_twice']}. "
        f"Results that name another account or id than the bill: {total['made_by_wrong']}."
    )


def first_gone(result: Result) -> str:
    """A row for each half: from request to result with the first provider up, and gone."""
    rows = [
        [
            words,
            str(result[half]["succeeded"]),
            str(result[half]["moved"]),
            " / ".join(f"{each:.1f}" for each in result[half]["seconds"]),
            f"{result[half]['seconds'][0] / result['up']['seconds'][0]:.2f}",
        ]
        for half, words in (("up", "is up"), ("gone", "is gone"))
    ]
    head = ["the first provider", "succeeded", "at the fallback", "p50 / p95 / max [s]", "p50, of the usual one"]
    where = ". ".join(result[name] for name in ("machine", "versions", "date"))
    what = (
        f"{result['jobs']} jobs in each half, one every {result['gap_seconds']:g} s, "
        f"bought {result['bought']} times in all; load of the machine (15 minutes) {result['busy']}."
    )
    return f"{where}. {what}\n\n{table(head, rows)}"


def _budgets(runs: Sequence[Result]) -> str:
    """A row for each budget of each seed."""
    rows = [
        [
            share.budget.name,
            _words(share.budget),
            str(run["options"]["seed"]),
            *(_money(seen[column]) for column in ("limit", "highest")),
            f"{seen['highest_percent']:.1f}",
            f"{seen['looks']:,}",
            f"**{len(seen['breaches'])}**",
            str(run["money"]["refused"].get(share.budget.name, 0)),
            str(seen["most_waiting"]),
            *(_money(run["money"]["budgets"][share.budget.name][column]) for column in ("billed", "spent", "reserved")),
        ]
        for share in SHARES
        for run in runs
        if (seen := run["money"]["seen"][share.budget.name])
    ]
    head = [
        *("budget", "for", "seed", "limit at the end [USD]", "most reserved and spent at any look [USD]"),
        *("of the limit of that moment [%]", "looks", "**looks above the limit**"),
        *("jobs refused", "most jobs waiting"),
        *("bill [USD]", "book: spent [USD]", "book: still open [USD]"),
    ]
    return table(head, rows)


def _words(budget: Any) -> str:
    """What a budget is for, how long, and what it does to a job that it has no room for."""
    place = [each for each in (budget.account or budget.provider, budget.tenant, budget.lane) if each] or ["all"]
    return ", ".join([*place, budget.per or "all time", "waits" if budget.over == "wait" else "refuses"])


def _money(millionths: int) -> str:
    return f"{millionths / 1_000_000:,.6f}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """In Markdown; all columns but the first to the right."""
    lines = [head, ["---", *("---:" for _ in head[1:])], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
