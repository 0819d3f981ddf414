"""The waiter for results: one task of an event loop, which reads the keys of all awaited results together."""

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

#: Time between two reads of all keys: the least, the most, and what each awaited result adds [seconds].
LEAST_SECONDS, MOST_SECONDS, SECONDS_FOR_EACH = 0.05, 0.5, 0.0002


class ResultWaiter:
    """Waits for results in one task of an event loop. The task lives as long as a result is awaited."""

    def __init__(
        self,
        server: redis.asyncio.Redis,
        *,
        key: Callable[[str], str],
        read: Callable[[bytes | str], JobResult | None],
    ) -> None:
        self.server = server
        self._key, self._decode = key, read
        self._waiters: dict[str, list[asyncio.Future[JobResult]]] = defaultdict(list)
        self._task: asyncio.Task[None] | None = None

    async def wait(self, job_id: str) -> JobResult:
        """The result of a job; raises `JobFailed`, or an error of Redis that is more than an outage."""
        mine: asyncio.Future[JobResult] = asyncio.get_running_loop().create_future()
        self._waiters[job_id].append(mine)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._read_all())
        try:
            return await mine
        finally:
            self._forget(job_id, mine)

    async def close(self) -> None:
        """End the task; waits that go on are canceled."""
        for futures in self._waiters.values():
            for future in futures:
                future.cancel()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await close_async(self.server)

    def _forget(self, job_id: str, future: asyncio.Future[JobResult]) -> None:
        futures = self._waiters[job_id]
        if future in futures:
            futures.remove(future)
        if not futures:
            del self._waiters[job_id]

    async def _read_all(self) -> None:
        try:
            while self._waiters:
                job_ids = list(self._waiters)
                for start in range(0, len(job_ids), PAGE):
                    await self._read_page(job_ids[start : start + PAGE])
                await asyncio.sleep(min(LEAST_SECONDS + SECONDS_FOR_EACH * len(job_ids), MOST_SECONDS))
        except Exception as error:
            for futures in list(self._waiters.values()):
                _resolve(futures, error)

    async def _read_page(self, job_ids: list[str]) -> None:
        try:
            found = await self.server.mget([self._key(job_id) for job_id in job_ids])
        except (redis.RedisError, OSError) as error:
            if not is_away(error):
                raise
            return  # a restart of Redis does not end a wait
        for job_id, content in zip(job_ids, found, strict=True):
            if content is None:
                continue
            try:
                result = self._decode(content)
            except Exception as error:  # a bad end, the waiter's to handle
                _resolve(self._waiters.get(job_id, []), error)
            else:
                if result is not None:
                    _resolve(self._waiters.get(job_id, []), result)


def _resolve(futures: list[asyncio.Future[JobResult]], outcome: JobResult | Exception) -> None:
    for future in futures:
        if future.done():
            continue
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
