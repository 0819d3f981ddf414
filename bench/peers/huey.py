"""huey: a task that submits, and one scheduled with a delay for each poll."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from huey import PriorityRedisExpireHuey

from bench import workload
from bench.steps import steps

#: A poll goes before the submits that wait.
_POLL_PRIORITY = 10

huey = PriorityRedisExpireHuey("bench", url=os.environ[workload.REDIS_VARIABLE], expire_time=7 * 24 * 3600)


@huey.task(name="generate")
def generate(name: str) -> None:
    """Submit; the first poll goes on, under the job's name."""
    _poll_later(name, steps().submit(name), 0)


@huey.task(name="poll")
def poll(name: str, provider_job_id: str, polls: int) -> dict[str, Any] | None:
    """Ask once; then store, or schedule the next. None is no result, so that the last one is the job's."""
    url = steps().poll(provider_job_id)
    if url:
        return steps().store(name, url, polls + 1)
    _poll_later(name, provider_job_id, polls + 1)
    return None


def _poll_later(name: str, provider_job_id: str, polls: int) -> None:
    seconds = steps().wait_seconds(provider_job_id, polls)
    poll.schedule((name, provider_job_id, polls), delay=seconds, priority=_POLL_PRIORITY, id=name)


def enqueue(names: Sequence[str]) -> None:
    """What a caller does."""
    for name in names:
        huey.enqueue(generate.s(name))
