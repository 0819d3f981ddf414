"""The changes that make Celery cheaper still do what Celery does."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from billiard import einfo
from celery import Celery
from celery.app import trace
from celery.exceptions import Retry
from celery.states import RETRY
from celery.utils.saferepr import saferepr

from workers.celery_patches.result_backend import Results
from workers.celery_patches.task_cost import LightInfo, make_ends_cheap, quick_repr
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


def test_a_suspension_is_described_without_its_traceback() -> None:
    """Celery's consumer finds the suspension in it, as in billiard's own description."""
    described: Any = LightInfo(_raised(Retry("suspended")))

    assert (described.type, described.traceback, described.tb) == (Retry, "", None)
    assert isinstance(described.exception.exc, Retry)
    assert "suspended" in str(described.exception.exc)


def test_a_failure_keeps_its_traceback() -> None:
    """An error of bide's own is looked for by it."""
    raised = _raised(ValueError("no number"))

    described, plain = LightInfo(raised), einfo.ExceptionInfo(raised)

    assert described.traceback == plain.traceback != ""
    assert described.tb is not None


@pytest.mark.parametrize("value", [{"outputs": [{"uri": "s3://b/k", "width": None}]}, ["x" * 3000], None, {"a": 1.5}])
def test_a_result_is_written_out_as_celery_does(value: Any) -> None:
    """Flower reads it; a long one is cut."""
    assert quick_repr(value, 1024) == saferepr(value, 1024)


def test_the_tracer_uses_both(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its module has them under the names that it calls them by."""
    monkeypatch.setattr(trace, "ExceptionInfo", einfo.ExceptionInfo)
    monkeypatch.setattr(trace, "saferepr", saferepr)
    app = Celery("test", set_as_current=False, broker="memory://", backend="cache+memory://")

    @app.task(name="test.suspends", shared=False)
    def suspends() -> None:
        raise Retry("suspended")

    make_ends_cheap()
    traced: Any = trace.trace_task(suspends, "job", (), {}, request={"id": "job", "hostname": "here"}, app=app)

    assert traced.info.state == RETRY
    assert isinstance(traced.retval, LightInfo)


def _raised(error: Exception) -> Any:
    with pytest.raises(type(error)) as caught:
        raise error
    return caught.type, caught.value, caught.tb


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
