"""`bide.AsyncClient`: against a running deployment, and a thousand waits at once."""

from __future__ import annotations

import asyncio
import json
import resource
import threading
import time
from typing import Any

import pytest
import redis

from bide.client import AsyncClient
from bide.errors import JobFailed
from bide.params import photogpt
from tests.integration.caller import image, marker
from tests.integration.rig import Rig
from tests.integration.servers import RedisServer, redis_server
from tests.integration.stored import store_result
from tests.integration.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.integration

MANY = 1000


def test_submit_and_wait(rig: Rig) -> None:
    """A job from first to last, of typed params; its result is there again when it is asked for."""
    marked = marker()

    async def run() -> None:
        async with AsyncClient(rig.redis.url) as client:
            params = photogpt.ImagesGeneration(modelID="m1", prompt=marked)
            job_id = await client.submit(params, metadata={"order": "1042"})
            assert await client.result(job_id) is None
            result = await client.wait(job_id, timeout_seconds=PATIENCE_SECONDS)
            assert (result.job_id, result.metadata) == (job_id, {"order": "1042"})
            assert await client.result(job_id) == result
            status = await client.status(job_id)
            assert status is not None
            assert status.state == "succeeded"

    asyncio.run(run())
    assert len(rig.purchases(marked)) == 1


def test_a_wait_ends_badly(rig: Rig) -> None:
    """A time-out leaves the job as it is; a cancel ends all waits for the job."""

    async def run() -> list[Any]:
        async with AsyncClient(rig.redis.url) as client:
            [job_id] = await client.submit_many([image("[fault:never_finishes]")])
            with pytest.raises(TimeoutError, match="it goes on"):
                await client.wait(job_id, timeout_seconds=0.3)
            waits = [asyncio.create_task(client.wait(job_id, timeout_seconds=PATIENCE_SECONDS)) for _ in range(3)]
            await client.cancel(job_id)
            return await asyncio.gather(*waits, return_exceptions=True)

    ends = asyncio.run(run())
    assert [type(end) for end in ends] == [JobFailed] * 3
    assert {json.loads(str(end))["code"] for end in ends} == {"canceled"}


def test_a_thousand_waits_take_no_thread() -> None:
    """All are served by one loop over one connection, each soon after its result; the waiter's CPU is little."""
    with redis_server(appendonly=False) as server:
        late, threads, cpu_seconds = asyncio.run(wait_for_many(server, MANY, over_seconds=3.0))
    assert threads == 0
    assert max(late) < 2.0
    assert cpu_seconds < 4.0, "the loop looks too often"


def test_a_wait_outlives_a_restart() -> None:
    """Redis goes away and comes back under a wait, which goes on."""

    async def run(server: RedisServer) -> str:
        async with AsyncClient(server.url) as client:
            wait = asyncio.create_task(client.wait("a", timeout_seconds=PATIENCE_SECONDS))
            await asyncio.sleep(0)
            await asyncio.to_thread(server.restart)
            with Results(server.url) as results:
                results.end("a")
                return (await wait).job_id

    with redis_server() as server:
        assert asyncio.run(run(server)) == "a"


def test_closing_ends_the_waits() -> None:
    """A closed client leaves no wait behind."""

    async def run(server: RedisServer) -> None:
        client = AsyncClient(server.url)
        wait = asyncio.create_task(client.wait("never"))
        await asyncio.sleep(0.1)
        await client.close()
        with pytest.raises(asyncio.CancelledError):
            await wait

    with redis_server(appendonly=False) as server:
        asyncio.run(run(server))


async def wait_for_many(server: RedisServer, many: int, *, over_seconds: float) -> tuple[list[float], int, float]:
    """End jobs evenly over a while; how late each wait heard of it, threads that were added, CPU of this process."""
    ended: dict[str, float] = {}
    late: list[float] = []

    async def one(client: AsyncClient, job_id: str) -> None:
        await client.wait(job_id, timeout_seconds=PATIENCE_SECONDS)
        late.append(time.monotonic() - ended[job_id])

    async with AsyncClient(server.url) as client:
        job_ids = [f"job-{number}" for number in range(many)]
        before = threading.active_count()
        began = resource.getrusage(resource.RUSAGE_SELF)
        waits = [asyncio.create_task(one(client, job_id)) for job_id in job_ids]
        with Results(server.url) as results:
            for job_id in job_ids:
                ended[job_id] = time.monotonic()
                results.end(job_id)
                await asyncio.sleep(over_seconds / many)
            threads = threading.active_count() - before
            await asyncio.gather(*waits)
        used = resource.getrusage(resource.RUSAGE_SELF)
    return late, threads, used.ru_utime + used.ru_stime - began.ru_utime - began.ru_stime


class Results:
    """Stores results as a worker's Celery does."""

    def __init__(self, url: str) -> None:
        self._server = redis.Redis.from_url(url)

    def __enter__(self) -> Results:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()

    def end(self, job_id: str) -> None:
        """Have a job succeed."""
        store_result(self._server, job_id)
