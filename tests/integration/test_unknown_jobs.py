"""Waits for jobs that bide does not know, or of which Celery keeps no result: an honest answer within seconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from bide.client import AsyncClient, Client
from bide.contract import JobResult
from bide.errors import JobFailed, UnknownJobError
from tests.integration.caller import Caller, image
from tests.integration.rig import Rig
from tests.integration.servers import RedisServer, redis_server
from tests.integration.stored import store_result
from tests.integration.waiting import PATIENCE_SECONDS, eventually

pytestmark = pytest.mark.integration

#: What each error about an unknown job says.
UNKNOWN = "neither a record nor a result"


@pytest.fixture(scope="module", name="server")
def _server() -> Iterator[RedisServer]:
    """A Redis without any worker."""
    with redis_server(appendonly=False) as server:
        yield server


def wait(url: str, kind: str, job_id: str, **options: Any) -> JobResult:
    """Wait with one of the two clients."""
    if kind == "sync":
        with Client(url) as client:
            return client.wait(job_id, **options)

    async def run() -> JobResult:
        async with AsyncClient(url) as client:
            return await client.wait(job_id, **options)

    return asyncio.run(run())


@pytest.fixture(params=["sync", "async"])
def kind(request: pytest.FixtureRequest) -> str:
    """The client that waits."""
    chosen: str = request.param
    return chosen


def test_a_wait_for_an_unknown_job_ends(server: RedisServer, kind: str) -> None:
    """Within seconds, without any time-out."""
    begun = time.monotonic()

    with pytest.raises(UnknownJobError, match=UNKNOWN):
        wait(server.url, kind, "no-such-job")

    assert time.monotonic() - begun < 15


@pytest.mark.parametrize("seconds", [0.0, 0.3, 1.5])
def test_a_time_out_says_that_the_job_is_unknown(server: RedisServer, kind: str, seconds: float) -> None:
    """It does not say that it goes on."""
    with pytest.raises(TimeoutError, match=UNKNOWN):
        wait(server.url, kind, "no-such-job", timeout_seconds=seconds)


def test_a_job_that_waits_for_a_worker_is_known(server: RedisServer, kind: str) -> None:
    """Its record is there from `submit` on, long before Celery has a state of it."""
    with Client(server.url) as client:
        job_id = client.submit(image())

    with pytest.raises(TimeoutError, match="it goes on"):
        wait(server.url, kind, job_id, timeout_seconds=1.5, unknown_seconds=0.2)


def test_a_suspended_job_is_known(server: RedisServer, kind: str) -> None:
    """Celery has a state of it."""
    with redis.Redis.from_url(server.url) as results:
        results.set("celery-task-meta-suspended", '{"status": "RETRY", "result": null, "task_id": "suspended"}')

    with pytest.raises(TimeoutError, match="it goes on"):
        wait(server.url, kind, "suspended", timeout_seconds=1.5, unknown_seconds=0.2)


def test_a_message_that_no_worker_has_taken_may_be_waited_for(server: RedisServer, kind: str) -> None:
    """Until then bide knows nothing of it; its caller says how long that may take."""
    job_id = f"message-{kind}"
    with Caller(server.url) as caller:
        caller.submit(image(), task_id=job_id)
    with pytest.raises(UnknownJobError, match="sent as a message that no worker has taken yet"):
        wait(server.url, kind, job_id, unknown_seconds=0.5)
    with pytest.raises(TimeoutError, match=UNKNOWN):
        wait(server.url, kind, job_id, timeout_seconds=1.5, unknown_seconds=60)
    with redis.Redis.from_url(server.url) as results:
        store_result(results, job_id)

    assert wait(server.url, kind, job_id, unknown_seconds=60).job_id == job_id


def test_an_outage_says_nothing_of_a_job(kind: str) -> None:
    """While Redis is away no job becomes unknown; once it is back the wait goes on."""

    async def run(server: RedisServer) -> JobResult:
        waiting = asyncio.create_task(asyncio.to_thread(wait, server.url, kind, "a", unknown_seconds=1.0))
        await asyncio.sleep(0.3)
        await asyncio.to_thread(server.stop)
        await asyncio.sleep(2.0)
        await asyncio.to_thread(server.start)
        with redis.Redis.from_url(server.url) as results:
            store_result(results, "a")
        return await waiting

    with redis_server() as server:
        assert asyncio.run(run(server)).job_id == "a"


def test_a_wait_ends_without_a_result_of_celerys(rig: Rig, caller: Caller, kind: str) -> None:
    """The record has the end of a job whose caller wants Celery to keep none, be it good or bad."""
    good = caller.submit(image(), ignore_result=True)
    bad = caller.submit(image("[fault:fail:no]"), ignore_result=True)
    eventually(lambda: rig.state(good.id) and rig.state(bad.id), what="both are open")

    assert wait(rig.redis.url, kind, good.id, timeout_seconds=PATIENCE_SECONDS).job_id == good.id
    with pytest.raises(JobFailed, match="generation_failed"):
        wait(rig.redis.url, kind, bad.id, timeout_seconds=PATIENCE_SECONDS)
