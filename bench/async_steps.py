"""The steps of a job for contenders with an event loop: one aiohttp session per process, puts in threads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from bench import workload


class AsyncSteps:
    """Submit, poll and store. A refusal raises `aiohttp.ClientResponseError`."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._storage = workload.open_storage()
        self._threads = ThreadPoolExecutor(workload.STEPS_AT_ONCE)
        self.dues = workload.DuesFile()

    async def submit(self, name: str) -> str:
        """Buy the picture; the provider's id."""
        async with self._session.post(workload.submit_url(), json=workload.params(name)) as response:
            return workload.accepted_id(await response.json())

    async def poll(self, provider_job_id: str) -> str | None:
        """The picture's address, None while the job runs."""
        async with self._session.get(workload.poll_url(provider_job_id)) as response:
            return workload.picture_url(await response.json())

    async def store(self, name: str, url: str, polls: int) -> dict[str, Any]:
        """Fetch the picture and do both puts; the result."""
        async with self._session.get(url) as response:
            picture = await response.read()
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._threads, workload.put_picture, self._storage, name, picture)
        await loop.run_in_executor(self._threads, lambda: workload.put_record(self._storage, name, polls=polls))
        return workload.result(name, polls)


@asynccontextmanager
async def open_steps() -> AsyncIterator[AsyncSteps]:
    """Those of this process, as long as the block."""
    async with aiohttp.ClientSession(headers=workload.HEADERS, raise_for_status=True) as session:
        yield AsyncSteps(session)
