"""The client of several deployments for asyncio: calls go to a thread, waits take none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Self

from bide.client.aio import AsyncClient
from bide.client.follow import JobEvent
from bide.client.outputs import Uploads
from bide.client.presence import UNKNOWN_SECONDS
from bide.client.several import LedgersClient, addresses, named_ledgers
from bide.client.sync import WAIT_MOST_SECONDS
from bide.client.threaded import ThreadedCalls
from bide.contract import JobResult
from bide.errors import UnknownJobError
from bide.settings.ledgers import Ledgers


class AsyncLedgersClient(ThreadedCalls[LedgersClient]):
    """`LedgersClient` for one event loop, with its arguments, results and errors. For use with `async with`."""

    def __init__(self, ledgers: Ledgers, *, uploads: Uploads | None = None) -> None:
        self._client = LedgersClient(ledgers, uploads=uploads)
        self._clients = {name: AsyncClient(**addresses(ledgers, name), uploads=uploads) for name in ledgers.names}

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None, *, uploads: Uploads | None = None) -> Self:
        """The client of the deployments that an environment names; raises `ConfigurationError`."""
        return cls(named_ledgers(environ), uploads=uploads)

    async def ledger_of(self, job_id: str, *, unknown_seconds: float = 0.0) -> str:
        """The name of the ledger that has a job, like `LedgersClient.ledger_of`."""
        loop = asyncio.get_running_loop()
        until = loop.time() + unknown_seconds
        while True:
            try:
                return await asyncio.to_thread(self._client.ledger_of, job_id)
            except UnknownJobError:
                if loop.time() >= until:
                    raise
            await asyncio.sleep(WAIT_MOST_SECONDS)

    async def wait(
        self, job_id: str, *, timeout_seconds: float | None = None, unknown_seconds: float = UNKNOWN_SECONDS
    ) -> JobResult:
        """Wait for a job's result, like `Client.wait`; thousands of waits may go on at once."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        bound = unknown_seconds if timeout_seconds is None else min(unknown_seconds, timeout_seconds)
        try:
            async with asyncio.timeout(timeout_seconds):
                client = self._clients[await self.ledger_of(job_id, unknown_seconds=bound)]
        except TimeoutError:
            raise TimeoutError(f"which ledger has job {job_id!r} was not known within {timeout_seconds:g} s") from None
        left = None if timeout_seconds is None else max(timeout_seconds - (loop.time() - begun), 0.0)
        return await client.wait(job_id, timeout_seconds=left, unknown_seconds=unknown_seconds)

    async def follow(
        self, job_id: str, *, timeout_seconds: float | None = None, unknown_seconds: float = UNKNOWN_SECONDS
    ) -> AsyncIterator[JobEvent]:
        """Follow a job, like `Client.follow`, by `async for`; thousands may be followed over one connection each."""
        client = self._clients[await self.ledger_of(job_id, unknown_seconds=unknown_seconds)]
        async for event in client.follow(job_id, timeout_seconds=timeout_seconds, unknown_seconds=unknown_seconds):
            yield event

    async def close(self) -> None:
        """Give the connections back; waits that go on, and jobs that are followed, are canceled."""
        for client in self._clients.values():
            await client.close()
        await super().close()
