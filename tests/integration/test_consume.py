"""Messages on their way from a queue into a worker: in the queue or unacked at every instant."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from queue import Empty
from typing import Any

import pytest
import redis
from kombu import Connection, Consumer, Queue
from kombu.asynchronous import Hub

from tests.background import repeated
from tests.integration.servers import RedisServer
from tests.integration.waiting import eventually
from workers.transport.channels import WorkerTransport
from workers.transport.consume import MAX_MESSAGES
from workers.transport.unacked import STALLED_LOOP_SECONDS

pytestmark = pytest.mark.integration

QUEUES = ("one", "two")


class Worker:
    """The part of a worker that consumes: a loop and a consumer that keeps its messages."""

    def __init__(self, url: str, *, room: int) -> None:
        self.received: list[Any] = []
        self._connection = Connection(url, transport=WorkerTransport)
        self._hub: Any = Hub()
        self._connection.register_with_event_loop(self._hub)
        self.channel: Any = self._connection.default_channel
        self._consumer = Consumer(self.channel, [Queue(name) for name in QUEUES], on_message=self.received.append)
        self._consumer.qos(prefetch_count=room)
        self._consumer.consume()
        self._turns = self._hub.create_loop()

    def turn(self) -> None:
        """One turn of the loop: sockets, timers, polls."""
        next(self._turns)

    def turn_until(self, condition: Callable[[], object], *, what: str) -> None:
        def turned() -> bool:
            self.turn()
            return bool(condition())

        eventually(turned, what=what)

    def close(self) -> None:
        self._connection.close()
        self._hub.close()


@pytest.fixture
def server(own_redis: RedisServer) -> Iterator[redis.Redis]:
    """A client of the same Redis."""
    with redis.Redis.from_url(own_redis.url) as client:
        yield client


@pytest.fixture
def worker(own_redis: RedisServer) -> Iterator[Worker]:
    """A worker with room for many messages."""
    worker = Worker(own_redis.url, room=1000)
    yield worker
    worker.close()


def send(url: str, *texts: str, queue: str = "one", priority: int = 0) -> None:
    """Publish messages, as any Celery client does."""
    with Connection(url) as connection, connection.Producer() as producer:
        for text in texts:
            producer.publish(text, routing_key=queue, priority=priority)


def test_a_message_is_always_queued_or_unacked(own_redis: RedisServer, server: redis.Redis, worker: Worker) -> None:
    """While hundreds are consumed, each is in its queue or recorded as unacked."""
    send(own_redis.url, *map(str, range(500)))
    seen: set[int] = set()

    def count() -> None:
        pipe = server.pipeline()
        pipe.llen("one")
        pipe.hlen("unacked")
        seen.add(sum(pipe.execute()))

    with repeated(count):
        worker.turn_until(lambda: len(worker.received) == 500, what="all are received")

    assert seen == {500}
    assert {message.payload for message in worker.received} == set(map(str, range(500)))


def test_no_more_than_there_is_room_for(own_redis: RedisServer, server: redis.Redis) -> None:
    """Messages beyond a worker's room stay in the queue, for the others."""
    send(own_redis.url, *map(str, range(30)))
    worker = Worker(own_redis.url, room=MAX_MESSAGES + 3)

    worker.turn_until(lambda: len(worker.received) == MAX_MESSAGES + 3, what="it is full")
    worker.turn()
    left = server.llen("one")
    worker.close()

    assert left == 30 - (MAX_MESSAGES + 3)
    assert server.llen("one") == 30  # its unacked messages went back


def test_acks_are_sent_together(own_redis: RedisServer, server: redis.Redis, worker: Worker) -> None:
    """Acknowledgements reach Redis with the next turn of the loop, and at the latest when the worker ends."""
    send(own_redis.url, *map(str, range(5)))
    worker.turn_until(lambda: len(worker.received) == 5, what="all are received")
    for message in worker.received[:3]:
        message.ack()
    worker.turn_until(lambda: server.hlen("unacked") == 2, what="three are acknowledged")

    worker.received[3].ack()
    worker.close()

    assert (server.hlen("unacked"), server.zcard("unacked_index"), server.llen("one")) == (0, 0, 1)


def test_a_waiting_worker_wakes(own_redis: RedisServer, worker: Worker) -> None:
    """A message that comes while it waits is consumed, from either queue, also of another priority than 0."""
    for _ in range(3):
        worker.turn()  # polls, gets nothing, waits

    for number, (queue, priority) in enumerate([("one", 0), ("two", 0), ("two", 6)], start=1):
        send(own_redis.url, f"{queue} {priority}", queue=queue, priority=priority)
        worker.turn_until(lambda number=number: len(worker.received) == number, what="it is received")  # type: ignore[misc]  # a default of a lambda

    assert [message.payload for message in worker.received] == ["one 0", "two 0", "two 6"]


def test_two_wake_and_one_consumes(own_redis: RedisServer, worker: Worker) -> None:
    """A message that wakes both workers goes to one, and the queue stays in order."""
    other = Worker(own_redis.url, room=1000)
    for _ in range(3):
        worker.turn()
        other.turn()

    send(own_redis.url, *map(str, range(20)))
    for each in (worker, other) * 10:
        each.turn()
    other.turn_until(lambda: len(worker.received) + len(other.received) == 20, what="all are received")

    received = [message.payload for message in worker.received + other.received]
    assert sorted(map(int, received)) == list(range(20))
    other.close()


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe",
        b"[]",
        b'{"properties": {"delivery_info": {}}}',
        b'{"properties": {"delivery_tag": "t"}}',
        b'{"properties": {"delivery_tag": "t", "delivery_info": {"exchange": "", "routing_key": "one"}}, "body": 1}',
    ],
)
def test_an_entry_that_is_no_message_is_dropped(
    content: bytes, own_redis: RedisServer, server: redis.Redis, worker: Worker
) -> None:
    """It is neither delivered nor left unacked, and the next message is received."""
    server.lpush("one", content)
    send(own_redis.url, "next")

    worker.turn_until(lambda: worker.received, what="the next is received")
    worker.turn_until(lambda: server.hlen("unacked") == 1, what="only the message is unacked")

    assert [message.payload for message in worker.received] == ["next"]


def test_a_long_message_is_consumed_without_being_decoded_by_redis(own_redis: RedisServer, worker: Worker) -> None:
    """A script that decodes megabytes would hold up all clients; kombu's own code records the message."""
    send(own_redis.url, "x" * 2_000_000)

    worker.turn_until(lambda: worker.received, what="it is received")
    worker.received[0].ack()

    assert len(worker.received[0].payload) == 2_000_000


def test_a_full_redis_ends_no_worker(own_redis: RedisServer, server: redis.Redis, worker: Worker) -> None:
    """A Redis that refuses writes is polled again. Queued messages are consumed meanwhile, which frees its memory."""
    for _ in range(3):
        worker.turn()
    send(own_redis.url, "before")
    server.config_set("maxmemory-policy", "noeviction")
    server.config_set("maxmemory", 1)
    worker.turn_until(lambda: worker.received, what="the queued one is received")
    for _ in range(5):
        worker.turn()
    server.config_set("maxmemory", 0)

    send(own_redis.url, "after")
    worker.turn_until(lambda: len(worker.received) == 2, what="the next is received")

    assert [message.payload for message in worker.received] == ["before", "after"]


def test_a_full_worker_whose_connection_is_cut(own_redis: RedisServer, server: redis.Redis) -> None:
    """It has sent no command, so its socket is readable because it was closed: the worker connects anew."""
    send(own_redis.url, *map(str, range(4)))
    worker = Worker(own_redis.url, room=1)
    worker.turn_until(lambda: worker.received, what="it is full")
    worker.turn()
    connection = worker.channel.client.connection
    server.client_kill_filter(addr=":".join(map(str, connection._sock.getsockname())))
    worker.received[0].ack()  # by a thread, while the loop sleeps

    with pytest.raises(Empty):
        worker.channel.connection.on_readable(connection._sock.fileno())
    worker.turn_until(lambda: len(worker.received) == 2, what="the next is received")
    worker.close()


def test_acks_are_sent_at_once_without_a_loop(own_redis: RedisServer, server: redis.Redis, worker: Worker) -> None:
    """While a worker ends its loop no longer turns, and its last jobs may take minutes."""
    send(own_redis.url, "last")
    worker.turn_until(lambda: worker.received, what="it is received")
    worker.channel.qos._ticked_at -= STALLED_LOOP_SECONDS

    worker.received[0].ack()

    assert server.hlen("unacked") == 0


def test_a_lost_connection_is_raised(server: redis.Redis, worker: Worker) -> None:
    """Celery gets an error as for any lost connection, and connects anew."""
    for _ in range(3):
        worker.turn()
    blocked = eventually(lambda: [each for each in server.client_list() if each["cmd"] == "blmove"], what="it waits")
    for client in blocked:
        server.client_kill_filter(_id=client["id"])

    with pytest.raises(redis.ConnectionError):
        worker.turn_until(lambda: False, what="it is raised")
