"""`Client.follow` and `AsyncClient.follow`: a job's states, progress and end as events, against a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import pytest

from bide.client import AsyncClient, Client, JobEnded, JobEvent, Progress, ProgressChanged, StateChanged
from bide.contract import FailureCode, JobResult, JobState
from bide.errors import UnknownJobError
from bide.ledger import Polled, Verb
from bide.ledger.connection import connect
from tests.contract.ledger_stage import ACCOUNT, Clock, Stage, taken
from tests.integration.servers import RedisServer, redis_server
from tests.integration.stored import store_result
from tests.integration.waiting import eventually

pytestmark = pytest.mark.integration

#: Longer than any of this takes [seconds].
PATIENCE_SECONDS = 30.0

RESULT = JobResult(
    job_id="a", provider="photogpt", operation="images.generation", polls=2, finished_at=datetime.now(UTC), outputs=()
)

#: What a follower does with each event.
Act = Callable[[JobEvent], object]


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """One Redis for the file."""
    with redis_server() as server:
        yield server


@pytest.fixture
def stage(server: RedisServer) -> Iterator[Stage]:
    """An empty ledger, in which the test plays worker and provider."""
    with connect(server.url) as connection:
        connection.flushall()
        yield Stage(connection, Clock())


def followed(url: str, job_id: str, act: Act = lambda _: None, **options: Any) -> list[JobEvent]:
    """All events of a job, for a thread."""
    events = []
    with Client(url) as client:
        for event in client.follow(job_id, **{"timeout_seconds": PATIENCE_SECONDS, **options}):
            events.append(event)
            act(event)
    return events


def followed_by_loop(url: str, job_id: str, act: Act = lambda _: None, **options: Any) -> list[JobEvent]:
    """The same for an event loop."""

    async def run() -> list[JobEvent]:
        events = []
        async with AsyncClient(url) as client:
            async for event in client.follow(job_id, **{"timeout_seconds": PATIENCE_SECONDS, **options}):
                events.append(event)
                act(event)
        return events

    return asyncio.run(run())


BOTH = pytest.mark.parametrize("follow", [followed, followed_by_loop], ids=["Client", "AsyncClient"])
Follow = Callable[..., list[JobEvent]]


def report(stage: Stage, *texts: str) -> None:
    """The provider says how far the job is."""
    for text in texts:
        polled = Polled("a", "running", 5.0, note="painting", also={"progress": text} if text else {})
        stage.ledger.polls.record(ACCOUNT, [polled])


def store(stage: Stage) -> None:
    """A worker stores the result."""
    record = taken(stage.resume("a", token="t"), Verb.STORE)
    assert stage.ledger.jobs.conclude(record, "t", JobState.SUCCEEDED, result=RESULT.model_dump_json())


@BOTH
def test_a_job_from_first_to_last(follow: Follow, server: RedisServer, stage: Stage) -> None:
    """Each change of its state, each news of its progress and no repetition, then its result."""
    half, most = '{"fraction":0.5}', '{"fraction":0.9,"message":"9/10"}'
    story: Iterator[Callable[[], object]] = iter(
        [
            lambda: stage.running("a"),
            lambda: report(stage, half),
            lambda: report(stage, half, "", most),
            lambda: stage.ledger.polls.record(ACCOUNT, [Polled("a", "ended", value='[["image","https://x/1.png"]]')]),
            lambda: store(stage),
            lambda: None,
        ]
    )
    stage.open("a")
    assert follow(server.url, "a", lambda _: next(story)()) == [
        StateChanged("a", JobState.QUEUED),
        StateChanged("a", JobState.RUNNING),
        ProgressChanged("a", Progress(fraction=0.5)),
        ProgressChanged("a", Progress(fraction=0.9, message="9/10")),
        StateChanged("a", JobState.STORING),
        JobEnded("a", JobState.SUCCEEDED, result=RESULT),
    ]


@BOTH
def test_a_late_follower_hears_how_it_stands(follow: Follow, server: RedisServer, stage: Stage) -> None:
    """State and progress of now; a cancel then ends it, with its failure."""
    stage.running("a")
    report(stage, '{"position":3}')

    def act(event: JobEvent) -> None:
        if isinstance(event, ProgressChanged):
            stage.ledger.jobs.cancel(ACCOUNT, "a")

    *events, end = follow(server.url, "a", act)
    assert events == [StateChanged("a", JobState.RUNNING), ProgressChanged("a", Progress(position=3))]
    assert isinstance(end, JobEnded)
    assert end.failure is not None
    assert (end.state, end.result, end.failure.code) == (JobState.CANCELED, None, FailureCode.CANCELED)


@BOTH
def test_jobs_that_ended_long_ago(follow: Follow, server: RedisServer, stage: Stage) -> None:
    """One event each: by the record, and where that has expired by Celery's result."""
    stage.unconfirmed("a")
    store_result(stage.server, "expired")
    [unconfirmed], [expired] = follow(server.url, "a"), follow(server.url, "expired")
    assert isinstance(unconfirmed, JobEnded)
    assert isinstance(expired, JobEnded)
    assert (unconfirmed.state, unconfirmed.failure is None) == (JobState.UNCONFIRMED, False)
    assert (expired.state, expired.result and expired.result.job_id) == (JobState.SUCCEEDED, "expired")


@BOTH
@pytest.mark.usefixtures("stage")
def test_an_unknown_job(follow: Follow, server: RedisServer) -> None:
    """As for `wait`."""
    with pytest.raises(UnknownJobError, match="job nobody is not known"):
        follow(server.url, "nobody", unknown_seconds=0.1)


@BOTH
def test_a_time_out(follow: Follow, server: RedisServer, stage: Stage) -> None:
    """The job goes on."""
    stage.open("a")
    with pytest.raises(TimeoutError, match=r"job a has not ended within 0\.2 s; it goes on"):
        follow(server.url, "a", timeout_seconds=0.2)
    assert stage.state("a") == "queued"


@BOTH
def test_a_follower_of_another_caller_s_job(follow: Follow, server: RedisServer, stage: Stage) -> None:
    """Two callers with one idempotency key: the events are those of the job that is bought, under the own id."""
    record, token = stage.storing("leader", idempotency_key="order-7")
    assert stage.arrive("a", idempotency_key="order-7").verb is Verb.FOLLOW

    def act(event: JobEvent) -> None:
        if isinstance(event, StateChanged):
            stage.ledger.jobs.conclude(record, token, JobState.SUCCEEDED, result=RESULT.model_dump_json())

    assert follow(server.url, "a", act) == [
        StateChanged("a", JobState.STORING),
        JobEnded("a", JobState.SUCCEEDED, result=RESULT),
    ]


def test_a_restart_of_redis(server: RedisServer, stage: Stage) -> None:
    """The iterator goes on where it was."""
    stage.running("a")

    def act(event: JobEvent) -> None:
        if isinstance(event, StateChanged):
            server.restart()
            report(stage, '{"fraction":0.5}')
        elif isinstance(event, ProgressChanged):
            stage.ledger.jobs.cancel(ACCOUNT, "a")

    kinds = [type(event) for event in followed_by_loop(server.url, "a", act)]
    assert kinds == [StateChanged, ProgressChanged, JobEnded]


def test_leaving_the_loop_leaves_nothing_behind(server: RedisServer, stage: Stage) -> None:
    """No connection, no task and no thread more for each loop that was left; closing gives all back."""
    stage.running("a")
    stage.server.client_kill_filter(_type="normal", skipme=True)  # what other tests have left to the garbage collector
    before = len(stage.server.client_list())

    async def left(client: AsyncClient) -> None:
        async with aclosing(events_of(client, "a")) as events:
            async for _ in events:
                break

    async def run() -> None:
        threads = 2  # find the records of jobs, each by a connection of its own
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(threads))
        async with AsyncClient(server.url) as client:
            for _ in range(20):
                await left(client)
            await asyncio.gather(*(left(client) for _ in range(50)))
            others = asyncio.all_tasks() - {asyncio.current_task()}
            await asyncio.wait_for(asyncio.gather(*others), PATIENCE_SECONDS)
            assert len(stage.server.client_list()) - before <= 1 + threads

    with Client(server.url) as client:
        for _ in range(20):
            assert len([*islice(client.follow("a"), 1)]) == 1
        assert len(stage.server.client_list()) - before <= 1
    asyncio.run(run())
    eventually(lambda: len(stage.server.client_list()) == before, what="all connections are given back")


def test_closing_ends_the_loop(server: RedisServer, stage: Stage) -> None:
    """A closed client leaves no follower behind, neither in a look nor between two."""
    stage.running("a")

    async def run() -> None:
        client = AsyncClient(server.url)
        heard = asyncio.Event()
        consuming = asyncio.create_task(follow_for_ever(client, "a", heard))
        await heard.wait()
        await client.close()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(consuming, 1.0)

    asyncio.run(run())


def test_many_followers_cost_little(server: RedisServer, stage: Stage) -> None:
    """Of two hundred idle ones each looks once a second at most; one connection more serves them all."""
    many, seconds = 200, 1.0
    for number in range(many):
        stage.open(f"job-{number}")

    async def run() -> tuple[int, int]:
        async with AsyncClient(server.url) as client:
            heard = [asyncio.Event() for _ in range(many)]
            follows = (follow_for_ever(client, f"job-{number}", heard[number]) for number in range(many))
            following = [asyncio.create_task(each) for each in follows]
            await asyncio.gather(*(each.wait() for each in heard))
            connections = len(stage.server.client_list())
            await asyncio.sleep(seconds)
            before = reads(stage)
            await asyncio.sleep(seconds)
            looks = reads(stage) - before
            more = len(stage.server.client_list()) - connections
            for task in following:
                task.cancel()
            await asyncio.gather(*following, return_exceptions=True)
            return looks, more

    looks, more = asyncio.run(run())
    assert 0 < looks <= many * seconds
    assert more <= 0


async def follow_for_ever(client: AsyncClient, job_id: str, heard: asyncio.Event) -> None:
    """Follow a job that does not end; says when its first event has come."""
    async for _ in client.follow(job_id):
        heard.set()


def reads(stage: Stage) -> int:
    """How many records were looked at."""
    stats: dict[str, Any] = stage.server.info("commandstats")
    return int(stats.get("cmdstat_hmget", {}).get("calls", 0))


def events_of(client: AsyncClient, job_id: str) -> Any:
    """The iterator as the generator that it is, so that it can be closed."""
    events: AsyncIterator[JobEvent] = client.follow(job_id)
    return events
