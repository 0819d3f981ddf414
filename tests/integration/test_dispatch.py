"""Hints that go out together: all of them, or none where Redis is away; and afterwards again."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import redis
from celery import Celery

from bide.ledger import AccountName, Hint, Messages
from tests.integration.servers import RedisServer
from workers.services.dispatcher import Dispatcher

pytestmark = pytest.mark.integration

ACCOUNT, QUEUE = AccountName("photogpt", "default"), "bide.store"


@pytest.fixture
def dispatcher(own_redis: RedisServer) -> Iterator[Dispatcher]:
    """One with the celery settings of workers."""
    with Celery(broker=own_redis.url, set_as_current=False) as app:
        app.config_from_object("config.celery")
        app.conf.update(broker_url=own_redis.url)
        yield Dispatcher(app)


def hints(*job_ids: str) -> Messages:
    """To look at these jobs."""
    return Messages(tuple(Hint(ACCOUNT, job_id, QUEUE) for job_id in job_ids))


def sent(server: RedisServer) -> list[str]:
    """The jobs that stand in the queue, the first first."""
    with redis.Redis.from_url(server.url) as client:
        messages = client.lrange(QUEUE, 0, -1)
    return [json.loads(message)["headers"]["id"] for message in reversed(messages)]


def test_hints_are_sent_together(own_redis: RedisServer, dispatcher: Dispatcher) -> None:
    """Every one of them once, in their order."""
    dispatcher.send(hints("a", "b", "c"))

    assert sent(own_redis) == ["a", "b", "c"]


def test_hints_that_can_not_be_sent_do_not_come_late(own_redis: RedisServer, dispatcher: Dispatcher) -> None:
    """No caller of `send` gets an error: the sweeper asks for such hints again, and the next ones go out as ever."""
    dispatcher.send(hints("a", "b"))
    own_redis.kill()

    dispatcher.send(hints("c", "d", "e"))
    own_redis.start()
    dispatcher.send(hints("f", "g"))

    assert sent(own_redis) == ["f", "g"]
