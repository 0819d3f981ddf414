"""Events for browsers: one reader for all of them, and none where no page is open."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import pytest

from bide.bulk.record import Options
from bide.contract import JobState
from bide.ledger import Polled
from tests.contract.ledger_stage import ACCOUNT, ERROR
from tests.unit.pages_world import ANNA, World, basic
from workers.pages import live
from workers.pages.live import signs
from workers.pages.reads import Reads


@pytest.fixture(name="world")
def _world() -> World:
    """A deployment with a job of each kind."""
    world = World(ANNA)
    world.stage.running("running", first_poll_seconds=0)
    world.stage.unconfirmed("doubt")
    return world


@asynccontextmanager
async def listening(world: World) -> AsyncIterator[Any]:
    """A browser that listens; gives a function that waits for the next event."""
    async with world.serving() as (_, server):
        url = f"http://{server.host}:{server.port}/events"
        logged_in = aiohttp.ClientSession(headers={"Authorization": basic(ANNA)})
        async with logged_in as session, session.get(url) as answer:
            assert answer.status == 200
            assert answer.content_type == "text/event-stream"

            async def event() -> list[str]:
                while True:
                    line = (await answer.content.readline()).decode()
                    if line.startswith("data: "):
                        return line.removeprefix("data: ").split()

            yield event


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks follow each other closely."""
    monkeypatch.setattr(live, "LOOK_SECONDS", 0.02)


def changes(world: World, change: Any) -> set[str]:
    """The subjects that a change has."""
    before = signs(world.stage.ledger)
    change()
    after = signs(world.stage.ledger)
    return {subject for subject in after if before[subject] != after[subject]}


def test_each_change_has_its_subjects(world: World) -> None:
    """A subject without a change is not sent."""
    ledger = world.stage.ledger
    assert changes(world, lambda: None) == set()
    assert changes(world, lambda: world.stage.open("new")) == {"jobs", "accounts"}
    assert changes(world, lambda: ledger.jobs.cancel(ACCOUNT, "new")) >= {"jobs"}
    assert changes(world, lambda: ledger.accounts.pause(ACCOUNT, reason="x", by="operator")) == {"accounts"}
    assert changes(world, lambda: ledger.unconfirmed.attach(ACCOUNT, "doubt", "p")) >= {"jobs", "unconfirmed"}
    assert changes(world, lambda: world.runs.create("r", rows=1, digest="d", source="s", options=Options())) == {"runs"}
    assert changes(world, lambda: world.runs.begin("r")) == {"runs"}

    def poll() -> None:
        claim = ledger.polls.claim(ACCOUNT, 1, batch=9)
        ledger.polls.record(ACCOUNT, [Polled(job.job_id, "running", seconds=5) for job in claim.jobs])

    world.clock.advance(60)
    assert changes(world, poll) >= {"jobs"}
    record, token, attempt = world.stage.submitting("bad", account=ACCOUNT._replace(account="other"))
    assert changes(
        world, lambda: ledger.jobs.conclude(record, token, JobState.FAILED, error=ERROR, attempt=attempt)
    ) == {"jobs"}


def test_a_browser_gets_what_changed(world: World) -> None:
    """First all, then what has changed since."""

    async def run() -> list[list[str]]:
        async with listening(world) as event:
            first = await event()
            world.stage.open("new")
            return [first, await event()]

    assert asyncio.run(run()) == [["accounts", "jobs", "runs", "unconfirmed"], ["accounts", "jobs"]]


def test_one_reader_serves_all_and_ends_with_the_last(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many browsers look."""
    looks = 0

    def counted(_: Any) -> dict[str, Any]:
        nonlocal looks
        looks += 1
        return {"jobs": looks}

    monkeypatch.setattr("workers.pages.application.signs", counted)

    async def run() -> tuple[int, int, int]:
        async with world.serving() as (_, server):
            url = f"http://{server.host}:{server.port}/events"
            async with aiohttp.ClientSession(headers={"Authorization": basic(ANNA)}) as session:
                browsers = [await session.get(url) for _ in range(20)]
                before, begun = looks, time.monotonic()
                await asyncio.sleep(0.5)
                seen, most = looks - before, (time.monotonic() - begun) / 0.02 + 1
                for browser in browsers:
                    browser.close()
            await asyncio.sleep(0.2)
            rest = looks
            await asyncio.sleep(0.2)
            return seen, round(most), looks - rest

    seen, most, afterwards = asyncio.run(run())
    assert 0 < seen <= most
    assert afterwards == 0


def test_a_crowd_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who comes too late hears when to come again, and the pages serve on."""
    monkeypatch.setattr(live, "MOST_LISTENERS", 2)

    async def run() -> tuple[list[int], int]:
        async with world.serving() as (ask, server):
            url = f"http://{server.host}:{server.port}/events"
            async with aiohttp.ClientSession(headers={"Authorization": basic(ANNA)}) as session:
                browsers = [await session.get(url) for _ in range(3)]
                page = await ask("/")
                for browser in browsers:
                    browser.close()
                return [browser.status for browser in browsers], page.status

    assert asyncio.run(run()) == ([200, 200, 503], 200)


def test_a_browser_hears_that_redis_is_away_and_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the page shows it, and is fetched anew afterwards."""

    async def run() -> list[list[str]]:
        async with listening(world) as event:
            events = [await event()]
            monkeypatch.setattr(world.redis, "connected", False)
            events.append(await event())
            monkeypatch.setattr(world.redis, "connected", True)
            while (last := await event()) == ["away"]:
                pass
            return [*events, last]

    everything = ["accounts", "jobs", "runs", "unconfirmed"]
    assert asyncio.run(run()) == [everything, ["away"], everything]


def test_a_silent_connection_is_kept_open(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would close it."""
    monkeypatch.setattr(live, "SILENCE_SECONDS", 0.05)

    async def run() -> bytes:
        async with world.serving() as (_, server):
            url = f"http://{server.host}:{server.port}/events"
            logged_in = aiohttp.ClientSession(headers={"Authorization": basic(ANNA)})
            async with logged_in as session, session.get(url) as answer:
                while not (line := await answer.content.readline()).startswith(b":"):
                    pass
                return line

    assert asyncio.run(run()) == b": still here\n"


# Reads


def test_who_asks_at_once_shares_a_read() -> None:
    """Also its error; afterwards it is fresh for a while, and then read anew."""
    now, count = [0.0], [0]

    def read() -> int:
        time.sleep(0.02)
        count[0] += 1
        return count[0]

    def broken() -> int:
        raise ValueError("broken")

    async def run() -> list[Any]:
        reads = Reads(clock=lambda: now[0])
        try:
            found: list[Any] = await asyncio.gather(*(reads.shared("a", read) for _ in range(10)))
            found.append(await reads.shared("b", read))
            now[0] = 0.9
            found.append(await reads.shared("a", read))
            now[0] = 1.1
            found.append(await reads.shared("a", read))
            found += await asyncio.gather(*(reads.shared("c", broken) for _ in range(2)), return_exceptions=True)
            return found
        finally:
            reads.close()

    *values, one, other = asyncio.run(run())
    assert values == [*[1] * 10, 2, 1, 3]
    assert isinstance(one, ValueError)
    assert one is other


def test_a_browser_that_leaves_ends_no_read_of_others() -> None:
    """What it had begun goes on for those who wait as well."""

    def slow() -> int:
        time.sleep(0.1)
        return 7

    async def run() -> int:
        reads = Reads()
        try:
            first = asyncio.create_task(reads.shared("a", slow))
            await asyncio.sleep(0.02)
            second = asyncio.create_task(reads.shared("a", lambda: 8))
            await asyncio.sleep(0)
            first.cancel()
            with suppress(asyncio.CancelledError):
                await first
            return await second
        finally:
            reads.close()

    assert asyncio.run(run()) == 7


def test_answers_are_kept_for_few_questions() -> None:
    """Filters are many: memory holds the latest, and none that is no longer fresh."""
    now = [0.0]

    async def run() -> tuple[int, int]:
        reads = Reads(clock=lambda: now[0])
        try:
            for number in range(500):
                await reads.shared(number, lambda: 1)
            most = len(reads._kept)
            now[0] = 2.0
            await reads.shared("later", lambda: 1)
            return most, len(reads._kept)
        finally:
            reads.close()

    assert asyncio.run(run()) == (64, 1)
