"""Many jobs at once: records in few round trips, one message each, and what is known where it goes wrong in between."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from bide.client import Client
from bide.client.opening import AT_ONCE, Wanted, open_jobs
from bide.client.post import Post
from bide.client.requests import checked
from bide.contract import SUBMIT_QUEUE
from bide.errors import IdempotencyConflictError, LedgerAwayError
from bide.ledger import Ledger
from tests.integration.caller import image
from tests.integration.servers import RedisServer

pytestmark = [pytest.mark.integration]

MANY = AT_ONCE + 5


@pytest.fixture(name="client")
def _client(own_redis: RedisServer) -> Iterator[Client]:
    with Client(own_redis.url) as client:
        yield client


@pytest.fixture(name="server")
def _server(own_redis: RedisServer) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(own_redis.url, decode_responses=True) as server:
        yield server


def test_each_job_has_its_record_and_its_message(client: Client, server: redis.Redis) -> None:
    """In the order of the requests; the same ids again are the same jobs."""
    ids = [f"job-{number}" for number in range(MANY)]
    requests = [image(f"fox {number}") for number in range(MANY)]
    assert client.submit_many(requests, job_ids=ids) == ids
    assert server.llen(SUBMIT_QUEUE) == MANY
    for number in (0, AT_ONCE - 1, AT_ONCE, MANY - 1):
        status = client.status(ids[number])
        assert status is not None
        assert status.state == "queued"
    assert client.submit_many(requests, job_ids=ids) == ids
    assert len(server.keys("*job:job-*")) == MANY


def test_one_key_twice_is_one_job(client: Client, server: redis.Redis) -> None:
    """Also within one call."""
    first, again, other = client.submit_many([image("fox", idempotency_key=key) for key in ("a", "a", "b")])
    assert first == again != other
    assert server.llen(SUBMIT_QUEUE) == 2


def test_a_conflict_leaves_the_others(client: Client, server: redis.Redis) -> None:
    """The error names the place, and its note the jobs that were enqueued all the same."""
    client.submit(image("fox"), job_id="b")
    with pytest.raises(IdempotencyConflictError, match="job id was used with another request") as refused:
        client.submit_many([image("1"), image("2"), image("3")], job_ids=["a", "b", "c"])
    assert refused.value.__notes__ == ["requests[1] was not enqueued; 2 of 3 jobs were: ['a', 'c']"]
    assert server.llen(SUBMIT_QUEUE) == 3
    assert client.status("c") is not None


def test_a_ledger_that_goes_away_leaves_ids_to_ask_for(client: Client, own_redis: RedisServer) -> None:
    """Nothing is known of the last round trip: its ids stand in the note, and the same call again does no harm."""
    ids = ["a", "b"]
    client.submit_many([image("1"), image("2")], job_ids=ids)
    own_redis.kill()
    with redis.Redis.from_url(own_redis.url, retry=Retry(NoBackoff(), 0)) as impatient:
        wanted = [Wanted(job_id, *checked(image("1"), {}, None)) for job_id in ids]
        with pytest.raises(LedgerAwayError) as away:
            open_jobs(Ledger(impatient), Post(own_redis.url, own_redis.url, sentinel_master="bide"), wanted)
    assert away.value.__notes__ == [f"0 of 2 jobs were: []; it is not known of requests[0] and after: {ids}"]
    own_redis.start()
    assert client.submit_many([image("1"), image("2")], job_ids=ids) == ids
