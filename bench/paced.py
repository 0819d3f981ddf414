"""Jobs at a steady pace: what they cost where nothing piles up."""

from __future__ import annotations

import time
from collections.abc import Sequence

from bench.burst import costs
from bench.contenders import Contender
from bench.figures import Values
from bench.meter import Meter
from bench.waves import await_all, ends_of, names_of, polling_of


def measure(contender: Contender, *, per_second: float, seconds: float) -> Values:
    """Submit one by one, each when its time has come; a wave for imports and connections has gone ahead."""
    names = names_of(contender, "paced", round(per_second * seconds))
    with Meter(contender) as meter:
        behind = _submit(contender, names, per_second)
        await_all(contender, names)
    return {
        "jobs": len(names),
        **meter.values,
        **costs(meter.values, len(names)),
        **polling_of(contender, names),
        **ends_of(contender, names),
        "submits_behind": behind,
    }


def _submit(contender: Contender, names: Sequence[str], per_second: float) -> float:
    """How far behind its pace the last submit was [seconds]."""
    started = time.monotonic()
    for number, name in enumerate(names):
        time.sleep(max(started + number / per_second - time.monotonic(), 0.0))
        contender.submit([name])
    return time.monotonic() - started - (len(names) - 1) / per_second
