"""Messages on their way from a queue into a worker: in one of the two at every instant, and never in neither."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from queue import Empty
from typing import Any

import pytest
import redis
from kombu import Connection, Consumer, Queue
from kombu.asynchronous import Hub

from tests.integration.servers import RedisServer
from tests.integration.waiting import eventually
from workers.transport.channels import WorkerTransport
from workers.transport.consume import MAX_MESSAGES
from workers.transport.unacked import STALLED_LOOP_SECONDS

pytestmark = pytest.mark.integration

QUEUES = ("one", "two")


class Worker:
    """As much of a worker as takes messages: a loop and a consumer that keeps what it gets."""

    def __init__(self, url: str, *, room: int) -> None:
        self.taken: list[Any] = []
        self._connection = Connection(url, transport=WorkerTransport)
        self._hub: Any = Hub()
        self._connection.register_with_event_loop(self._hub)
        self.channel: Any = self._connection.default_channel
        self._consumer = Consumer(self.channel, [Queue(name) for name in QUEUES], on_message=self.taken.append)
        self._consumer.qos(prefetch_count=room)
        self._consumer.consume()
        self._turns = self._hub.create_loop()

    def turn(self) -> None:
        """Once around the loop: what came, what ran out, what is to be asked."""
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
def ledger(own_redis: RedisServer) -> Iterator[redis.Redis]:
    """A look at it from outside."""
    with redis.Redis.from_url(own_redis.url) as client:
        yield client


@pytest.fixture
def worker(own_redis: RedisServer) -> Iterator[Worker]:
    """One with room for many."""
    worker = Worker(own_redis.url, room=1000)
    yield worker
    worker.close()


def send(url: str, *texts: str, queue: str = "one", priority: int = 0) -> None:
    """Publish, as any Celery client does."""
    with Connection(url) as connection, connection.Producer() as producer:
        for text in texts:
            producer.publish(text, routing_key=queue, priority=priority)


def test_a_message_is_never_in_neither(own_redis: RedisServer, ledger: redis.Redis, worker: Worker) -> None:
    """Whoever looks while hundreds are taken finds each in its queue or noted as held."""
    send(own_redis.url, *map(str, range(500)))
    seen: set[int] = set()
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            pipe = ledger.pipeline()
            pipe.llen("one")
            pipe.hlen("unacked")
            seen.add(sum(pipe.execute()))

    looker = threading.Thread(target=look)
    looker.start()
    worker.turn_until(lambda: len(worker.taken) == 500, what="all are taken")
    over.set()
    looker.join()

    assert seen == {500}
    assert {message.payload for message in worker.taken} == set(map(str, range(500)))


def test_no_more_than_there_is_room_for(own_redis: RedisServer, ledger: redis.Redis) -> None:
    """What a worker has no room for stays in the queue, for the others."""
    send(own_redis.url, *map(str, range(30)))
    worker = Worker(own_redis.url, room=MAX_MESSAGES + 3)

    worker.turn_until(lambda: len(worker.taken) == MAX_MESSAGES + 3, what="it is full")
    worker.turn()
    left = ledger.llen("one")
    worker.close()

    assert left == 30 - (MAX_MESSAGES + 3)
    assert ledger.llen("one") == 30  # what it held went back


def test_what_is_done_with_is_told_together(own_redis: RedisServer, ledger: redis.Redis, worker: Worker) -> None:
    """Acknowledgements reach Redis with the next turn of the loop, and at the latest when the worker ends."""
    send(own_redis.url, *map(str, range(5)))
    worker.turn_until(lambda: len(worker.taken) == 5, what="all are taken")
    for message in worker.taken[:3]:
        message.ack()
    worker.turn_until(lambda: ledger.hlen("unacked") == 2, what="three are done with")

    worker.taken[3].ack()
    worker.close()

    assert (ledger.hlen("unacked"), ledger.zcard("unacked_index"), ledger.llen("one")) == (0, 0, 1)


def test_a_waiting_worker_wakes(own_redis: RedisServer, worker: Worker) -> None:
    """What comes while it waits is taken, from whichever queue, also of another priority than the usual one."""
    for _ in range(3):
        worker.turn()  # asks, finds nothing, waits

    for number, (queue, priority) in enumerate([("one", 0), ("two", 0), ("two", 6)], start=1):
        send(own_redis.url, f"{queue} {priority}", queue=queue, priority=priority)
        worker.turn_until(lambda number=number: len(worker.taken) == number, what="it is taken")  # type: ignore[misc]  # a default of a lambda

    assert [message.payload for message in worker.taken] == ["one 0", "two 0", "two 6"]


def test_two_wake_and_one_takes(own_redis: RedisServer, worker: Worker) -> None:
    """A message that wakes all who wait is one worker's, and the queue is in order."""
    other = Worker(own_redis.url, room=1000)
    for _ in range(3):
        worker.turn()
        other.turn()

    send(own_redis.url, *map(str, range(20)))
    for one in (worker, other) * 10:
        one.turn()
    other.turn_until(lambda: len(worker.taken) + len(other.taken) == 20, what="all are taken")

    taken = [message.payload for message in worker.taken + other.taken]
    assert sorted(map(int, taken)) == list(range(20))
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
def test_what_is_no_message_is_dropped(
    content: bytes, own_redis: RedisServer, ledger: redis.Redis, worker: Worker
) -> None:
    """It is neither handed over nor kept as held, and what follows it is taken."""
    ledger.lpush("one", content)
    send(own_redis.url, "next")

    worker.turn_until(lambda: worker.taken, what="the next is taken")
    worker.turn_until(lambda: ledger.hlen("unacked") == 1, what="only the message is held")

    assert [message.payload for message in worker.taken] == ["next"]


def test_a_long_message_is_taken_without_being_read_by_redis(own_redis: RedisServer, worker: Worker) -> None:
    """Reading tens of megabytes in a script would hold up everybody; kombu's own way takes it."""
    send(own_redis.url, "x" * 2_000_000)

    worker.turn_until(lambda: worker.taken, what="it is taken")
    worker.taken[0].ack()

    assert len(worker.taken[0].payload) == 2_000_000


def test_a_full_redis_ends_nobody(own_redis: RedisServer, ledger: redis.Redis, worker: Worker) -> None:
    """A Redis that refuses to write is asked again; what lies there is taken meanwhile, which frees its memory."""
    for _ in range(3):
        worker.turn()
    send(own_redis.url, "before")
    ledger.config_set("maxmemory-policy", "noeviction")
    ledger.config_set("maxmemory", 1)
    worker.turn_until(lambda: worker.taken, what="what lies there is taken")
    for _ in range(5):
        worker.turn()
    ledger.config_set("maxmemory", 0)

    send(own_redis.url, "after")
    worker.turn_until(lambda: len(worker.taken) == 2, what="the next is taken")

    assert [message.payload for message in worker.taken] == ["before", "after"]


def test_a_full_worker_whose_connection_is_cut(own_redis: RedisServer, ledger: redis.Redis) -> None:
    """It has asked nothing, so what its loop hears of is the connection's end: it takes a new one."""
    send(own_redis.url, *map(str, range(4)))
    worker = Worker(own_redis.url, room=1)
    worker.turn_until(lambda: worker.taken, what="it is full")
    worker.turn()
    asking = worker.channel.client.connection
    ledger.client_kill_filter(addr=":".join(map(str, asking._sock.getsockname())))
    worker.taken[0].ack()  # by a thread, while the loop sleeps

    with pytest.raises(Empty):
        worker.channel.connection.on_readable(asking._sock.fileno())
    worker.turn_until(lambda: len(worker.taken) == 2, what="the next is taken")
    worker.close()


def test_done_with_is_told_at_once_without_a_loop(own_redis: RedisServer, ledger: redis.Redis, worker: Worker) -> None:
    """While a worker ends its loop no longer turns, and its last jobs may take minutes."""
    send(own_redis.url, "last")
    worker.turn_until(lambda: worker.taken, what="it is taken")
    worker.channel.qos._ticked_at -= STALLED_LOOP_SECONDS

    worker.taken[0].ack()

    assert ledger.hlen("unacked") == 0


def test_a_lost_connection_is_told(ledger: redis.Redis, worker: Worker) -> None:
    """Celery hears of it as of any lost connection, and connects anew."""
    for _ in range(3):
        worker.turn()
    blocked = eventually(lambda: [one for one in ledger.client_list() if one["cmd"] == "blmove"], what="it waits")
    for one in blocked:
        ledger.client_kill_filter(_id=one["id"])

    with pytest.raises(redis.ConnectionError):
        worker.turn_until(lambda: False, what="it is told")
