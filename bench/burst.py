"""All jobs at once: what they cost, and how soon they are through."""

from __future__ import annotations

import time
from collections.abc import Sequence

from bench import provider
from bench.contenders import Contender
from bench.figures import Values
from bench.meter import Meter
from bench.servers import wait_until
from bench.waves import await_all, ends_of, names_of, polling_of

#: Jobs of the warming wave that go ahead, so that scripts and connections are no part of a waiting job.
FIRST_JOBS = 20

#: How long submitted jobs settle before memory is read [seconds].
SETTLE_SECONDS = 0.5


def measure(contender: Contender, *, jobs: int, warm_jobs: int) -> Values:
    """The burst, after a wave for imports, connections and scripts that tells what waiting jobs take of Redis."""
    waiting_bytes = _warm_up(contender, names_of(contender, "warm", warm_jobs))
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
        "redis_bytes_per_waiting": waiting_bytes if contender.durable else None,
    }


def costs(measured: Values, jobs: int) -> Values:
    """What was measured, for each job."""
    cpu, redis_cpu, wall = (measured[name] or 0.0 for name in ("cpu_seconds", "redis_cpu_seconds", "wall_seconds"))
    return {
        "cpu_per_1000": 1000 * cpu / jobs,
        "redis_cpu_per_1000": 1000 * redis_cpu / jobs,
        "jobs_per_second": jobs / wall,
    }


def _warm_up(contender: Contender, names: Sequence[str]) -> float | None:
    first, others = names[:FIRST_JOBS], names[FIRST_JOBS:]
    contender.submit(first)
    wait_until(lambda: contender.world.bought() == len(first), seconds=contender.world.latency_seconds)
    before = contender.world.kept_bytes()
    contender.submit(others)
    waiting = _waiting_bytes(contender, others, before) if others else None
    await_all(contender, names)
    return waiting


def _waiting_bytes(contender: Contender, names: Sequence[str], before: int) -> float | None:
    """What Redis keeps for a job while all of them wait at the provider; None where they never all do."""
    world, wanted = contender.world, set(names)
    if not wait_until(lambda: len(world.purchases(wanted)) == len(names), seconds=world.latency_seconds):
        return None
    time.sleep(SETTLE_SECONDS)
    kept = world.kept_bytes()
    if time.time() > min(provider.done_at(one, world.latency_seconds) for one in world.purchases(wanted)):
        return None
    return (kept - before) / len(names)
