"""arq: a job that submits, and one that raises `Retry(defer=...)` until it can store."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

from arq import Retry, create_pool, func
from arq.connections import RedisSettings

from bench import workload
from bench.async_steps import AsyncSteps, open_steps

SUBMIT_QUEUE, POLL_QUEUE = "arq:submit", "arq:poll"

_REDIS = RedisSettings.from_dsn(os.environ[workload.REDIS_VARIABLE])

#: A killed worker's jobs come back ten seconds after this [seconds].
_STEP_SECONDS = 30


def _packed(value: Any) -> bytes:
    return json.dumps(value).encode()


async def generate(ctx: dict[str, Any], name: str) -> None:
    """Submit; the job that polls has the job's name as its id."""
    steps: AsyncSteps = ctx["steps"]
    provider_job_id = await steps.submit(name)
    seconds = workload.pause_seconds(0)
    steps.dues.note_in(provider_job_id, seconds)
    await ctx["redis"].enqueue_job(
        "poll", name, provider_job_id, _job_id=name, _queue_name=POLL_QUEUE, _defer_by=seconds
    )


async def poll(ctx: dict[str, Any], name: str, provider_job_id: str) -> dict[str, Any]:
    """Ask once; then store, or let the same job come back."""
    steps: AsyncSteps = ctx["steps"]
    polls = int(ctx["job_try"])
    url = await steps.poll(provider_job_id)
    if url is None:
        seconds = workload.pause_seconds(polls)
        steps.dues.note_in(provider_job_id, seconds)
        raise Retry(defer=seconds)
    return await steps.store(name, url, polls)


async def _open(ctx: dict[str, Any]) -> None:
    ctx["stack"] = AsyncExitStack()
    ctx["steps"] = await ctx["stack"].enter_async_context(open_steps())


async def _close(ctx: dict[str, Any]) -> None:
    await ctx["stack"].aclose()


#: Of both workers; dictionaries, since arq takes no settings from a base class.
_BOTH = {
    "redis_settings": _REDIS,
    "job_serializer": _packed,
    "job_deserializer": json.loads,
    "on_startup": _open,
    "on_shutdown": _close,
    "max_jobs": 100,
    "poll_delay": 0.1,
    "job_timeout": _STEP_SECONDS,
    "max_tries": 1_000_000,
}

#: The worker that submits, and the one that polls and stores.
submitter = {**_BOTH, "functions": [func(generate, keep_result=0)], "queue_name": SUBMIT_QUEUE}
poller = {**_BOTH, "functions": [func(poll, keep_result=7 * 24 * 3600)], "queue_name": POLL_QUEUE}


async def enqueue(names: Sequence[str]) -> None:
    """What a caller does."""
    redis = await create_pool(_REDIS, job_serializer=_packed, job_deserializer=json.loads)
    for name in names:
        await redis.enqueue_job("generate", name, _queue_name=SUBMIT_QUEUE)
    await redis.aclose()
