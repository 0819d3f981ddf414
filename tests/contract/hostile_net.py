"""A net for tests in which names lead where a test says, every address that is dialled is written down, and a listener
counts who comes; and a host that sends what a test gives it.
"""

from __future__ import annotations

import asyncio
import socket
import tracemalloc
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from ipaddress import ip_address
from typing import Any

import pytest
from aiohttp import web

from bide.errors import BadMediaError
from bide.providers.base import Media
from tests.contract.media_fetch import PNG
from tests.contract.web import Handler, http_client, serving
from workers.io.http import HttpClient, HttpOptions, Timeouts
from workers.io.media import Fetched, download

OPTIONS = HttpOptions(
    api=Timeouts(connect_seconds=1, read_seconds=0.5, total_seconds=1.5),
    purchase=Timeouts(connect_seconds=1, read_seconds=0.5, total_seconds=1.5),
    media=Timeouts(connect_seconds=1, read_seconds=0.5, total_seconds=1.5),
)

#: A client with these options, closed at the end.
client_of = partial(http_client, OPTIONS)

#: What nothing here may need at once, whatever is sent [bytes].
FLAT_BYTES = 48_000_000


#: A public address at which, in these tests, nobody answers.
OUTSIDE = "93.184.215.14"


class PlayedNet(asyncio.SelectorEventLoop):
    """Names resolve to what a test says, call by call; only this machine is really dialled."""

    def __init__(self) -> None:
        super().__init__()
        self.names: dict[str, list[list[str]]] = {}
        self.resolved: list[str] = []
        self.dialled: list[str] = []

    async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> list[Any]:
        if host not in self.names:
            return await super().getaddrinfo(host, port, **options)
        self.resolved.append(host)
        answers = self.names[host]
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [_found(each, port) for each in addresses]

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        self.dialled.append(address[0])
        if not ip_address(address[0]).is_loopback:
            raise ConnectionRefusedError("nobody is there")
        await super().sock_connect(sock, address)


def _found(address: str, port: int) -> tuple[Any, ...]:
    if ":" in address:
        return socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0)
    return socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)


@dataclass
class Listener:
    """Something inside that must not be reached, and what came to it all the same."""

    port: int
    heard: list[bytes] = field(default_factory=list)


@asynccontextmanager
async def listening() -> AsyncIterator[Listener]:
    """A listener on 127.0.0.1 that would answer with a whole picture."""
    listener = Listener(0)

    async def came(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        listener.heard.append(await reader.read(65_536))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(PNG) + PNG)
        writer.close()

    server = await asyncio.start_server(came, "127.0.0.1", 0)
    listener.port = server.sockets[0].getsockname()[1]
    async with server:
        yield listener


def played(
    work: Callable[[PlayedNet], Coroutine[Any, Any, None]], *, net_of: Callable[[], PlayedNet] = PlayedNet
) -> PlayedNet:
    """Run a test's work in a played net."""
    with asyncio.Runner(loop_factory=net_of) as runner:
        net = runner.get_loop()
        assert isinstance(net, PlayedNet)
        runner.run(work(net))
        return net


async def refused(client: HttpClient, url: str, *, allowed: tuple[str, ...] = ()) -> str:
    """Why an address is not fetched; it must not be."""
    with pytest.raises(BadMediaError) as error:
        await download(client, Media("image", url), max_bytes=1_000_000, allowed_hosts=allowed)
    return str(error.value)


def fetch(handler: Handler, path: str = "/out.png?sig=SECRET", *, max_bytes: int = 10_000_000) -> Fetched:
    """What comes of an output that a server, listed in MEDIA_HOSTS, offers."""

    async def main() -> Fetched:
        async with serving(handler) as host, client_of() as client:
            media = Media("image", f"http://{host}{path}")
            return await download(client, media, max_bytes=max_bytes, allowed_hosts=[host])

    return asyncio.run(main())


def redirect_to(location: str) -> Handler:
    """A provider's host that leads on to somewhere else."""

    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": location})

    return handler


@contextmanager
def flat(limit_bytes: int = FLAT_BYTES) -> Iterator[None]:
    """What is done inside needs little memory at any time."""
    tracemalloc.start()
    try:
        yield
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < limit_bytes, f"{peak_bytes / 1e6:.0f} MB"
