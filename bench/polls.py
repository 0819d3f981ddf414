"""`python -m bench.polls`: the CPU of a poll's request by each HTTP client that was weighed.

A request is a GET with a key, answered with a short JSON by a server in another process; many are under way at once.
The clients take turns in one process, so that a busy machine slows all alike: the ratios of their medians count.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace

import aiohttp
import click
import uvloop

from bench.servers import end, read_line, spawn
from bide.errors import PollFailedError
from bide.providers.base import Answer, Call
from workers.embedded.environment import demo_environment
from workers.io.body import UnusableBodyError
from workers.io.http import _TROUBLE, HttpClient, HttpOptions, Pool, _request
from workers.io.http_errors import message_of

HEADERS = {"Authorization": "Bearer key-of-the-bench"}

Ask = Callable[[str], Awaitable[object]]


class ByHttpx(HttpClient):
    """bide's client, were polls sent by httpx as well: by a pool of callbacks, which is like theirs."""

    def __init__(self, options: HttpOptions | None = None) -> None:
        options = options or HttpOptions()
        super().__init__(replace(options, max_callback_connections=options.max_connections))

    async def _ask(self, call: Call) -> Answer:
        timeouts = self.options.api
        request = _request(call, timeouts)
        try:
            return await self._exchange(request, Pool.ALLOWED_CALLBACK, timeouts, call.max_answer_bytes)
        except (UnusableBodyError, *_TROUBLE) as error:
            raise PollFailedError(message_of(request, error)) from None


@asynccontextmanager
async def by_bide(kind: type[HttpClient] = HttpClient) -> AsyncIterator[Ask]:
    """A poll's call, as a round makes it."""
    client = kind()
    try:
        yield lambda url: client.call(Call("GET", url, headers=HEADERS), buys=False)
    finally:
        await client.aclose()


@asynccontextmanager
async def by_aiohttp() -> AsyncIterator[Ask]:
    """Aiohttp alone, with time-outs, without a limit for the answer."""
    timeout = aiohttp.ClientTimeout(connect=10, sock_read=30)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), timeout=timeout) as session:

        async def ask(url: str) -> None:
            async with session.get(url, headers=HEADERS, allow_redirects=False) as answer:
                await answer.read()

        yield ask


CLIENTS: dict[str, Callable[[], AbstractAsyncContextManager[Ask]]] = {
    "bide, by httpx": lambda: by_bide(ByHttpx),
    "bide, by aiohttp": by_bide,
    "aiohttp alone": by_aiohttp,
}


async def cpu_of_one(client: AbstractAsyncContextManager[Ask], urls: list[str], at_once: int) -> float:
    """CPU of one request [seconds], connections there already."""
    turn = asyncio.Semaphore(at_once)
    async with client as ask:

        async def one(url: str) -> None:
            async with turn:
                await ask(url)

        await asyncio.gather(*map(one, urls[:at_once]))
        begun = time.process_time()
        await asyncio.gather(*map(one, urls))
        return (time.process_time() - begun) / len(urls)


def measured(origin: str, *, times: int, at_once: int, rounds: int) -> dict[str, float]:
    """The median of each client, in turns [seconds]."""
    urls = [f"{origin}/v1/jobs/{number:032d}" for number in range(times)]
    found: dict[str, list[float]] = {name: [] for name in CLIENTS}
    for _ in range(rounds):
        for name, made in CLIENTS.items():
            found[name].append(uvloop.run(cpu_of_one(made(), urls, at_once)))
    return {name: statistics.median(each) for name, each in found.items()}


def table(found: dict[str, float]) -> str:
    """As Markdown; the first client is the measure."""
    first = next(iter(found.values()))
    lines = ["| one GET of 200 bytes by | CPU [µs] | ratio |", "| --- | ---: | ---: |"]
    return "\n".join([*lines, *(f"| {name} | {one * 1e6:.0f} | {one / first:.2f} |" for name, one in found.items())])


@click.command()
@click.option("--times", default=3000, show_default=True)
@click.option("--at-once", default=200, show_default=True)
@click.option("--rounds", default=5, show_default=True)
def main(*, times: int, at_once: int, rounds: int) -> None:
    """Measure a poll's request by each client."""
    server = spawn([sys.executable, "-m", "bench.answering"], demo_environment())
    try:
        port = read_line(server, "ready").split()[1]
        click.echo(table(measured(f"http://127.0.0.1:{port}", times=times, at_once=at_once, rounds=rounds)))
    finally:
        end(server)


if __name__ == "__main__":
    main()
