"""Sends requests of httpx over aiohttp, with the request line as its author wrote it.

httpx and aiohttp each have a spelling of their own for percent escapes: `%2F`, `%7E` and `%27` in an address become
other letters on the way, and a signature over the address as it was written fails.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from ssl import SSLContext

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport
from httpx_aiohttp.transport import AiohttpResponseStream, map_aiohttp_exceptions
from yarl import URL

from bide.crashpoints import reached
from workers.io.guard import GuardedResolver

#: Longest status line or header that is read [bytes]; aiohttp's 8 KiB would lose an answer that is already paid.
MAX_HEADER_BYTES = 64 * 1024

#: Makes what resolves the names of one guarded pool, so many at once.
Names = Callable[[int], aiohttp.abc.AbstractResolver]


class LiteralTransport(AiohttpTransport):
    """Takes the request line's target from the request's extension `target`, which is httpx's own name for it."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request whose body was read, and do not follow redirects or unpack the answer."""
        if not isinstance(self.client, aiohttp.ClientSession):
            self.client = self.get_client()  # made on the loop that uses it
        timeout = request.extensions["timeout"]
        with map_aiohttp_exceptions():
            response = await self.client.request(
                request.method,
                literal(request.url.scheme, request.url.netloc, request.extensions["target"].decode("ascii")),
                headers=request.headers,
                data=request.content or None,
                allow_redirects=False,
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(
                    connect=timeout["pool"], sock_connect=timeout["connect"], sock_read=timeout["read"]
                ),
            )
        headers, stream = list(response.raw_headers), AiohttpResponseStream(response)
        return httpx.Response(response.status, headers=headers, stream=stream, request=request)


@lru_cache(maxsize=1024)
def literal(scheme: str, netloc: bytes, target: str) -> URL:
    """Scheme, host and port as httpx reads them; path and query are one text, since aiohttp drops an empty query."""
    return URL.build(scheme=scheme, authority=netloc.decode("ascii"), path=target, encoded=True)


def open_session(tls: SSLContext, limit: int) -> aiohttp.ClientSession:
    """Connections for requests that may be repeated, so many at once."""
    return _opened(aiohttp.TCPConnector(ssl=tls, limit=limit))


def purchase_session(tls: SSLContext, limit: int) -> aiohttp.ClientSession:
    """A connection for each request, which is sent once."""
    return _opened(aiohttp.TCPConnector(ssl=tls, limit=limit, force_close=True), _send_once)


def guarded_session(tls: SSLContext, names: Names, limit: int) -> aiohttp.ClientSession:
    """Connections to public addresses alone."""
    return _opened(aiohttp.TCPConnector(ssl=tls, limit=limit, resolver=GuardedResolver(names(limit))))


def _opened(connector: aiohttp.TCPConnector, *middlewares: aiohttp.ClientMiddlewareType) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        middlewares=middlewares,
        max_line_size=MAX_HEADER_BYTES,
        max_field_size=MAX_HEADER_BYTES,
    )


async def _send_once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Keep aiohttp from repeating a GET that lost its connection: the first may have bought.

    It would, even on a connection opened for this request; of the error raised here it makes nothing.
    """
    reached("request_half_sent")
    try:
        return await send(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise aiohttp.ClientPayloadError(f"connection lost: {type(error).__name__}") from error
