"""The exporter's web server: it answers whatever Redis does, over real HTTP."""

from __future__ import annotations

import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import fakeredis
import pytest
import redis
from structlog.testing import capture_logs

from bide.contract import QUEUES
from tests.background import served
from tests.contract.ledger_stage import Clock, Stage
from workers.metrics.exporter import BideCollector, Server, application
from workers.metrics.reading import Snapshot, read

OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@contextmanager
def serving(take: Callable[[], Snapshot], *, answer_seconds: float = 4.0) -> Iterator[Callable[[str], str]]:
    """An exporter on a port nobody uses; gives what fetches a path of it."""
    collector = BideCollector(take, answer_seconds=answer_seconds)
    with closing(collector), Server("127.0.0.1", 0, application(collector)) as web, served(web):
        yield lambda path: OPENER.open(f"{web.url}{path}", timeout=10).read().decode()


def snapshot_of(server: redis.Redis) -> Callable[[], Snapshot]:
    """Takes one of a Redis and its queues."""
    return lambda: read(server, lambda: dict.fromkeys(QUEUES, 0))


@pytest.fixture
def server() -> redis.Redis:
    """A Redis in memory with a job in it."""
    server: redis.Redis = fakeredis.FakeRedis(decode_responses=True, version=(7,))
    Stage(server, Clock()).open("a")
    return server


def test_metrics_and_health(server: redis.Redis) -> None:
    """In the text format that Prometheus reads; other paths say what there is."""
    with serving(snapshot_of(server)) as get:
        assert get("/healthz") == "ok\n"
        text = get("/metrics")
        with pytest.raises(urllib.error.HTTPError, match="404") as missing:
            get("/")
        missing.value.close()
    assert "\nbide_up 1.0\n" in text
    assert 'bide_jobs{account="default",provider="photogpt",state="queued"} 1.0' in text
    assert "# TYPE bide_poll_lateness_seconds histogram" in text


def test_redis_away_is_shown_and_passes() -> None:
    """`bide_up` is 0 while Redis is away, and all families keep their names; afterwards the values come back."""
    connected = fakeredis.FakeServer()
    server: redis.Redis = fakeredis.FakeRedis(server=connected, decode_responses=True, version=(7,))
    Stage(server, Clock()).open("a")
    with serving(snapshot_of(server)) as get, capture_logs() as logs:
        connected.connected = False
        text = get("/metrics")
        assert get("/healthz") == "ok\n"
        connected.connected = True
        assert "\nbide_up 1.0\n" in get("/metrics")
    assert "\nbide_up 0.0\n" in text
    assert "# TYPE bide_jobs gauge" in text
    assert "bide_jobs{" not in text
    assert [entry["event"] for entry in logs] == ["metrics.no_snapshot"]


def test_a_redis_that_hangs_is_waited_for_once(server: redis.Redis) -> None:
    """Scrapes answer in time, and do not pile up behind it."""
    hang, asked = threading.Event(), list[float]()

    def take() -> Snapshot:
        asked.append(time.monotonic())
        hang.wait(30)
        return snapshot_of(server)()

    with serving(take, answer_seconds=0.2) as get, capture_logs():
        for _ in range(3):
            began = time.monotonic()
            assert "\nbide_up 0.0\n" in get("/metrics")
            assert time.monotonic() - began < 5
        assert len(asked) == 1
        hang.set()


def test_a_port_in_use_is_refused() -> None:
    """Not shared with another process, whose metrics one would then see."""
    with Server("127.0.0.1", 0, lambda *_: []) as first, pytest.raises(OSError, match="in use"):
        Server("127.0.0.1", first.server_port, lambda *_: [])
