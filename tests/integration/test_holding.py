"""Messages of a silent worker go back to their queue; those of a living one, or of somebody else, do not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from kombu import Connection

from tests.integration.servers import RedisServer
from workers.broker import SharingTransport
from workers.holding import SILENT_SECONDS

pytestmark = pytest.mark.integration


class Worker:
    """As much of a worker as holds messages."""

    def __init__(self, url: str) -> None:
        self._connection = Connection(url, transport=SharingTransport)
        self.channel.qos.sure_seconds = 0  # two looks, without a wait in between

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
            client.zadd("unacked_index", {tag: time.time() - SILENT_SECONDS - 1})


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
