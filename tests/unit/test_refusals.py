"""How a process records and logs a Redis that refuses it."""

from __future__ import annotations

import logging
from time import monotonic

import pytest
import redis
from structlog.testing import capture_logs

from bide.redis_errors import REFUSALS, RefusedError
from config.flower_log import RepeatFilter
from workers.transport.refusals import Refusals, raise_refusals

FULL = redis.exceptions.OutOfMemoryError("command not allowed when used memory > 'maxmemory'.")


def test_a_refusal_is_logged_once() -> None:
    """The line has reason and remedy, however many commands are refused; another reason is logged at once."""
    refusals = Refusals()
    with capture_logs() as logs:
        for _ in range(100):
            refusals.record(FULL)
        refusals.record(RefusedError("NOREPLICAS"))

    assert [(line["event"], line["reason"], line["remedy"]) for line in logs] == [
        ("broker.refuses", code, REFUSALS[code]) for code in ("OOM", "NOREPLICAS")
    ]
    assert "NOREPLICAS" in refusals.reason()


def test_a_command_sent_before_a_refusal_does_not_end_it() -> None:
    """A wait that had begun before may end well after it."""
    refusals = Refusals()
    sent_at = monotonic()
    with capture_logs() as logs:
        refusals.record(FULL)
        refusals.clear(sent_at=sent_at)
        assert refusals.reason()
        refusals.clear(sent_at=monotonic())
        refusals.clear(sent_at=monotonic())

    assert refusals.reason() == ""
    assert [line["event"] for line in logs] == ["broker.refuses", "broker.accepts"]


@pytest.mark.parametrize("error", [redis.ResponseError("WRONGTYPE of a mistake"), redis.ConnectionError("closed")])
def test_other_errors_stay_what_they_are(error: redis.RedisError) -> None:
    """A mistake must not be waited for, and a lost connection has its own way."""
    with pytest.raises(type(error)) as caught, raise_refusals():
        raise error
    assert caught.value is error


def test_flower_logs_repeated_lines_once() -> None:
    """The format of a line counts, not its values."""
    line_filter = RepeatFilter()
    records = [
        logging.LogRecord("flower.events", logging.ERROR, "", 1, "Failed to capture events: %s", (error,), None)
        for error in ("one", "two")
    ]
    assert [line_filter.filter(record) for record in records] == [True, False]
