"""Celery's results as workers store them: a suspension overwrites no result, and storing waits for Redis."""

from __future__ import annotations

import math
from typing import Any

import fakeredis
import pytest
import redis
from celery import Celery
from celery.exceptions import Retry
from celery.states import FAILURE, RETRY, SUCCESS

from workers.celery_patches.result_backend import Results

#: Celery calls it.
pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")

RETENTION_SECONDS = 600


class InMemory(Results):
    """Stores in a Redis in memory; the first answers may be errors."""

    def __init__(self, *errors: Exception) -> None:
        self.reads = 0
        app = Celery("test", set_as_current=False)
        app.conf.update(
            result_expires=RETENTION_SECONDS,
            result_backend_always_retry=True,
            result_backend_base_sleep_between_retries_ms=0,
        )
        self._server = fakeredis.FakeRedis(version=(7,))
        self._errors = list(errors)
        super().__init__(app=app, url="redis://127.0.0.1:1/0")

    def get(self, key: str) -> Any:
        self.reads += 1
        return super().get(key)

    @property
    def client(self) -> Any:
        if self._errors:
            raise self._errors.pop()
        return self._server


def test_a_suspension_is_shown() -> None:
    """RETRY is stored where nothing is, for as long as any result, and is not published."""
    results = InMemory()
    listener = results.client.pubsub(ignore_subscribe_messages=True)
    listener.psubscribe("celery-task-meta-*")
    listener.get_message(timeout=1)

    results.mark_as_retry("j1", Retry("suspended"))

    assert results.get_state("j1") == RETRY
    assert 0 < results.client.ttl(results.get_key_for_task("j1")) <= RETENTION_SECONDS
    assert listener.get_message() is None


@pytest.mark.parametrize("end", [SUCCESS, FAILURE])
def test_a_suspension_overwrites_no_end(end: str) -> None:
    """Another thread may have ended the job before RETRY is stored: its callers must see the end."""
    results = InMemory()
    results.store_result("j1", ValueError("result") if end == FAILURE else "result", end)

    results.mark_as_retry("j1", Retry("suspended"))

    assert results.get_state("j1") == end


@pytest.mark.parametrize("end", [SUCCESS, FAILURE])
def test_an_end_replaces_a_suspension(end: str) -> None:
    """RETRY stays until the job's result is stored."""
    results = InMemory()
    results.mark_as_retry("j1", Retry("suspended"))

    results.store_result("j1", ValueError("result") if end == FAILURE else "result", end)

    assert results.get_state("j1") == end


def test_a_late_failure_overrules_no_success() -> None:
    """A step that was thought dead may fail after its twin has succeeded: the caller keeps its result."""
    results = InMemory()
    results.store_result("j1", "result", SUCCESS)

    results.store_result("j1", ValueError("late"), FAILURE)

    assert results.get_state("j1") == SUCCESS


@pytest.mark.parametrize("state", [SUCCESS, RETRY])
def test_a_success_and_a_suspension_are_stored_unread(state: str) -> None:
    """Two reads a job are two round trips of a busy worker."""
    results = InMemory()
    results.store_result("j1", Retry("suspended") if state == RETRY else "result", state)

    assert results.reads == 0
    assert results.get_state("j1") == state


def test_storing_waits_for_a_redis_that_is_away() -> None:
    """A result that can't be stored would cost the pool a thread for ever, and the job its result."""
    full = redis.exceptions.OutOfMemoryError("command not allowed when used memory > 'maxmemory'.")
    piped = redis.ResponseError("Command # 1 (SETEX k 9 v) of pipeline caused error: MISCONF Redis can't save")
    results: Any = InMemory(*[redis.ConnectionError("away"), full, piped] * 10)

    results.store_result("j1", "result", SUCCESS)

    assert results.max_retries == math.inf
    assert results.get_state("j1") == SUCCESS


def test_an_error_of_the_command_is_raised() -> None:
    """It would fail for ever."""
    results = InMemory(redis.ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value"))

    with pytest.raises(redis.ResponseError):
        results.store_result("j1", "result", SUCCESS)
