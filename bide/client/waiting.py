"""Waits for many results at once: one loop that looks at all of their keys together."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress

import redis
import redis.asyncio

from bide.contract import JobResult
from bide.redis_client import close_async
from bide.redis_errors import is_away

#: Keys that one command asks for.
PAGE = 500

#: Between two looks: at least, and longer where many wait, up to the most [seconds].
LEAST_SECONDS, MOST_SECONDS, SECONDS_FOR_EACH = 0.05, 0.5, 0.0002


class Waiting:
    """One task for all waiters of an event loop; it lives as long as somebody waits."""

    def __init__(
        self,
        server: redis.asyncio.Redis,
        *,
        key: Callable[[str], str],
        read: Callable[[bytes | str], JobResult | None],
    ) -> None:
        self.server = server
        self._key, self._read = key, read
        self._waiting: dict[str, list[asyncio.Future[JobResult]]] = defaultdict(list)
        self._looking: asyncio.Task[None] | None = None

    async def wait(self, job_id: str) -> JobResult:
        """The result of a job; raises `JobFailed`, or what Redis says where it is broken and not just away."""
        mine: asyncio.Future[JobResult] = asyncio.get_running_loop().create_future()
        self._waiting[job_id].append(mine)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            return await mine
        finally:
            self._forget(job_id, mine)

    async def close(self) -> None:
        """End the loop; whoever still waits is canceled."""
        for futures in self._waiting.values():
            for future in futures:
                future.cancel()
        if self._looking is not None:
            self._looking.cancel()
            with suppress(asyncio.CancelledError):
                await self._looking
        await close_async(self.server)

    def _forget(self, job_id: str, future: asyncio.Future[JobResult]) -> None:
        futures = self._waiting[job_id]
        if future in futures:
            futures.remove(future)
        if not futures:
            del self._waiting[job_id]

    async def _look(self) -> None:
        try:
            while self._waiting:
                job_ids = list(self._waiting)
                for start in range(0, len(job_ids), PAGE):
                    await self._look_at(job_ids[start : start + PAGE])
                await asyncio.sleep(min(LEAST_SECONDS + SECONDS_FOR_EACH * len(job_ids), MOST_SECONDS))
        except Exception as error:
            for futures in list(self._waiting.values()):
                _settle(futures, error)

    async def _look_at(self, job_ids: list[str]) -> None:
        try:
            found = await self.server.mget([self._key(job_id) for job_id in job_ids])
        except (redis.RedisError, OSError) as error:
            if not is_away(error):
                raise
            return  # a restart of Redis does not end a wait
        for job_id, kept in zip(job_ids, found, strict=True):
            if kept is None:
                continue
            try:
                result = self._read(kept)
            except Exception as error:  # a bad end, the waiter's to handle
                _settle(self._waiting.get(job_id, []), error)
            else:
                if result is not None:
                    _settle(self._waiting.get(job_id, []), result)


def _settle(futures: list[asyncio.Future[JobResult]], outcome: JobResult | Exception) -> None:
    for future in futures:
        if future.done():
            continue
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
