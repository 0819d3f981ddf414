"""One contender's turn: it warms up, lets jobs wait, and does the burst that is measured."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench import proc, provider
from bench.contenders import Contender
from bench.figures import Figures, Spread, detection, lateness
from bench.servers import World, wait_until
from bench.workload import BUCKET, open_storage

#: Jobs that nobody counts, for imports, connections and scripts, where the burst itself is small.
WARM_JOBS = 20

#: Most jobs of the wave that waits as a whole: all are submitted before the first is done.
WAITING_JOBS = 300

#: How long submitted jobs settle before memory is read [seconds].
SETTLE_SECONDS = 0.5

#: How long a burst may take beyond what its jobs take [seconds].
PATIENCE_SECONDS = 240.0


@dataclass(frozen=True)
class Waiting:
    """What a waiting job takes [bytes]."""

    redis_bytes: float
    resident_bytes: float


def measure(contender: Contender, jobs: int) -> Figures:
    """All waves of one contender; its processes must run."""
    _wave(contender, _names(contender, "warm", WAITING_JOBS if jobs > WAITING_JOBS else WARM_JOBS))
    waiting = None
    if jobs > WAITING_JOBS:  # after a warm wave as large: threads and their arenas are no part of a waiting job
        waiting = _wave(contender, _names(contender, "waiting", WAITING_JOBS))
    names = _names(contender, "burst", jobs)
    cpu, redis_cpu, started = _cpu(contender), _redis_cpu(contender.world), time.monotonic()
    waiting = _wave(contender, names) or waiting
    wall_seconds = time.monotonic() - started
    return _figures(
        contender,
        names,
        waiting=waiting,
        cpu_seconds=_cpu(contender) - cpu,
        redis_cpu_seconds=_redis_cpu(contender.world) - redis_cpu,
        wall_seconds=wall_seconds,
    )


def _names(contender: Contender, wave: str, jobs: int) -> list[str]:
    return [f"{contender.name}-{wave}-{number:05d}" for number in range(jobs)]


def _wave(contender: Contender, names: Sequence[str]) -> Waiting | None:
    """Do these jobs; what they take while all of them wait, where they were few enough to wait all at once."""
    before = _memory(contender)
    contender.submit(names)
    waiting = _waiting(contender, names, before) if len(names) <= WAITING_JOBS else None
    patience = PATIENCE_SECONDS + 2 * contender.world.latency_seconds
    wait_until(lambda: contender.finished(names) == len(names), seconds=patience, every=0.25)
    return waiting


def _waiting(contender: Contender, names: Sequence[str], before: tuple[int, int]) -> Waiting | None:
    world, wanted = contender.world, set(names)
    if not wait_until(lambda: len(world.purchases(wanted)) == len(names)):
        return None
    time.sleep(SETTLE_SECONDS)
    now = _memory(contender)
    done = min(provider.done_at(one, world.latency_seconds) for one in world.purchases(wanted))
    if time.time() > done:
        return None
    redis_bytes, resident_bytes = ((after - at_first) / len(names) for after, at_first in zip(now, before, strict=True))
    return Waiting(redis_bytes, resident_bytes)


def _memory(contender: Contender) -> tuple[int, int]:
    used: Any = contender.world.redis.info("memory")
    return int(used["used_memory"]), proc.resident_bytes(contender.pids)


def _cpu(contender: Contender) -> float:
    return proc.cpu_seconds(contender.pids)


def _redis_cpu(world: World) -> float:
    return proc.cpu_seconds([world.redis_process.pid])


def _figures(contender: Contender, names: Sequence[str], *, waiting: Waiting | None, **measured: float) -> Figures:
    world = contender.world
    purchases = world.purchases(set(names))
    bought = Counter(str(one["reference"]) for one in purchases)
    done = {str(one["id"]): provider.done_at(one, world.latency_seconds) for one in purchases}
    polls = {job: asked for job, asked in world.polls().items() if job in done}
    whole = min(len(bought), contender.finished(names), stored(names))
    return Figures(
        name=contender.name,
        jobs=len(names),
        polls=sum(map(len, polls.values())),
        late=Spread.of(lateness(contender.dues(), polls)),
        detection=Spread.of(detection(done, polls)),
        redis_bytes_per_waiting=waiting.redis_bytes if waiting and contender.durable else None,
        resident_bytes_per_waiting=waiting.resident_bytes if waiting else None,
        lost=len(names) - whole,
        bought_twice=purchases_over(bought),
        **measured,
    )


def purchases_over(bought: Counter[str]) -> int:
    """How many purchases there were beyond one for each job."""
    return bought.total() - len(bought)


def stored(names: Sequence[str]) -> int:
    """How many of these jobs have both objects in the bucket."""
    pages = open_storage().client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    keys = (found["Key"].split("/") for page in pages for found in page.get("Contents", ()))
    objects = Counter(parts[-2] for parts in keys)
    return sum(objects[name] == 2 for name in names)
