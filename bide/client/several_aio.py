"""The client of several deployments for asyncio: calls go to a thread, waits take none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Self, Unpack, overload

from bide.client.aio import AsyncClient
from bide.client.follow import JobEvent
from bide.client.outputs import PresignedResult, Uploads
from bide.client.presence import UNKNOWN_SECONDS
from bide.client.requests import Options, Request
from bide.client.several import LedgersClient, addresses, named_ledgers
from bide.client.status import Status
from bide.client.sync import WAIT_MOST_SECONDS
from bide.contract import JobResult
from bide.errors import UnknownJobError
from bide.pricing import RequestPrice
from bide.settings.ledgers import Ledgers


class AsyncLedgersClient:
    """`LedgersClient` for one event loop, with its arguments, results and errors. For use with `async with`."""

    def __init__(self, ledgers: Ledgers, *, uploads: Uploads | None = None) -> None:
        self._client = LedgersClient(ledgers, uploads=uploads)
        self._clients = {name: AsyncClient(**addresses(ledgers, name), uploads=uploads) for name in ledgers.names}

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None, *, uploads: Uploads | None = None) -> Self:
        """The client of the deployments that an environment names; raises `ConfigurationError`."""
        return cls(named_ledgers(environ), uploads=uploads)

    async def submit(self, request: Request, *, job_id: str | None = None, **options: Unpack[Options]) -> str:
        """Enqueue a job where its account stands, like `LedgersClient.submit`."""
        return await asyncio.to_thread(self._client.submit, request, job_id=job_id, **options)

    async def submit_many(
        self, requests: Iterable[Request], *, job_ids: Sequence[str] | None = None, **options: Unpack[Options]
    ) -> list[str]:
        """Enqueue jobs, each where its account stands, like `LedgersClient.submit_many`."""
        return await asyncio.to_thread(self._client.submit_many, list(requests), job_ids=job_ids, **options)

    async def price(self, request: Request, **options: Unpack[Options]) -> RequestPrice:
        """Say what a request will cost where its account stands, like `Client.price`."""
        return await asyncio.to_thread(self._client.price, request, **options)

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
            raise TimeoutError(f"no ledger said within {timeout_seconds:g} s that it has job {job_id!r}") from None
        left = None if timeout_seconds is None else max(timeout_seconds - (loop.time() - begun), 0.0)
        return await client.wait(job_id, timeout_seconds=left, unknown_seconds=unknown_seconds)

    @overload
    async def result(self, job_id: str) -> JobResult | None: ...

    @overload
    async def result(self, job_id: str, *, presign_seconds: float) -> PresignedResult | None: ...

    async def result(self, job_id: str, *, presign_seconds: float | None = None) -> JobResult | None:
        """Read a job's result, like `LedgersClient.result`."""
        if presign_seconds is None:
            return await asyncio.to_thread(self._client.result, job_id)
        return await asyncio.to_thread(self._client.result, job_id, presign_seconds=presign_seconds)

    async def status(self, job_id: str) -> Status | None:
        """Read a job's status, like `LedgersClient.status`."""
        return await asyncio.to_thread(self._client.status, job_id)

    async def knows(self, job_id: str) -> bool:
        """Whether there is a record of a job, like `LedgersClient.knows`."""
        return await asyncio.to_thread(self._client.knows, job_id)

    async def follow(
        self, job_id: str, *, timeout_seconds: float | None = None, unknown_seconds: float = UNKNOWN_SECONDS
    ) -> AsyncIterator[JobEvent]:
        """Follow a job, like `Client.follow`, by `async for`; thousands may be followed over one connection each."""
        client = self._clients[await self.ledger_of(job_id, unknown_seconds=unknown_seconds)]
        async for event in client.follow(job_id, timeout_seconds=timeout_seconds, unknown_seconds=unknown_seconds):
            yield event

    async def cancel(self, job_id: str) -> None:
        """Have a job canceled, like `LedgersClient.cancel`."""
        await asyncio.to_thread(self._client.cancel, job_id)

    async def close(self) -> None:
        """Give the connections back; waits that go on, and jobs that are followed, are canceled."""
        for client in self._clients.values():
            await client.close()
        await asyncio.to_thread(self._client.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
