"""Servers that answer the HTTP client as real ones do when they fail, and calls to them."""

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from aiohttp import web

from bide.providers.base import Answer, Call
from tests.contract.web import Handler, http_client
from tests.contract.web import serving as serving_at
from workers.io.http import HttpClient, HttpOptions, Timeouts

HASTY = Timeouts(connect_seconds=0.3, read_seconds=0.3, total_seconds=0.6)
OPTIONS = HttpOptions(api=HASTY, purchase=HASTY)


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """A server on loopback that answers every request by `handler`; its base URL."""
    async with serving_at(handler) as host:
        yield f"http://{host}"


def client_of(options: HttpOptions = OPTIONS) -> AbstractAsyncContextManager[HttpClient]:
    """A client, closed at the end."""
    return http_client(options)


def ask(handler: Handler, *, buys: bool = False, **call: Any) -> Answer:
    """The answer to one call to a server that answers by `handler`."""

    async def main() -> Answer:
        async with serving(handler) as base, client_of() as client:
            return await client.call(Call(**{"method": "GET", "url": f"{base}/v1?key=SECRET", **call}), buys=buys)

    return asyncio.run(main())


def ask_at(url: str, *, buys: bool, method: str = "POST") -> Answer:
    """The answer from an address where no server of ours may be."""

    async def main() -> Answer:
        async with client_of() as client:
            return await client.call(Call(method, url), buys=buys)

    return asyncio.run(main())


async def hang_up(request: web.Request) -> web.StreamResponse:
    """Read the whole request, then cut the connection."""
    await request.read()
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def stay_silent(_: web.Request) -> web.StreamResponse:
    """Never answer."""
    await asyncio.sleep(5)
    return web.Response()


async def answer_half(request: web.Request) -> web.StreamResponse:
    """Say 100 bytes, send fewer, and hang up."""
    response = web.StreamResponse(headers={"Content-Length": "100"})
    await response.prepare(request)
    await response.write(b'{"id": "abc')
    assert request.transport is not None
    request.transport.close()
    return response


async def trickle(request: web.Request) -> web.StreamResponse:
    """Never silent for long, and never done."""
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(50):
        await response.write(b" ")
        await asyncio.sleep(0.1)
    return response


async def answer_too_much(request: web.Request) -> web.StreamResponse:
    """More than a caller's limit, in pieces."""
    response = web.StreamResponse()
    response.enable_chunked_encoding()
    await response.prepare(request)
    for _ in range(20):
        await response.write(b" " * 1000)
    return response


async def answer_too_much_and_say_so(_: web.Request) -> web.StreamResponse:
    """More than a caller's limit, with its length."""
    return web.Response(body=b" " * 20_000)


async def answer_a_bomb(_: web.Request) -> web.StreamResponse:
    """Ten megabytes in ten kilobytes."""
    return web.Response(body=gzip.compress(b" " * 10_000_000), headers={"Content-Encoding": "gzip"})


async def answer_broken_gzip(_: web.Request) -> web.StreamResponse:
    """What is called gzip and is none."""
    return web.Response(body=b"\x1f\x8b nonsense", headers={"Content-Encoding": "gzip"})


async def answer_half_gzip(_: web.Request) -> web.StreamResponse:
    """Packed, and cut off."""
    return web.Response(body=gzip.compress(b"{}" * 500)[:-12], headers={"Content-Encoding": "gzip"})


async def answer_no_http(request: web.Request) -> web.StreamResponse:
    """Another protocol's words."""
    assert request.transport is not None
    request.transport.write(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")
    request.transport.close()
    return web.Response()


FAULTS_AFTER_SENDING = [
    hang_up,
    stay_silent,
    answer_half,
    trickle,
    answer_too_much,
    answer_too_much_and_say_so,
    answer_a_bomb,
    answer_broken_gzip,
    answer_half_gzip,
    answer_no_http,
]


def closed_port() -> int:
    """A port at which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def echo(request: web.Request) -> web.StreamResponse:
    """Answer with what came, a cookie, and a header name of mixed case."""
    assert request.transport is not None
    body = await request.read()
    return web.json_response(
        {
            "method": request.method,
            "path": request.raw_path,
            "headers": {name.lower(): value for name, value in request.headers.items()},
            "body": body.decode("latin-1"),
            "peer": request.transport.get_extra_info("peername")[1],
        },
        headers={"Set-Cookie": "session=1", "X-Mixed": "yes"},
    )
