"""dramatiq: a message that submits, and one that raises `Retry` with a delay until it can store."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import CurrentMessage
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from bench import workload
from bench.steps import steps

SUBMIT_QUEUE, POLL_QUEUE = "submit", "poll"

#: How long results are kept [milliseconds].
_RESULT_TTL_MS = 7 * 24 * 3600 * 1000

#: A killed worker's messages come back after this, by chance a little later [milliseconds].
_HEARTBEAT_MS = 30_000

broker = RedisBroker(url=os.environ[workload.REDIS_VARIABLE], heartbeat_timeout=_HEARTBEAT_MS)
# its keys readable, so that the caller can look for many at once
results = RedisBackend(url=os.environ[workload.REDIS_VARIABLE], use_namespace_prefix_keys=True)
broker.add_middleware(Results(backend=results, result_ttl=_RESULT_TTL_MS))
broker.add_middleware(CurrentMessage())
dramatiq.set_broker(broker)


@dramatiq.actor(queue_name=SUBMIT_QUEUE, priority=10)
def generate(name: str) -> None:
    """Submit; the message that polls has the job's name as its id."""
    provider_job_id = steps().submit(name)
    message = poll.message(name, provider_job_id).copy(message_id=name)
    broker.enqueue(message, delay=_wait_ms(provider_job_id, 0))


@dramatiq.actor(queue_name=POLL_QUEUE, priority=0, max_retries=None, store_results=True)
def poll(name: str, provider_job_id: str) -> dict[str, Any]:
    """Ask once; then store, or let the same message come back."""
    message = CurrentMessage.get_current_message()
    polls = int(message.options.get("retries", 0)) + 1
    url = steps().poll(provider_job_id)
    if url is None:
        raise dramatiq.Retry(delay=_wait_ms(provider_job_id, polls))
    return steps().store(name, url, polls)


def _wait_ms(provider_job_id: str, polls: int) -> int:
    return int(1000 * steps().wait_seconds(provider_job_id, polls))


def enqueue(names: Sequence[str]) -> None:
    """What a caller does."""
    for name in names:
        generate.send(name)
