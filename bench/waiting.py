"""What a great many waiting jobs take of Redis, and of the processes that wait for them."""

from __future__ import annotations

import time
import uuid
from typing import Any

from bench import proc
from bench.contenders import Bide
from bench.figures import Values
from bench.seeding import Seeder
from bench.waves import await_all, names_of

#: Latency of the jobs that warm the processes up, and how long the others wait for their first poll [seconds].
LATENCY_SECONDS, WAITING_SECONDS = 3.0, 3600.0

WARM_JOBS = 100

#: How long the processes have the jobs about them before memory is read again: two sweeps [seconds].
SETTLE_SECONDS = 12.0


def measure(bide: Bide, *, jobs: int) -> Values:
    """Put jobs in flight while worker and poller run, and see what grows."""
    warm = names_of(bide, "warm", WARM_JOBS)
    bide.submit(warm)
    await_all(bide, warm)
    time.sleep(SETTLE_SECONDS)
    before = _memory(bide)
    seeder = Seeder(bide.world.redis)
    for prepared in seeder.prepared([str(uuid.UUID(int=number)) for number in range(jobs)]):
        seeder.accepted(prepared, str(uuid.uuid4()), first_poll_seconds=WAITING_SECONDS)
    time.sleep(SETTLE_SECONDS)
    used, kept, resident = (now - then for now, then in zip(_memory(bide), before, strict=True))
    return {
        "jobs": jobs,
        "redis_bytes": used,
        "redis_bytes_per_waiting": kept / jobs,
        "process_bytes": resident,
    }


def _memory(bide: Bide) -> tuple[int, int, int]:
    used: Any = bide.world.redis.info("memory")["used_memory"]
    return int(used), bide.world.kept_bytes(), proc.proportional_bytes(bide.pids)
