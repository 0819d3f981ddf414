"""Celery, kombu and billiard still behave in the way that makes each change of bide necessary."""

from __future__ import annotations

import inspect
import json
import zlib
from concurrent.futures import wait
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

import fakeredis
import pytest
import redis
from billiard import einfo
from celery import Celery
from celery.app.amqp import Queues
from celery.backends.redis import RedisBackend
from celery.concurrency.thread import TaskPool
from celery.events.dispatcher import EventDispatcher
from celery.exceptions import InvalidTaskError, Retry
from celery.states import FAILURE, RETRY
from celery.worker import control
from celery.worker.request import Request
from kombu import Connection, compression
from kombu.message import Message
from kombu.transport.redis import Channel, get_redis_error_classes

from tests.unit.upstream import read

#: The entries of the README that a test of this file is about.
ENTRIES = (
    "versions",
    "pool",
    "consumer",
    "message_check",
    "request",
    "events",
    "result_backend",
    "remote_control",
    "task_cost",
    "channels",
    "unacked",
    "decompress",
    "refusals",
    "queues",
)


@pytest.fixture
def app() -> Celery:
    """An app with one task; nothing is connected to."""
    app = Celery("stock", set_as_current=False, broker="memory://", backend="cache+memory://")

    @app.task(name="stock.task", shared=False)  # else every other app of the process would know it
    def task() -> None: ...

    return app


def stock_request(app: Celery, **headers: Any) -> Request:
    """A message as Celery's own worker makes a request of it."""
    body = json.dumps([["a picture"], {}, {}])
    fields = {"task": "stock.task", **headers}
    message = Message(body=body, content_type="application/json", content_encoding="utf-8", headers=fields)
    return Request(message, app=app, task=app.tasks["stock.task"])


def test_celery_is_the_version_that_survives_a_restart_of_redis() -> None:
    """5.7.0 does not; a newer one has to be tried."""
    assert version("celery").startswith("5.6."), read("versions")


def test_celerys_pool_loses_an_exception_of_the_tracer() -> None:
    """No callback is called, so that the message stays unacked."""
    called: list[Any] = []
    pool: Any = TaskPool(1)

    result = pool.on_apply(lambda: 1 / 0, (), {}, callback=called.append)
    wait([result.f])
    pool.on_stop()

    assert (called, type(result.f.exception())) == ([], ZeroDivisionError), read("pool")


def test_kombu_waits_up_to_half_a_minute() -> None:
    """Celery's consumer uses these defaults."""
    defaults = inspect.signature(Connection._ensure_connection).parameters

    waits = [defaults[f"interval_{name}"].default for name in ("start", "step", "max")]
    assert waits == [2, 2, 30], read("consumer")


def test_celerys_request_breaks_over_a_header_of_another_type(app: Celery) -> None:
    """Celery's consumer rejects an `InvalidTaskError`; any other error ends it."""
    request: Any = stock_request(app, id="j1", timelimit="abc")

    with pytest.raises(ValueError, match="too many values to unpack") as caught:
        request.execute_using_pool(SimpleNamespace(apply_async=None))
    assert not isinstance(caught.value, InvalidTaskError), read("message_check")


def test_celerys_request_shows_arguments_and_needs_an_id(app: Celery) -> None:
    """In `info()`, and so in `inspect active`."""
    assert "a picture" in str(stock_request(app, id="j1").info()), read("request")
    with pytest.raises(KeyError):
        stock_request(app)


def test_celerys_dispatcher_loses_what_is_added_while_it_sends() -> None:
    """It empties the whole buffer after it has sent what was there before."""
    app = Celery("stock", broker="memory://", set_as_current=False)
    sent: list[str] = []
    with app.connection_for_write() as connection:
        dispatcher: Any = EventDispatcher(connection, app=app, hostname="here", buffer_group=["task"])

        def publish(events: list[dict[str, Any]], **_: Any) -> None:
            sent.extend(event["uuid"] for event in events)
            if sent == ["first"]:
                dispatcher.send("task-succeeded", uuid="meanwhile")

        dispatcher.producer = SimpleNamespace(publish=publish)
        dispatcher.send("task-received", uuid="first")
        dispatcher.flush()
        dispatcher.flush()

    assert "meanwhile" not in sent, read("events")


class StockResults(RedisBackend):
    """Celery's own results in a Redis in memory."""

    client = fakeredis.FakeRedis(version=(7,))


@pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")
def test_celerys_results_overwrite_a_failure_with_a_suspension() -> None:
    """Only a success is kept; a Redis that refuses writes is not tried again."""
    results: Any = StockResults(app=Celery("stock", set_as_current=False), url="redis://127.0.0.1:1/0")
    results.store_result("j1", ValueError("no"), FAILURE)

    results.mark_as_retry("j1", Retry("suspended"), traceback="File trace.py")

    assert results.get_state("j1") == RETRY, read("result_backend")
    assert results.get_traceback("j1") == "File trace.py", read("result_backend")
    assert not results.exception_safe_to_retry(redis.exceptions.OutOfMemoryError()), read("result_backend")


def test_celerys_remote_command_shows_a_password(app: Celery) -> None:
    """Its list of settings that are addresses is not complete."""
    app.conf.redbeat_redis_url = "redis://:hush-hush@127.0.0.1/0"
    stock: Any = control

    assert "hush-hush" in str(stock.conf(SimpleNamespace(app=app))), read("remote_control")


def test_billiard_formats_the_traceback_of_a_suspension() -> None:
    """It goes into an event, where it says nothing of the job."""
    with pytest.raises(Retry) as caught:
        raise Retry("suspended")

    found: Any = einfo.ExceptionInfo((caught.type, caught.value, caught.tb))

    assert "Traceback" in found.traceback, read("task_cost")
    assert found.tb is not None, read("task_cost")


def test_kombus_channel_makes_a_client_for_each_command() -> None:
    """Its pool is shared, and a client costs as much as a command."""
    channel: Any = Channel.__new__(Channel)  # its own start connects
    channel._pool, channel.Client = redis.ConnectionPool(), redis.Redis

    assert channel._create_client() is not channel._create_client(), read("channels")


def test_kombus_visibility_timeout_is_an_hour() -> None:
    """It is the only time after which a killed worker's message comes back."""
    assert Channel.visibility_timeout == 3600, read("unacked")


def test_kombus_decoders_have_no_limit() -> None:
    """The standard library's function, which decompresses everything at once."""
    register = inspect.getsource(compression)

    assert "zlib.decompress,\n" in register, read("decompress")
    assert len(zlib.decompress(zlib.compress(b" " * 10_000_000))) == 10_000_000


@pytest.mark.parametrize("error", [redis.exceptions.OutOfMemoryError(), redis.exceptions.ReadOnlyError()], ids=repr)
def test_kombu_takes_a_refusal_for_a_channel_error(error: Exception) -> None:
    """Celery's consumer does not connect anew after one."""
    connection_errors, channel_errors = get_redis_error_classes()

    assert isinstance(error, channel_errors), read("refusals")
    assert not isinstance(error, connection_errors), read("refusals")


def test_celerys_queues_refuse_a_callers_own() -> None:
    """A job whose `link` names it would fail at its end."""
    with pytest.raises(KeyError):
        Queues([], create_missing=False)["callers.own"]
