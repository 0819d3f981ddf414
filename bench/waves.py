"""Waves of jobs: how they are named, waited for, and counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from bench import provider
from bench.contenders import Contender
from bench.figures import Values, detection, lateness, spread
from bench.servers import wait_until
from bench.workload import BUCKET, open_storage

#: How long a wave may take beyond what its jobs take [seconds].
PATIENCE_SECONDS = 240.0

#: So many callers are asked until all of them have their results; asking all of them all the time would cost Redis.
_ASKED = 40


def names_of(contender: Contender, wave: str, jobs: int) -> list[str]:
    """Names for the jobs of a wave."""
    return [f"{contender.name}-{wave}-{number:06d}" for number in range(jobs)]


def await_all(contender: Contender, names: Sequence[str], *, seconds: float = PATIENCE_SECONDS) -> bool:
    """Wait until all callers have their results; whether they did in time."""
    patience = seconds + 2 * contender.world.latency_seconds
    some = names[:: max(len(names) // _ASKED, 1)]

    def done() -> bool:
        return contender.finished(some) == len(some) and contender.finished(names) == len(names)

    return wait_until(done, seconds=patience, every=0.25)


def polling_of(contender: Contender, names: Sequence[str]) -> Values:
    """How often the jobs of a wave were polled, how late, and how late that made their results."""
    world = contender.world
    done = {str(one["id"]): provider.done_at(one, world.latency_seconds) for one in world.purchases(set(names))}
    polls = {job: asked for job, asked in world.polls().items() if job in done}
    return {
        "polls_per_job": sum(map(len, polls.values())) / len(names),
        **spread("late", lateness(contender.dues(), polls)),
        **spread("detection", detection(done, polls)),
    }


def ends_of(contender: Contender, names: Sequence[str]) -> Values:
    """What became of a wave: jobs without purchase, objects or result, and purchases beyond one for each job."""
    bought = Counter(str(one["reference"]) for one in contender.world.purchases(set(names)))
    whole = min(len(bought), contender.finished(names), stored(names))
    return {"lost": len(names) - whole, "bought_twice": purchases_over(bought)}


def purchases_over(bought: Counter[str]) -> int:
    """How many purchases there were beyond one for each job."""
    return bought.total() - len(bought)


def stored(names: Sequence[str]) -> int:
    """How many of these jobs have both objects in the bucket."""
    pages = open_storage().client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    keys = (found["Key"].split("/") for page in pages for found in page.get("Contents", ()))
    objects = Counter(parts[-2] for parts in keys)
    return sum(objects[name] == 2 for name in names)
