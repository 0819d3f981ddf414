"""The table of chaos over all idempotency contracts: how the jobs of each ended, and what the providers charge."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

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
    head = ["contract", *_COUNTS.values()]
    lines = [head, ["---", *("---:" for _ in head[1:])], *rows]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    return f"{_summary(runs)}\n\n{table}"


def _summary(runs: Sequence[Result]) -> str:
    """Seeds, events, what must be zero, and the bill."""
    where = {(run["machine"], run["versions"], run["date"]) for run in runs}
    seeds = ", ".join(str(run["options"]["seed"]) for run in runs)
    kills = sum(event["kind"] in ("kill", "beat_dead") for run in runs for event in run["plan"])
    charged = sum(sum(run["bill"].values()) for run in runs) / 1_000_000
    facts = [
        *(". ".join(place) for place in sorted(where)),
        f"Seed{'s' if len(runs) > 1 else ''} {seeds}: {sum(run['jobs'] for run in runs):,} jobs, "
        f"{sum(len(run['plan']) for run in runs)} events, of them {kills} kills of a process",
        f"Lost: {sum(run['lost'] for run in runs)}. Stored wrong: {sum(run['stored_wrong'] for run in runs)}",
        f"All that must be zero is: {'no' if any(run['broken'] for run in runs) else 'yes'}",
        f"The providers charge {charged:,.3f} USD in all",
    ]
    return ". ".join(facts) + "."
