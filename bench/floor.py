"""`python -m bench.floor`: what the libraries cost of which a job is made, each by itself, with nothing else to do.

Their sum is about what no worker that stands on them can go below, whatever its own code does.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import aiohttp
import click
import uvloop

from bench import proc, workload
from bench.contenders.celery_peers import CeleryPeer
from bench.polls import ByHttpx
from bench.report import TRIED
from bench.seeding import ACCOUNT, Seeder
from bench.servers import World
from bench.sizes import RESULT_BYTES
from bench.stage import servers
from bench.table import written
from bench.waves import await_all, names_of
from bide.contract import JobState
from bide.providers.base import Call
from workers.io.http import HttpClient

#: How often each part is done, and how many requests are under way at once.
MESSAGES, TIMES, AT_ONCE = 3000, 1000, 100

#: Each part is measured so often; the least counts, since all that a busy machine does is to add.
ROUNDS = 3


class Empty(CeleryPeer):
    """A worker of 32 threads whose tasks do nothing, with events on, as Flower wants them."""

    name, task, queue, app = "empty", "empty.nothing", "empty", "bench.peers.empty"
    options = f"{CeleryPeer.options} -E"


@dataclass(frozen=True)
class Part:
    """What is done for a job so many times, and what one of them costs [CPU-seconds]."""

    what: str
    times: int
    seconds: float


def parts(world: World) -> list[Part]:
    """All that bide's workers do for a job which is polled twice."""
    return [
        Part("messages of Celery, with an empty task", 2, _least(lambda: _message(world))),
        Part("puts", 2, _least(_put)),
        Part("requests by httpx: submit, download", 2, _least(lambda: uvloop.run(_requests(world, _by_httpx)))),
        Part("polls by aiohttp", 2, _least(lambda: uvloop.run(_requests(world, _by_bide)))),
        Part("all scripts of the ledger, without Redis's own part", 1, _least(lambda: _moves(world))),
    ]


def table(found: list[Part], *, by_aiohttp: float) -> str:
    """As Markdown."""
    lines = ["| part of a job | times | CPU of one [µs] | of all [ms] |", "| --- | ---: | ---: | ---: |"]
    lines += [
        f"| {one.what} | {one.times} | {one.seconds * 1e6:,.0f} | {one.times * one.seconds * 1e3:.1f} |"
        for one in found
    ]
    total = sum(one.times * one.seconds for one in found)
    alone = f"A request by aiohttp alone, without httpx and without a limit for its answer: {by_aiohttp * 1e6:,.0f} µs."
    return "\n".join([*lines, f"| together | | | {total * 1e3:.1f} |", "", alone])


def _least(measure: Callable[[], float]) -> float:
    return min(measure() for _ in range(ROUNDS))


def _message(world: World) -> float:
    with Empty(world) as one:
        names = names_of(one, f"{time.monotonic_ns()}", MESSAGES)
        before = proc.cpu_seconds(one.pids)
        one.submit(names)
        await_all(one, names)
        return (proc.cpu_seconds(one.pids) - before) / MESSAGES


def _put() -> float:
    """Half of the two puts of a job: the picture and its record."""
    storage, picture = workload.open_storage(), b"\x89PNG" * (RESULT_BYTES // 4)
    workload.put_record(storage, "warm", polls=1)
    begun = time.process_time()
    for number in range(TIMES):
        workload.put_picture(storage, f"floor-{number}", picture)
        workload.put_record(storage, f"floor-{number}", polls=2)
    return (time.process_time() - begun) / TIMES / 2


async def _requests(world: World, asking: Callable[[list[str]], Awaitable[float]]) -> float:
    return await asking(
        [workload.poll_url(one) for one in world.accept([f"asked-{number}" for number in range(TIMES)])]
    )


async def _by_bide(urls: list[str], kind: type[HttpClient] = HttpClient) -> float:
    client = kind()
    try:
        return await _each(lambda url: client.call(Call("GET", url, headers=workload.HEADERS), buys=False), urls)
    finally:
        await client.aclose()


async def _by_httpx(urls: list[str]) -> float:
    return await _by_bide(urls, ByHttpx)


async def _by_aiohttp(urls: list[str]) -> float:
    async with aiohttp.ClientSession(headers=workload.HEADERS) as session:

        async def ask(url: str) -> None:
            async with session.get(url) as answer:
                await answer.read()

        return await _each(ask, urls)


async def _each(ask: Callable[[str], Awaitable[object]], urls: list[str]) -> float:
    """CPU of one of them, connections there already."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(url: str) -> None:
        async with turn:
            await ask(url)

    await asyncio.gather(*map(one, urls[:AT_ONCE]))
    begun = time.process_time()
    await asyncio.gather(*map(one, urls))
    return (time.process_time() - begun) / len(urls)


def _moves(world: World) -> float:
    """From the first message to the caller's answer, without polls: those are recorded by the hundred."""
    seeder, stamp = Seeder(world.redis), time.monotonic_ns()
    begun = time.process_time()
    for prepared in seeder.prepared([f"moved-{stamp}-{number}" for number in range(TIMES)]):
        record, attempt = prepared
        ledger, job, token = seeder.ledger, record.job_id, record.text("token")
        ledger.submits.submitted(record, token, attempt=attempt, provider_job_id=job[::-1], outputs="[]")
        ended = ledger.jobs.step(job, ACCOUNT, token=token).record
        assert ended is not None
        ledger.jobs.conclude(ended, token, JobState.SUCCEEDED, result=json.dumps({"job_id": job}))
        ledger.jobs.answered(ACCOUNT, job)
    return (time.process_time() - begun) / TIMES


@click.command()
@click.option("--write", "to_page", is_flag=True, help="Put the table into docs/performance-tried.md.")
def main(*, to_page: bool) -> None:
    """Measure the parts of a job."""
    with servers(latency_seconds=3600.0) as world:
        found = parts(world)
        alone = _least(lambda: uvloop.run(_requests(world, _by_aiohttp)))
    text = table(found, by_aiohttp=alone)
    click.echo(text)
    if to_page:
        TRIED.write_text(written(TRIED.read_text(), text, name="floor"))


if __name__ == "__main__":
    main()
