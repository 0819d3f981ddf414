"""Reads for the pages: in threads, and one for all browsers that ask for the same within a second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")

#: Reads at once; more wait.
THREADS = 4

#: How long an answer serves all who ask the same [seconds], and how many answers are kept.
FRESH_SECONDS, MOST_KEPT = 1.0, 64


class Reads:
    """Runs reads of Redis and the store; errors of a read reach each who waits for it."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="pages")
        #: Each answer, or the read that is under way, and until when it is fresh.
        self._kept: dict[Hashable, tuple[float, asyncio.Future[Any]]] = {}
        self._clock = clock

    async def own(self, read: Callable[..., T], *arguments: Any) -> T:
        """The value of a read for one request alone."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, read, *arguments)

    async def shared(self, key: Hashable, read: Callable[[], T], *, fresh_seconds: float = FRESH_SECONDS) -> T:
        """The value of a read that others with the same key may have begun."""
        return await self.shared_task(key, lambda: self.own(read), fresh_seconds=fresh_seconds)

    async def shared_task(
        self, key: Hashable, begin: Callable[[], Coroutine[Any, Any, T]], *, fresh_seconds: float = FRESH_SECONDS
    ) -> T:
        """The value of a coroutine that others with the same key may have begun."""
        now = self._clock()
        self._kept = {each: kept for each, kept in self._kept.items() if kept[0] > now or not kept[1].done()}
        _, under_way = self._kept.get(key, (now, None))
        if under_way is None:
            under_way = asyncio.ensure_future(begin())
            under_way.add_done_callback(_take_error)
            self._kept[key] = (now + fresh_seconds, under_way)
            while len(self._kept) > MOST_KEPT:
                self._kept.pop(next(iter(self._kept)))
        value: T = await asyncio.shield(under_way)
        return value

    def close(self) -> None:
        """Begin no more reads."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _take_error(read: asyncio.Future[Any]) -> None:
    """An error that nobody waits for any more is no fault of the process."""
    if not read.cancelled():
        read.exception()
