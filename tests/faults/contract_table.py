"""The tables of chaos over all idempotency contracts: how the jobs of each ended, and the book beside the bill."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from tests.faults.money_table import books, fallbacks, table

Result = dict[str, Any]

_COUNTS = {
    "jobs": "jobs",
    "succeeded": "succeeded",
    "doubts": "in doubt",
    "settled": "settled by bide",
    "held": "held for people",
    "bought_twice_seen": "bought twice, and seen",
    "bought_twice_unseen": "**bought twice unseen**",
}


def contracts(runs: Sequence[Result]) -> str:
    """A row for each contract, over all seeds; '' where there was no such run."""
    if not runs:
        return ""
    sums: dict[str, Counter[str]] = defaultdict(Counter)
    for run in runs:
        for contract, counts in run["contracts"].items():
            sums[contract].update(counts)
    rows = [[contract, *(str(counts[name]) for name in _COUNTS)] for contract, counts in sorted(sums.items())]
    return "\n\n".join(
        [
            _summary(runs),
            table(["contract", *_COUNTS.values()], rows),
            books("account", (run["money"]["accounts"] for run in runs)),
            fallbacks(runs),
        ]
    )


def _summary(runs: Sequence[Result]) -> str:
    """Seeds, events, and what must be zero."""
    where = {(run["machine"], run["versions"], run["date"]) for run in runs}
    seeds = ", ".join(str(run["options"]["seed"]) for run in runs)
    kills = sum(event["kind"] in ("kill", "beat_dead") for run in runs for event in run["plan"])
    facts = [
        *(". ".join(place) for place in sorted(where)),
        f"Seed{'s' if len(runs) > 1 else ''} {seeds}: {sum(run['jobs'] for run in runs):,} jobs, "
        f"{sum(len(run['plan']) for run in runs)} events, of them {kills} kills of a process",
        f"Lost: {sum(run['lost'] for run in runs)}. Stored wrong: {sum(run['stored_wrong'] for run in runs)}",
        f"All that must be zero is: {'no' if any(run['broken'] for run in runs) else 'yes'}",
    ]
    return ". ".join(facts) + "."
