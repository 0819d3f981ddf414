"""taskiq: a task that submits, and one for each poll, sent by taskiq's scheduler when it is due."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from taskiq import Context, TaskiqDepends, TaskiqEvents, TaskiqScheduler, TaskiqState
from taskiq.exceptions import NoResultError
from taskiq.serializers import JSONSerializer
from taskiq_redis import ListRedisScheduleSource, RedisAsyncResultBackend, RedisStreamBroker

from bench import workload
from bench.async_steps import AsyncSteps, open_steps

_REDIS = os.environ[workload.REDIS_VARIABLE]

#: A killed worker's messages come back with the first new message after this [milliseconds]; its lock, too [seconds].
_IDLE_MS, _LOCK_SECONDS = 5_000, 5

#: Most messages that the stream keeps, done ones included, which it never deletes by itself.
_STREAM_LENGTH = 200_000

broker = RedisStreamBroker(
    _REDIS, idle_timeout=_IDLE_MS, unacknowledged_lock_timeout=_LOCK_SECONDS, maxlen=_STREAM_LENGTH, consumer_id="0"
).with_result_backend(
    RedisAsyncResultBackend(_REDIS, result_ex_time=7 * 24 * 3600, prefix_str="taskiq", serializer=JSONSerializer())
)
# a database of its own, since the scheduler looks through all keys each second
source = ListRedisScheduleSource(_REDIS.removesuffix("/0") + "/1", serializer=JSONSerializer())
scheduler = TaskiqScheduler(broker, [source])


@broker.on_event(TaskiqEvents.WORKER_STARTUP)
async def _open(state: TaskiqState) -> None:
    state.stack = AsyncExitStack()
    state.steps = await state.stack.enter_async_context(open_steps())


@broker.on_event(TaskiqEvents.WORKER_SHUTDOWN)
async def _close(state: TaskiqState) -> None:
    await state.stack.aclose()


@broker.task("generate")
async def generate(name: str, context: Annotated[Context, TaskiqDepends()]) -> None:
    """Submit; the polls have the job's name as their id."""
    steps: AsyncSteps = context.state.steps
    await _poll_later(steps, name, await steps.submit(name), 0)


@broker.task("poll")
async def poll(
    name: str, provider_job_id: str, polls: int, context: Annotated[Context, TaskiqDepends()]
) -> dict[str, Any]:
    """Ask once; then store, or schedule the next. `NoResultError` is no result, so that the last one is the job's."""
    steps: AsyncSteps = context.state.steps
    url = await steps.poll(provider_job_id)
    if url is None:
        await _poll_later(steps, name, provider_job_id, polls + 1)
        raise NoResultError
    return await steps.store(name, url, polls + 1)


async def _poll_later(steps: AsyncSteps, name: str, provider_job_id: str, polls: int) -> None:
    due = datetime.now(UTC) + timedelta(seconds=workload.pause_seconds(polls))
    steps.dues.note(provider_job_id, due.timestamp())
    await poll.kicker().with_task_id(name).schedule_by_time(source, due, name, provider_job_id, polls)


async def enqueue(names: Sequence[str]) -> None:
    """What a caller does."""
    for name in names:
        await generate.kiq(name)
