"""The changes that make Celery cheaper still do what Celery does."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from billiard import einfo
from celery import Celery
from celery.exceptions import Retry

from workers.celery_patches.result_backend import Results
from workers.celery_patches.retry_cost import cache_code
from workers.transport.channels import WorkerChannel


def test_one_client_serves_a_channel_until_its_pool_is_replaced() -> None:
    """A client whose pool was closed after a lost connection would go on using dead connections."""
    channel: Any = WorkerChannel.__new__(WorkerChannel)  # its own start connects
    channel._pool, channel.Client = redis.ConnectionPool(), redis.Redis

    first, second = channel._create_client(), channel._create_client()
    channel._pool = redis.ConnectionPool()
    third = channel._create_client()

    assert first is second
    assert third is not first
    assert third.connection_pool is channel.pool


def test_a_cached_code_reads_as_a_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The description of a failure is the same, its code made once."""
    monkeypatch.setattr(einfo._Frame, "Code", einfo._Code)
    plain = _raised()
    cache_code()

    first, second = _raised(), _raised()

    assert _code(first) is _code(second)
    assert vars(_code(first)) == vars(_code(plain))
    assert first.traceback == plain.traceback


def _raised() -> einfo.ExceptionInfo:
    with pytest.raises(ValueError, match="invalid literal") as caught:
        int("no number")
    return einfo.ExceptionInfo((caught.type, caught.value, caught.tb))


def _code(info: einfo.ExceptionInfo) -> Any:
    assert info.tb is not None
    return info.tb.tb_frame.f_code


def test_a_suspension_keeps_no_traceback() -> None:
    """Each waiting job would hold a kilobyte of Celery's own lines in Redis, and its caller would see them."""
    results = Recording(Celery("test", set_as_current=False))

    results.mark_as_retry("job", Retry("suspended"), traceback="File trace.py", request=None)

    assert results.stored == [("job", "RETRY", None)]


class Recording(Results):
    """Records the states instead of storing them."""

    def __init__(self, app: Celery) -> None:
        super().__init__(app=app, url="redis://127.0.0.1:1/0")
        self.stored: list[tuple[str, str, Any]] = []

    def store_result(
        self, task_id: str, result: Any, state: str, traceback: str | None = None, request: Any = None, **_: Any
    ) -> Any:
        self.stored.append((task_id, state, traceback))
        return result
