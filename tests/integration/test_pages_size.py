"""The pages of a deployment with 10,000 jobs: the CPU time of its list, and the memory of its process."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from bide.ledger.keys import prefix
from tests.contract.ledger_stage import ACCOUNT, Clock, Stage
from tests.integration.processes import Process
from tests.integration.servers import RedisServer
from tests.integration.test_pages import Browser, pages

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

JOBS = 10_000

#: How many lists are asked for, since the kernel counts CPU time in hundredths of a second.
LISTS = 5

#: The most CPU time of one list [seconds], and the most memory [bytes].
LIST_SECONDS, MOST_BYTES = 0.3, 120 * 1024 * 1024


@pytest.fixture(scope="module", name="crowded")
def _crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Process, Browser]]:
    """Pages over a Redis with so many finished jobs."""
    folder = tmp_path_factory.mktemp("many")
    server = RedisServer(folder, appendonly=False)
    process = pages(server, folder)
    try:
        server.start()
        with redis.Redis.from_url(server.url, decode_responses=True) as client:
            _fill(client)
        browser = Browser(process.start()[1])
        browser.get("/")
        yield process, browser
        assert process.peak_bytes < MOST_BYTES
    finally:
        process.kill()
        server.kill()


def _fill(client: redis.Redis) -> None:
    """Copies of one real record, each with a prompt and an order of its own."""
    stage = Stage(client, Clock())
    stage.finished("first", metadata={"tenant": "t0", "order": "0"})
    at = prefix(ACCOUNT)
    record: dict[Any, Any] = client.hgetall(f"{at}job:first")
    body: dict[Any, Any] = client.hgetall(f"{at}body:first")
    begun, request = time.time() - JOBS, json.loads(body["request"])
    pipeline = client.pipeline(transaction=False)
    for number in range(JOBS):
        request["params"]["prompt"] = f"a red fox number {number} in the snow, soft morning light, 35 mm, grain"
        request["metadata"] = {"tenant": f"t{number % 7}", "order": str(number)}
        created = f"{begun + number:.3f}"
        pipeline.hset(f"{at}job:job-{number}", mapping={**record, "created": created})
        pipeline.hset(f"{at}body:job-{number}", mapping={**body, "request": json.dumps(request, separators=(",", ":"))})
        pipeline.zadd(f"{at}recent", {f"job-{number}": float(created)})
    pipeline.execute()


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", 50),
        ("limit=500", 500),
        ("prompt=number+17+snow", 50),
        ("metadata=order%3D17", 1),
        ("tenant=t3", 50),
        ("prompt=badger", 0),
        ("state=failed", 0),
        ("code=rejected", 0),
        ("until=2023-12-31T00:00", 1),
    ],
)
def test_the_list_is_cheap(crowded: tuple[Process, Browser], query: str, found: int) -> None:
    """Any list among 10,000 jobs costs the pages little; none of these answers is one that was kept."""
    process, browser = crowded
    begun = process.cpu_seconds
    for number in range(LISTS):
        page = browser.get(f"/?{query}&since=2000-01-01T00:00:{number:02}")
        assert (page.status, page.text.count('<li class="job')) == (200, found)
    assert (process.cpu_seconds - begun) / LISTS < LIST_SECONDS
