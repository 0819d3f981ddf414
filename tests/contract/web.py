"""A web server and an HTTP client for tests, each closed at the end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.test_utils import TestServer

from workers.io.http import HttpClient, HttpOptions

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """A server on loopback that answers every request by `handler`; its host and port."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    server = TestServer(app)
    await server.start_server(shutdown_timeout=0.1)
    try:
        yield f"{server.host}:{server.port}"
    finally:
        await server.close()


@asynccontextmanager
async def http_client(options: HttpOptions) -> AsyncIterator[HttpClient]:
    """A client with these options."""
    client = HttpClient(options)
    try:
        yield client
    finally:
        await client.aclose()
