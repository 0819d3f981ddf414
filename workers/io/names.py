"""Asks for the addresses of host names in threads of its own: a name that hangs holds up its own pool alone."""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, cast

import aiohttp


class OwnThreads(aiohttp.abc.AbstractResolver):
    """The system's resolver, up to `threads` names at once.

    An event loop has four threads (uvloop) or a few more for all names of a process. A name whose server does not
    answer holds one for half a minute, and anybody can register such names.
    """

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="names")
        self._resolver = aiohttp.ThreadedResolver(cast(asyncio.AbstractEventLoop, _Asking(self._pool)))

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[aiohttp.abc.ResolveResult]:
        return await self._resolver.resolve(host, port, family)

    async def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


class _Asking:
    """As much of an event loop as aiohttp's resolver uses."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool

    async def getaddrinfo(self, host: str, port: int, **options: Any) -> Any:
        return await self._run(partial(socket.getaddrinfo, host, port, **options))

    async def getnameinfo(self, address: Any, flags: int) -> Any:
        return await self._run(partial(socket.getnameinfo, address, flags))

    async def _run(self, ask: partial[Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._pool, ask)
