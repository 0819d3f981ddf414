"""How a worker waits for a broker that is away."""

from __future__ import annotations

from itertools import pairwise

import pytest
from celery import Celery
from celery.worker.consumer import Consumer
from kombu import Connection
from kombu.utils import functional

from workers.celery_patches.consumer import RETRY_POLICY, GuardedConsumer


class OverError(Exception):
    """Waited for long enough."""


def test_an_absent_broker_is_asked_every_few_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it stays away; Celery itself would ask it twice a minute."""
    asked_at: list[float] = []
    now = 0.0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds
        if now > 120:
            raise OverError

    def connect(*_: object, **__: object) -> None:
        asked_at.append(now)
        raise ConnectionRefusedError

    connection = Connection("redis://127.0.0.1:1/0")
    monkeypatch.setattr(functional, "sleep", sleep)
    monkeypatch.setattr(connection, "_connection_factory", connect)

    with pytest.raises(OverError):
        consumer().ensure_connected(connection)

    waits = [later - before for before, later in pairwise(asked_at)]
    assert waits[:4] == [1.0, 2.0, 3.0, 4.0]
    assert set(waits[4:]) == {RETRY_POLICY["interval_max"]}
    assert len(waits) > 25


def consumer() -> Consumer:
    """As far as it takes to connect."""
    one = GuardedConsumer.__new__(GuardedConsumer)
    one.app = Celery(set_as_current=False)
    one.app.conf.update(broker_connection_retry_on_startup=True, broker_connection_max_retries=None)
    one.first_connection_attempt = True
    one.broker_connection_retry_attempt = 0
    return one
