"""Requests that buy nothing, as polls and downloads are, by aiohttp alone: half of the CPU of httpx over aiohttp."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager

import aiohttp
from httpx_aiohttp.transport import map_aiohttp_exceptions
from yarl import URL

from bide.providers.base import Answer
from workers.io.body import read_body


class LeanClient:
    """Sends requests as they are written, and follows no redirect; lives on one event loop and must be closed there.

    `opened` makes the connections. The stages of a request end by the seconds given, as those of httpx's requests do.
    """

    def __init__(
        self,
        opened: Callable[[], aiohttp.ClientSession],
        *,
        connect_seconds: float,
        read_seconds: float,
        total_seconds: float,
    ) -> None:
        self._opened = opened
        self._session: aiohttp.ClientSession | None = None
        self._timeout = aiohttp.ClientTimeout(
            connect=connect_seconds, sock_connect=connect_seconds, sock_read=read_seconds
        )
        self._total_seconds = total_seconds

    async def send(
        self, method: str, url: URL, headers: Mapping[str, str], body: bytes | None, *, limit_bytes: int
    ) -> Answer:
        """The answer, whatever its status. Raises `UnusableBodyError`, and what httpx's transport raises."""
        async with asyncio.timeout(self._total_seconds), self.open(method, url, headers, body) as response:
            known = plain_headers(response.raw_headers)
            answer = await read_body(response.content.iter_any(), known, limit_bytes=limit_bytes)
            return Answer(response.status, known, answer)

    @asynccontextmanager
    async def open(
        self, method: str, url: URL, headers: Mapping[str, str], body: bytes | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer, whose body is still to be read, in whatever time that takes; raises as `send` does."""
        if self._session is None:
            self._session = self._opened()  # made on the loop that uses it
        with map_aiohttp_exceptions():
            async with self._session.request(
                method,
                url,
                headers=headers,
                data=body,
                allow_redirects=False,
                auto_decompress=False,
                timeout=self._timeout,
            ) as response:
                yield response

    async def aclose(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()


def plain_headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers by their names in lower case; of one that comes twice the last."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in raw}
