"""The HTTP client of a process: httpx requests over aiohttp connections; every foreign failure is mapped here, once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import lru_cache, partial
from typing import cast
from urllib.parse import urlencode

import aiohttp
import httpx

from bide import __version__
from bide.addresses import target_of, web_address
from bide.errors import (
    ConfigurationError,
    DownloadError,
    NotDeliveredError,
    NotSentError,
    PollFailedError,
    SubmissionUnknownError,
)
from bide.providers.base import Answer, Call
from workers.io.body import UnusableBodyError, read_body
from workers.io.http_errors import message_of, never_sent, plain, reason
from workers.io.transport import LiteralTransport, Names, guarded_session, open_session, purchase_session

#: What every request says, unless its adapter says otherwise.
_HEADERS = {"User-Agent": f"bide/{__version__}", "Accept": "*/*", "Accept-Encoding": "identity"}

#: All that a transport may raise short of a programming error.
_TROUBLE = (httpx.HTTPError, aiohttp.ClientError, OSError)


class Pool(Enum):
    """Requests that share connections and time-outs; those of media and callbacks come in two: guarded or not."""

    API = "api"
    PURCHASE = "purchase"
    MEDIA = "media"
    ALLOWED_MEDIA = "allowed media"
    CALLBACK = "callback"
    ALLOWED_CALLBACK = "allowed callback"


@dataclass(frozen=True)
class Timeouts:
    """How long a request may take: until it is connected, between two pieces of its answer, and in all [seconds]."""

    connect_seconds: float
    read_seconds: float
    total_seconds: float

    def extensions(self, address: str) -> dict[str, object]:
        """Of a request to `address`, which goes out as it is written.

        For aiohttp `pool` bounds all that comes before sending: waiting for a connection, name, connect, TLS.
        """
        timeout = {"pool": self.connect_seconds, "connect": self.connect_seconds, "read": self.read_seconds}
        return {"timeout": timeout, "target": target_of(address).encode("ascii")}


@dataclass(frozen=True)
class HttpOptions:
    """Time-outs by pool, and how many connections the pools may hold at once."""

    api: Timeouts = Timeouts(connect_seconds=10, read_seconds=30, total_seconds=60)
    purchase: Timeouts = Timeouts(connect_seconds=10, read_seconds=120, total_seconds=180)
    media: Timeouts = Timeouts(connect_seconds=10, read_seconds=30, total_seconds=900)
    max_connections: int = 1000
    max_media_connections: int = 100
    max_callback_connections: int = 256


@dataclass(frozen=True)
class Reply:
    """The head of a download (header names in lower case), and its body in pieces; `chunks` raises `DownloadError`.

    `where` is the address fit to be shown.
    """

    where: str
    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes] = field(repr=False)


def _by_the_loop(_: int) -> aiohttp.abc.AbstractResolver:
    return aiohttp.DefaultResolver()


class HttpClient:
    """All HTTP of one process; lives on one event loop and must be closed there.

    `names` resolves what callers and providers name (`workers.io.names`); the default is the event loop's few threads.

    Requests go straight to httpx transports. `httpx.AsyncClient` would keep cookies, prepare redirects, take
    credentials out of URLs, log whole URLs with their signatures, and cost half as much again per request.
    """

    def __init__(self, options: HttpOptions | None = None, *, names: Names = _by_the_loop) -> None:
        self.options = options or HttpOptions()
        self._closed = False
        tls = httpx.create_ssl_context(trust_env=False)
        sessions = {
            Pool.API: partial(open_session, tls, self.options.max_connections),
            Pool.PURCHASE: partial(purchase_session, tls, self.options.max_connections),
            Pool.MEDIA: partial(guarded_session, tls, names, self.options.max_media_connections),
            Pool.ALLOWED_MEDIA: partial(open_session, tls, self.options.max_media_connections),
            Pool.CALLBACK: partial(guarded_session, tls, names, self.options.max_callback_connections),
            Pool.ALLOWED_CALLBACK: partial(open_session, tls, self.options.max_callback_connections),
        }
        self._transports = {pool: LiteralTransport(verify=tls, client=opened) for pool, opened in sessions.items()}

    async def call(self, call: Call, *, buys: bool) -> Answer:
        """Send one API request and read its answer, whatever its status.

        Where it buys: raises `NotSentError` when it surely never left, `SubmissionUnknownError` for everything after.
        Otherwise: raises `PollFailedError`. `ConfigurationError` where no request can be made of the call.
        """
        request = self._request(call, buys=buys)
        if buys:
            return await self._buy(request, call.max_answer_bytes)
        try:
            return await self._exchange(request, Pool.API, self.options.api, call.max_answer_bytes)
        except (UnusableBodyError, *_TROUBLE) as error:
            raise PollFailedError(message_of(request, error)) from None

    async def _buy(self, request: httpx.Request, limit: int) -> Answer:
        if self._closed:
            raise NotSentError(f"{plain(request.url)}: not sent, the process is stopping")
        try:
            return await self._exchange(request, Pool.PURCHASE, self.options.purchase, limit)
        except Exception as error:
            if never_sent(error):
                raise NotSentError(message_of(request, error)) from None
            raise SubmissionUnknownError(f"{message_of(request, error)}; it may have been accepted") from None

    @asynccontextmanager
    async def stream(self, url: str, *, guarded: bool) -> AsyncIterator[Reply]:
        """GET `url` without following redirects; `guarded`: only public addresses (`BadMediaError` for others).

        Raises `DownloadError`. The total time-out is the caller's, since a download may take several requests.
        """
        request = httpx.Request("GET", url, headers=_HEADERS, extensions=self.options.media.extensions(url))
        pool = Pool.MEDIA if guarded else Pool.ALLOWED_MEDIA
        try:
            response = await self._transports[pool].handle_async_request(request)
        except _TROUBLE as error:
            raise DownloadError(message_of(request, error)) from None
        try:
            yield Reply(plain(request.url), response.status_code, _lower(response), _chunks(request, response))
        finally:
            await response.aclose()

    async def post(
        self, url: str, content: bytes, *, headers: Mapping[str, str], guarded: bool, total_seconds: float
    ) -> Answer:
        """POST to a stranger, and read no more than the head of the answer; `guarded`: as for `stream`.

        Redirects are not followed. Raises `NotDeliveredError`; its message tells the host alone, paths may be secret.
        """
        timeouts = replace(self.options.media, total_seconds=total_seconds)
        pool = Pool.CALLBACK if guarded else Pool.ALLOWED_CALLBACK
        request = httpx.Request(
            "POST", url, headers={**_HEADERS, **headers}, content=content, extensions=timeouts.extensions(url)
        )
        try:
            async with asyncio.timeout(total_seconds):
                response = await self._transports[pool].handle_async_request(request)
                await response.aclose()
        except _TROUBLE as error:
            raise NotDeliveredError(f"{request.url.host}: {reason(error)}") from None
        return Answer(response.status_code, _lower(response))

    async def aclose(self) -> None:
        """Close all connections; a purchase under way ends as `SubmissionUnknownError`."""
        self._closed = True
        for transport in self._transports.values():
            await transport.aclose()

    def _request(self, call: Call, *, buys: bool) -> httpx.Request:
        url = _callable_url(call.url)
        timeouts = self.options.purchase if buys else self.options.api
        try:
            return httpx.Request(
                call.method,
                url,
                headers=_headers(call),
                content=None if call.json is None else json.dumps(call.json, separators=(",", ":")).encode(),
                files=_parts(call.form),
                extensions=timeouts.extensions(_with_query(call)),
            )
        except (ValueError, TypeError, RecursionError, httpx.InvalidURL) as error:  # such as half a surrogate pair
            raise ConfigurationError(f"{plain(url)}: no request can be made of it ({type(error).__name__})") from None

    async def _exchange(self, request: httpx.Request, pool: Pool, timeouts: Timeouts, limit: int) -> Answer:
        request.read()  # a multipart body becomes one piece of known length, not a chunked stream
        async with asyncio.timeout(timeouts.total_seconds):
            response = await self._transports[pool].handle_async_request(request)
            try:
                headers = _lower(response)
                body = await read_body(_pieces(response), headers, limit_bytes=limit)
            finally:
                await response.aclose()
        return Answer(response.status_code, headers, body)


@lru_cache(maxsize=1024)
def _callable_url(url: str) -> httpx.URL:
    try:
        parsed = web_address(url)
    except ValueError:
        message = f"{plain(url)!r} is no http or https address; correct the provider's base URL"
        raise ConfigurationError(message) from None
    if parsed.userinfo:
        raise ConfigurationError(f"{plain(url)!r}: a base URL must not hold a user name or password")
    return parsed


def _with_query(call: Call) -> str:
    if not call.query:
        return call.url
    return f"{call.url}{'&' if '?' in call.url else '?'}{urlencode(call.query)}"


def _headers(call: Call) -> dict[str, str]:
    if not all(value.isascii() and value.isprintable() for value in call.headers.values()):
        raise ConfigurationError(
            "a header can't be sent: is there a line break or a letter beyond ASCII in the API key?"
        )
    return {**_HEADERS, **call.headers, **({} if call.json is None else {"Content-Type": "application/json"})}


def _parts(
    form: Mapping[str, str | tuple[str, bytes, str]] | None,
) -> list[tuple[str, tuple[None, str] | tuple[str, bytes, str]]] | None:
    if form is None:
        return None
    return [(name, (None, part) if isinstance(part, str) else part) for name, part in form.items()]


def _lower(response: httpx.Response) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers.raw}


async def _chunks(request: httpx.Request, response: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for piece in _pieces(response):
            yield piece
    except _TROUBLE as error:
        raise DownloadError(message_of(request, error)) from None


def _pieces(response: httpx.Response) -> httpx.AsyncByteStream:
    return cast(httpx.AsyncByteStream, response.stream)
