"""Looks at the records of many followed jobs, for an event loop: those of one moment share a pipeline."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import redis.asyncio

from bide.client.follow import FIELDS, Look, Place, look_of
from bide.redis_client import close_async

#: How long a look waits for others to go with it [seconds].
TOGETHER_SECONDS = 0.02

#: Jobs that are read in one pipeline.
PAGE = 500


class SharedLooks:
    """Reads the ledger by one connection of asyncio, in a task that lives as long as a look is wanted."""

    def __init__(self, server: redis.asyncio.Redis) -> None:
        self._server = server
        self._wanted: list[tuple[Place, asyncio.Future[Look | None]]] = []
        self._task: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    async def look(self, place: Place) -> Look | None:
        """What a job's record says; None where there is none. Raises the errors of Redis."""
        future = asyncio.get_running_loop().create_future()
        if self._closing.is_set():
            future.cancel()
        else:
            self._wanted.append((place, future))
        if self._wanted and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._serve())
        found: Look | None = await future
        return found

    async def pause(self, seconds: float, *, until: float | None = None) -> None:
        """Wait for the next look, no longer than `until` by the loop's clock; closing ends the wait."""
        at = asyncio.get_running_loop().time() + seconds
        with suppress(TimeoutError):
            async with asyncio.timeout_at(at if until is None else min(at, until)):
                await self._closing.wait()

    async def close(self) -> None:
        """Cancel the looks under way, and give the connection back."""
        self._closing.set()
        for _, future in self._wanted:
            future.cancel()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await close_async(self._server)

    async def _serve(self) -> None:
        while self._wanted:
            await asyncio.sleep(TOGETHER_SECONDS)
            page, self._wanted = self._wanted[:PAGE], self._wanted[PAGE:]
            page = [(place, future) for place, future in page if not future.done()]
            try:
                found = await self._read([place for place, _ in page])
            except asyncio.CancelledError:
                for _, future in page:
                    future.cancel()
                raise
            except Exception as error:
                for _, future in page:
                    if not future.done():
                        future.set_exception(error)
            else:
                for (_, future), look in zip(page, found, strict=True):
                    if not future.done():
                        future.set_result(look)

    async def _read(self, places: list[Place]) -> list[Look | None]:
        if not places:
            return []
        pipeline = self._server.pipeline(transaction=False)
        for place in places:
            for key in place.keys:
                pipeline.hmget(key, FIELDS)
        values = iter(await pipeline.execute())
        return [look_of([[_text(each) for each in next(values)] for _ in place.keys]) for place in places]


def _text(value: bytes | str | None) -> str | None:
    return value.decode() if isinstance(value, bytes) else value
