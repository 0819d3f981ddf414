"""The HTTP client of a process; every foreign failure is mapped here, once.

Polls and downloads go out by aiohttp alone, purchases and callbacks by httpx over aiohttp connections.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import lru_cache, partial
from typing import cast
from urllib.parse import urlencode

import aiohttp
import httpx
from httpx_aiohttp.transport import map_aiohttp_exceptions

from bide import __version__
from bide.addresses import origin_of, target_of, web_address
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
from workers.io.lean_client import LeanClient, plain_headers
from workers.io.transport import LiteralTransport, Names, guarded_session, literal, open_session, purchase_session

#: What every request says, unless its adapter says otherwise.
_HEADERS = {"User-Agent": f"bide/{__version__}", "Accept": "*/*", "Accept-Encoding": "identity"}

_NO_HEADER = "a header can't be sent: is there a line break or a letter beyond ASCII in the API key?"

#: All that a transport may raise short of a programming error.
_TROUBLE = (httpx.HTTPError, aiohttp.ClientError, OSError)


class Pool(Enum):
    """Requests by httpx that share connections; those of callbacks come in two: guarded or not."""

    PURCHASE = "purchase"
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

    Polls and downloads go through `LeanClient`, all else goes straight to httpx transports. `httpx.AsyncClient`
    would keep cookies, prepare redirects, take credentials out of URLs, log whole URLs with their signatures, and cost
    half as much again per request.
    """

    def __init__(self, options: HttpOptions | None = None, *, names: Names = _by_the_loop) -> None:
        self.options = options or HttpOptions()
        self._closed = False
        tls = httpx.create_ssl_context(trust_env=False)
        sessions = {
            Pool.PURCHASE: partial(purchase_session, tls, self.options.max_connections),
            Pool.CALLBACK: partial(guarded_session, tls, names, self.options.max_callback_connections),
            Pool.ALLOWED_CALLBACK: partial(open_session, tls, self.options.max_callback_connections),
        }
        self._transports = {pool: LiteralTransport(verify=tls, client=opened) for pool, opened in sessions.items()}
        polls = partial(open_session, tls, self.options.max_connections)
        public = partial(guarded_session, tls, names, self.options.max_media_connections)
        listed = partial(open_session, tls, self.options.max_media_connections)
        self._polls = LeanClient(polls, **vars(self.options.api))
        self._media = {
            guarded: LeanClient(opened, **vars(self.options.media))
            for guarded, opened in ((True, public), (False, listed))
        }

    async def call(self, call: Call, *, buys: bool) -> Answer:
        """Send one API request and read its answer, whatever its status.

        Where it buys: raises `NotSentError` when it surely never left, `SubmissionUnknownError` for everything after.
        Otherwise: raises `PollFailedError`. `ConfigurationError` where no request can be made of the call.
        """
        return await (self._buy(call) if buys else self._ask(call))

    async def _ask(self, call: Call) -> Answer:
        known = _callable(call.url, origin_of)
        with _made_of(call.url):
            url = literal(known.scheme, known.netloc, target_of(_with_query(call)))
            headers, body = _content(call)
        try:
            return await self._polls.send(call.method, url, headers, body, limit_bytes=call.max_answer_bytes)
        except (UnusableBodyError, *_TROUBLE) as error:
            where = plain(_callable_url(call.url))
            raise PollFailedError(f"{call.method} {where}: {reason(error)}") from None

    async def _buy(self, call: Call) -> Answer:
        request = _request(call, self.options.purchase)
        if self._closed:
            raise NotSentError(f"{plain(request.url)}: not sent, the process is stopping")
        try:
            return await self._exchange(request, Pool.PURCHASE, self.options.purchase, call.max_answer_bytes)
        except Exception as error:
            if never_sent(error):
                raise NotSentError(message_of(request, error)) from None
            raise SubmissionUnknownError(f"{message_of(request, error)}; it may have been accepted") from None

    @asynccontextmanager
    async def stream(
        self, url: str, *, guarded: bool, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[Reply]:
        """GET `url` without following redirects; `guarded`: only public addresses (`BadMediaError` for others).

        Raises `DownloadError`. The total time-out is the caller's, since a download may take several requests.
        """
        known, target, headers = origin_of(url), target_of(url), headers or {}
        where = f"{known.scheme}://{known.netloc.decode('ascii')}{target.partition('?')[0]}"
        if not _sendable(headers):
            raise DownloadError(f"{where}: {_NO_HEADER}")
        opened = self._media[guarded].open("GET", literal(known.scheme, known.netloc, target), {**_HEADERS, **headers})
        async with AsyncExitStack() as stack:
            try:
                response = await stack.enter_async_context(opened)
            except _TROUBLE as error:
                raise DownloadError(f"GET {where}: {reason(error)}") from None
            yield Reply(where, response.status, plain_headers(response.raw_headers), _chunks(where, response))

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
        return Answer(response.status_code, plain_headers(response.headers.raw))

    async def aclose(self) -> None:
        """Close all connections; a purchase under way ends as `SubmissionUnknownError`."""
        self._closed = True
        for transport in self._transports.values():
            await transport.aclose()
        for client in (self._polls, *self._media.values()):
            await client.aclose()

    async def _exchange(self, request: httpx.Request, pool: Pool, timeouts: Timeouts, limit: int) -> Answer:
        async with asyncio.timeout(timeouts.total_seconds):
            response = await self._transports[pool].handle_async_request(request)
            try:
                headers = plain_headers(response.headers.raw)
                body = await read_body(_pieces(response), headers, limit_bytes=limit)
            finally:
                await response.aclose()
        return Answer(response.status_code, headers, body)


def _request(call: Call, timeouts: Timeouts) -> httpx.Request:
    url = _callable_url(call.url)
    with _made_of(call.url):
        headers, body = _content(call)
        extensions = timeouts.extensions(_with_query(call))
        return httpx.Request(call.method, url, headers=headers, content=body, extensions=extensions)


def _content(call: Call) -> tuple[Mapping[str, str], bytes | None]:
    """Headers and body; forms are written by httpx, as one piece of known length."""
    headers = _headers(call)
    if call.form is not None:
        request = httpx.Request(call.method, _callable_url(call.url), headers=headers, files=_parts(call.form))
        return request.headers, request.read()
    return headers, None if call.json is None else json.dumps(call.json, separators=(",", ":")).encode()


@contextmanager
def _made_of(url: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, RecursionError, httpx.InvalidURL) as error:  # such as half a surrogate pair
        where = plain(_callable_url(url))
        raise ConfigurationError(f"{where}: no request can be made of it ({type(error).__name__})") from None


@lru_cache(maxsize=1024)
def _callable_url(url: str) -> httpx.URL:
    return _callable(url, web_address)


def _callable(url: str, read: Callable[[str], httpx.URL]) -> httpx.URL:
    try:
        parsed = read(url)
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


def _sendable(headers: Mapping[str, str]) -> bool:
    return all(value.isascii() and value.isprintable() for value in headers.values())


def _headers(call: Call) -> dict[str, str]:
    if not _sendable(call.headers):
        raise ConfigurationError(_NO_HEADER)
    return {**_HEADERS, **call.headers, **({} if call.json is None else {"Content-Type": "application/json"})}


def _parts(
    form: Mapping[str, str | tuple[str, bytes, str]] | None,
) -> list[tuple[str, tuple[None, str] | tuple[str, bytes, str]]] | None:
    if form is None:
        return None
    return [(name, (None, part) if isinstance(part, str) else part) for name, part in form.items()]


async def _chunks(where: str, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    try:
        with map_aiohttp_exceptions():
            async for piece in response.content.iter_any():
                yield piece
    except _TROUBLE as error:
        raise DownloadError(f"GET {where}: {reason(error)}") from None


def _pieces(response: httpx.Response) -> httpx.AsyncByteStream:
    return cast(httpx.AsyncByteStream, response.stream)
