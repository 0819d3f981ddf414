"""The client for asyncio: short calls go to a thread; all waits share one task and take no thread."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import redis
import redis.asyncio

from bide.client.follow import ENDS, Followed, JobEvent
from bide.client.looks import SharedLooks
from bide.client.outputs import Uploads
from bide.client.presence import UNKNOWN_SECONDS
from bide.client.record_states import RecordStates
from bide.client.result_waiter import ResultWaiter
from bide.client.sync import Client
from bide.client.threaded import ThreadedCalls
from bide.contract import JobResult
from bide.errors import LedgerAwayError
from bide.redis_client import SENTINEL_MASTER, connect_async, results_at


class AsyncClient(ThreadedCalls[Client]):
    """`Client` for one event loop, with its arguments, results and errors. For use with `async with`."""

    def __init__(
        self,
        broker_url: str,
        *,
        result_url: str | None = None,
        ledger_url: str | None = None,
        uploads: Uploads | None = None,
        sentinel_master: str = SENTINEL_MASTER,
    ) -> None:
        self._client = Client(
            broker_url,
            result_url=result_url,
            ledger_url=ledger_url,
            uploads=uploads,
            sentinel_master=sentinel_master,
        )
        post = self._client._post

        def connected(url: str) -> redis.asyncio.Redis:
            return connect_async(url, sentinel_master=sentinel_master, socket_timeout=10, socket_connect_timeout=3)

        self._states = RecordStates(connected(ledger_url or broker_url))
        self._looks = SharedLooks(connected(ledger_url or broker_url))
        self._waiter = ResultWaiter(
            connected(result_url or results_at(broker_url, ledger_url or broker_url)),
            key=post.key,
            read=post.read,
            states=self._states.read,
            result=self.result,
        )

    async def wait(
        self, job_id: str, *, timeout_seconds: float | None = None, unknown_seconds: float = UNKNOWN_SECONDS
    ) -> JobResult:
        """Wait for a job's result, like `Client.wait`; thousands of waits may go on at once."""
        try:
            async with asyncio.timeout(timeout_seconds):
                return await self._waiter.wait(job_id, unknown_seconds=unknown_seconds)
        except TimeoutError:
            raise await asyncio.to_thread(self._client._timed_out, job_id, timeout_seconds) from None

    async def follow(
        self, job_id: str, *, timeout_seconds: float | None = None, unknown_seconds: float = UNKNOWN_SECONDS
    ) -> AsyncIterator[JobEvent]:
        """Follow a job, like `Client.follow`, by `async for`; thousands may be followed over one connection."""
        loop = asyncio.get_running_loop()
        until = None if timeout_seconds is None else loop.time() + timeout_seconds
        followed = Followed(job_id, unknown_seconds=unknown_seconds)
        while True:
            try:
                async with asyncio.timeout_at(until):
                    events = await self._events(followed)
            except TimeoutError:
                raise await asyncio.to_thread(self._client._timed_out, job_id, timeout_seconds) from None
            for event in events:
                yield event
            if followed.over:
                return
            await self._looks.pause(followed.pause_seconds, until=until)

    async def _events(self, followed: Followed) -> list[JobEvent]:
        """One look at a followed job; a thread is taken only to find its record, and to read its end."""
        follower = self._client._follower
        try:
            place = followed.place or await asyncio.to_thread(follower.place, followed)
            look = await self._looks.look(place) if place else None
            if look is None or look.state in ENDS:
                return await asyncio.to_thread(follower.end, followed)
        except (LedgerAwayError, redis.RedisError) as error:
            return followed.away(error)
        return followed.changes(look)

    async def close(self) -> None:
        """Give the connections back; waits that go on, and jobs that are followed, are canceled."""
        await self._looks.close()
        await self._waiter.close()
        await self._states.close()
        await super().close()
