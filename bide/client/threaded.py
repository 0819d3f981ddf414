"""What the clients for asyncio have in common: short calls, each in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Generic, Self, TypeVar, Unpack, overload

from bide.client.outputs import PresignedResult
from bide.client.requests import Options, Request
from bide.client.several import LedgersClient
from bide.client.status import Status
from bide.client.sync import Client
from bide.contract import JobResult
from bide.pricing import RequestPrice

Calls = TypeVar("Calls", Client, LedgersClient)


class ThreadedCalls(Generic[Calls]):
    """The calls of `Client` and `LedgersClient` that take no longer than a look, for one event loop."""

    _client: Calls

    async def submit(self, request: Request, *, job_id: str | None = None, **options: Unpack[Options]) -> str:
        """Enqueue a job, like `Client.submit`."""
        return await asyncio.to_thread(self._client.submit, request, job_id=job_id, **options)

    async def submit_many(
        self, requests: Iterable[Request], *, job_ids: Sequence[str] | None = None, **options: Unpack[Options]
    ) -> list[str]:
        """Enqueue jobs, like `Client.submit_many`."""
        return await asyncio.to_thread(self._client.submit_many, list(requests), job_ids=job_ids, **options)

    async def price(self, request: Request, **options: Unpack[Options]) -> RequestPrice:
        """Say what a request will cost, like `Client.price`."""
        return await asyncio.to_thread(self._client.price, request, **options)

    @overload
    async def result(self, job_id: str) -> JobResult | None: ...

    @overload
    async def result(self, job_id: str, *, presign_seconds: float) -> PresignedResult | None: ...

    async def result(self, job_id: str, *, presign_seconds: float | None = None) -> JobResult | None:
        """Read a job's result, like `Client.result`."""
        if presign_seconds is None:
            return await asyncio.to_thread(self._client.result, job_id)
        return await asyncio.to_thread(self._client.result, job_id, presign_seconds=presign_seconds)

    async def status(self, job_id: str) -> Status | None:
        """Read a job's status, like `Client.status`."""
        return await asyncio.to_thread(self._client.status, job_id)

    async def knows(self, job_id: str) -> bool:
        """Whether there is a record of a job, like `Client.knows`."""
        return await asyncio.to_thread(self._client.knows, job_id)

    async def cancel(self, job_id: str) -> None:
        """Have a job canceled, like `Client.cancel`."""
        await asyncio.to_thread(self._client.cancel, job_id)

    async def close(self) -> None:
        """Give the connections back."""
        await asyncio.to_thread(self._client.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
