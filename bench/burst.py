"""All jobs at once: what they cost, and how soon they are through."""

from __future__ import annotations

from bench.contenders import Contender
from bench.figures import Values
from bench.meter import Meter
from bench.waves import await_all, ends_of, names_of, polling_of


def measure(contender: Contender, *, jobs: int) -> Values:
    """The burst; a wave for imports, connections and scripts has gone ahead."""
    names = names_of(contender, "burst", jobs)
    with Meter(contender) as meter:
        contender.submit(names)
        await_all(contender, names)
    return {
        "jobs": jobs,
        "durable": int(contender.durable),
        **meter.values,
        **costs(meter.values, jobs),
        **polling_of(contender, names),
        **ends_of(contender, names),
    }


def costs(measured: Values, jobs: int) -> Values:
    """What was measured, for each job."""
    cpu, redis_cpu, wall = (measured[name] or 0.0 for name in ("cpu_seconds", "redis_cpu_seconds", "wall_seconds"))
    return {
        "cpu_per_1000": 1000 * cpu / jobs,
        "redis_cpu_per_1000": 1000 * redis_cpu / jobs,
        "jobs_per_second": jobs / wall,
    }
