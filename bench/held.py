"""What a job takes of Redis while it waits at the provider."""

from __future__ import annotations

import time
from collections.abc import Sequence

from bench import provider
from bench.contenders import Contender
from bench.figures import Values
from bench.servers import wait_until
from bench.waves import await_all, names_of

#: Jobs that go ahead, so that scripts and connections are no part of a waiting job.
FIRST_JOBS = 20

#: How long submitted jobs settle before memory is read [seconds].
SETTLE_SECONDS = 0.5


def measure(contender: Contender, *, jobs: int) -> Values:
    """A wave of which all wait at the provider at once, if its contender is so quick."""
    first, names = names_of(contender, "first", FIRST_JOBS), names_of(contender, "held", jobs)
    contender.submit(first)
    await_all(contender, first)
    before = contender.world.kept_bytes()
    contender.submit(names)
    return {"jobs": jobs, "redis_bytes_per_waiting": _waiting_bytes(contender, names, before)}


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
