"""Names that nobody answers for: who chose one waits for it, and all other requests of the process go on."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import Celery

from bide.errors import BadMediaError, NotDeliveredError, PollFailedError
from bide.providers.base import Call
from config.settings import load
from workers.io.http import HttpClient
from workers.io.names import OwnThreads
from workers.toolbox import Toolbox

#: More than any pool of threads that Python or uvloop makes by itself.
STUCK = 60

#: How long what does not wait may take on a busy machine [seconds].
SOON_SECONDS = 5.0


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """The system's resolver, which does not come back for names in `stuck.test` until the event is set."""
    ask, event = socket.getaddrinfo, threading.Event()

    def getaddrinfo(host: Any, *args: Any, **options: Any) -> Any:
        if str(host).endswith(".stuck.test"):
            event.wait(60)
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return ask(host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    yield event
    event.set()


async def call_back(client: HttpClient, host: str) -> None:
    """One callback to a host."""
    await client.post(f"http://{host}/hook", b"{}", headers={}, guarded=True, total_seconds=30)


async def fetch(client: HttpClient, host: str) -> None:
    """One download from a host."""
    async with client.stream(f"http://{host}/a.png", guarded=True):
        pass


async def scene(client: HttpClient, answered: threading.Event, hang: Callable[[HttpClient, str], Any]) -> None:
    """Sixty requests to names that hang, and then one of each kind that has nothing to do with them."""
    stuck = [asyncio.create_task(hang(client, f"a{number}.stuck.test")) for number in range(STUCK)]
    await asyncio.sleep(0)
    async with asyncio.timeout(SOON_SECONDS):
        with pytest.raises(PollFailedError, match="no connection"):
            await client.call(Call("GET", "http://localhost:1/jobs"), buys=False)
        for work in (call_back, fetch):
            with pytest.raises((BadMediaError, NotDeliveredError), match="not a public address"):
                await work(client, "localhost")
    assert not any(each.done() for each in stuck)
    answered.set()
    for each in await asyncio.gather(*stuck, return_exceptions=True):
        assert isinstance(each, Exception)
    await client.aclose()


@pytest.mark.parametrize("hang", [call_back, fetch])
def test_a_name_without_an_answer_delays_nobody_else(
    answered: threading.Event, hang: Callable[[HttpClient, str], Any]
) -> None:
    """Names that hang: requests to a provider's API, and downloads and callbacks of others go on."""
    asyncio.run(scene(HttpClient(names=OwnThreads), answered, hang))


@pytest.mark.parametrize("hang", [call_back, fetch])
def test_workers_are_made_so(answered: threading.Event, hang: Callable[[HttpClient, str], Any]) -> None:
    """The client of a worker process resolves such names in threads of its own."""
    tools = Toolbox(load({"BIDE_S3__BUCKET": "results"}, env_file=None), Celery(set_as_current=False))
    tools.event_loop.run(scene(tools.http, answered, hang))
    tools.close()
