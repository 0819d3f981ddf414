"""Stale messages go back to their queue; those of a live worker, or of another service, do not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from kombu import Connection, Exchange, Queue

from bide.redis_errors import RefusedError
from tests.integration.refusing import KINDS, refusing
from tests.integration.servers import RedisServer
from workers.transport.channels import WorkerTransport
from workers.transport.unacked import STALE_SECONDS

pytestmark = pytest.mark.integration


class Worker:
    """The part of a worker that has unacked messages."""

    def __init__(self, url: str) -> None:
        self._connection = Connection(url, transport=WorkerTransport)
        self.channel.qos.confirm_seconds = 0  # two polls, without a wait in between

    @property
    def channel(self) -> Any:  # kombu's stubs know the plain one only
        return self._connection.default_channel

    def consume(self, queue: str) -> str | None:
        """Consume a message without acknowledging it; returns its payload."""
        self.channel.queue_declare(queue)
        message = self.channel.basic_get(queue)
        return None if message is None else str(message.payload)

    def restore(self) -> None:
        """Run the timer of kombu's loop."""
        self.channel.qos.restore_visible(num=None, interval=1)

    def send(self, queue: str, text: str) -> None:
        self._connection.SimpleQueue(queue).put(text)

    def take(self, queue: str, text: str) -> None:
        """Send a message to the worker itself, which consumes it and does not acknowledge it."""
        self.send(queue, text)
        assert self.consume(queue) == text

    def close(self) -> None:
        self.channel.qos._delivered.clear()  # a killed one requeues nothing
        self._connection.close()


@pytest.fixture
def workers(own_redis: RedisServer) -> Iterator[tuple[Worker, Worker]]:
    """Two workers on one Redis."""
    pair = Worker(own_redis.url), Worker(own_redis.url)
    yield pair
    for worker in pair:
        worker.close()


def make_stale(url: str) -> None:
    """Make the times of all unacked messages older than they are."""
    with redis.Redis.from_url(url) as client:
        for tag in client.zrange("unacked_index", 0, -1):
            client.zadd("unacked_index", {tag: time.time() - STALE_SECONDS - 1})


def test_a_dead_workers_message_comes_back(own_redis: RedisServer, workers: tuple[Worker, Worker]) -> None:
    """No worker has refreshed it between two polls: it is delivered again."""
    dead, live = workers
    dead.take("bide.submit", "a job")

    make_stale(own_redis.url)
    live.restore()
    assert live.consume("bide.submit") is None  # a single poll may meet a clock that goes wrong
    live.restore()

    assert live.consume("bide.submit") == "a job"


def test_a_live_worker_keeps_its_message(own_redis: RedisServer, workers: tuple[Worker, Worker]) -> None:
    """It refreshes the message, whatever its clock says."""
    owner, other = workers
    owner.take("bide.poll", "a round")

    for _ in range(3):
        make_stale(own_redis.url)
        other.restore()
        owner.restore()
    other.restore()

    assert other.consume("bide.poll") is None


def test_a_foreign_message_stays(own_redis: RedisServer, workers: tuple[Worker, Worker]) -> None:
    """Another service's worker on the same Redis refreshes nothing, and keeps its message."""
    foreign, own = workers
    foreign.take("mail", "dear sir")

    make_stale(own_redis.url)
    own.restore()
    own.restore()

    assert own.consume("mail") is None


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "READONLY"])
def test_a_requeue_that_was_refused_is_done_later(
    kind: str, own_redis: RedisServer, workers: tuple[Worker, Worker]
) -> None:
    """A message requeued while Redis refuses stays unacked and takes a place; it is queued once that ends."""
    owner, other = workers
    owner.send("bide.submit", "a job")
    owner.channel.queue_declare("bide.submit")
    message = owner.channel.basic_get("bide.submit")

    with refusing(own_redis, kind):
        message.reject(requeue=True)
        owner.channel.qos.on_tick()
        assert len(owner.channel.qos._delivered) == 1
    owner.channel.qos.on_tick()

    assert other.consume("bide.submit") == "a job"


def test_a_binding_that_was_refused_is_made_later(own_redis: RedisServer, workers: tuple[Worker, Worker]) -> None:
    """A connection that has met a refusal still declares its queues: messages would go nowhere."""
    queue = Queue("bide.submit", Exchange("bide", type="direct"), routing_key="bide.submit")
    bound = queue(workers[0].channel)
    with refusing(own_redis, "NOREPLICAS"), pytest.raises(RefusedError):
        bound.declare()

    bound.declare()

    with redis.Redis.from_url(own_redis.url) as client:
        assert client.scard("_kombu.binding.bide") == 1
