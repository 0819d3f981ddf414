"""Messages of a silent worker go back to their queue; those of a living one, or of somebody else, do not."""

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
    """As much of a worker as holds messages."""

    def __init__(self, url: str) -> None:
        self._connection = Connection(url, transport=WorkerTransport)
        self.channel.qos.confirm_seconds = 0  # two looks, without a wait in between

    @property
    def channel(self) -> Any:  # kombu's stubs know the plain one only
        return self._connection.default_channel

    def take(self, queue: str) -> str | None:
        """Take a message and keep it; what it says."""
        self.channel.queue_declare(queue)
        message = self.channel.basic_get(queue)
        return None if message is None else str(message.payload)

    def look(self) -> None:
        """What kombu's loop does every few seconds."""
        self.channel.qos.restore_visible(num=None, interval=1)

    def send(self, queue: str, text: str) -> None:
        self._connection.SimpleQueue(queue).put(text)

    def close(self) -> None:
        self.channel.qos._delivered.clear()  # a killed one gives nothing back
        self._connection.close()


@pytest.fixture
def workers(own_redis: RedisServer) -> Iterator[tuple[Worker, Worker]]:
    """Two of them."""
    pair = Worker(own_redis.url), Worker(own_redis.url)
    yield pair
    for worker in pair:
        worker.close()


def fall_silent(url: str) -> None:
    """As if the last words that were spoken were older than they are."""
    with redis.Redis.from_url(url) as client:
        for tag in client.zrange("unacked_index", 0, -1):
            client.zadd("unacked_index", {tag: time.time() - STALE_SECONDS - 1})


def test_a_dead_workers_message_comes_back(own_redis: RedisServer, workers: tuple[Worker, Worker]) -> None:
    """Nobody spoke for it between two looks: it is delivered again."""
    dead, living = workers
    dead.send("bide.submit", "a job")
    assert dead.take("bide.submit") == "a job"

    fall_silent(own_redis.url)
    living.look()
    assert living.take("bide.submit") is None  # one look may see a clock that goes wrong
    living.look()

    assert living.take("bide.submit") == "a job"


def test_a_living_worker_keeps_its_message(own_redis: RedisServer, workers: tuple[Worker, Worker]) -> None:
    """It speaks for it, whatever its clock says."""
    holder, other = workers
    holder.send("bide.poll", "a round")
    assert holder.take("bide.poll") == "a round"

    for _ in range(3):
        fall_silent(own_redis.url)
        other.look()
        holder.look()
    other.look()

    assert other.take("bide.poll") is None


def test_a_foreign_message_stays(own_redis: RedisServer, workers: tuple[Worker, Worker]) -> None:
    """Another service's worker on the same Redis does not speak, and need not."""
    foreign, ours = workers
    foreign.send("letters", "dear sir")
    assert foreign.take("letters") == "dear sir"

    fall_silent(own_redis.url)
    ours.look()
    ours.look()

    assert ours.take("letters") is None


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "READONLY"])
def test_what_can_not_be_given_back_is_given_back_later(
    kind: str, own_redis: RedisServer, workers: tuple[Worker, Worker]
) -> None:
    """A job put back while Redis refuses stays held, takes its place, and is in its queue once Redis takes writes."""
    holder, other = workers
    holder.send("bide.submit", "a job")
    holder.channel.queue_declare("bide.submit")
    message = holder.channel.basic_get("bide.submit")

    with refusing(own_redis, kind):
        message.reject(requeue=True)
        holder.channel.qos.on_tick()
        assert len(holder.channel.qos._delivered) == 1
    holder.channel.qos.on_tick()

    assert other.take("bide.submit") == "a job"


def test_a_binding_that_was_refused_is_made_later(own_redis: RedisServer, workers: tuple[Worker, Worker]) -> None:
    """A connection that has met a refusal still declares its queues: messages would go nowhere."""
    queue = Queue("bide.submit", Exchange("bide", type="direct"), routing_key="bide.submit")
    bound = queue(workers[0].channel)
    with refusing(own_redis, "NOREPLICAS"), pytest.raises(RefusedError):
        bound.declare()

    bound.declare()

    with redis.Redis.from_url(own_redis.url) as client:
        assert client.scard("_kombu.binding.bide") == 1
