"""The limit: an asyncio script with nothing durable. Stdin brings waves of job names, stdout says which are done."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TextIO

import aiohttp

from bench import workload
from bide.storage import Storage


class Script:
    """All jobs of the script."""

    def __init__(self, session: aiohttp.ClientSession, storage: Storage, dues: TextIO) -> None:
        self._session, self._storage, self._dues = session, storage, dues
        self._steps = asyncio.Semaphore(workload.STEPS_AT_ONCE)
        self._threads = ThreadPoolExecutor(workload.STEPS_AT_ONCE)

    async def job(self, name: str) -> None:
        """One job from submit to the second put."""
        async with self._steps, self._session.post(workload.submit_url(), json=workload.params(name)) as response:
            provider_job_id = workload.accepted_id(await response.json())
        polls, url = 0, None
        while url is None:
            await self._pause(provider_job_id, workload.PLAN.after(polls) if polls else workload.PLAN.first())
            url = workload.picture_url(await self._get(workload.poll_url(provider_job_id)))
            polls += 1
        async with self._steps:
            await self._store(name, url, polls)
        sys.stdout.write(f"{name}\n")
        sys.stdout.flush()

    async def _pause(self, provider_job_id: str, seconds: float) -> None:
        self._dues.write(f"{provider_job_id} {time.time() + seconds:.3f}\n")
        await asyncio.sleep(seconds)

    async def _get(self, url: str) -> dict[str, Any]:
        async with self._session.get(url) as response:
            return dict(await response.json())

    async def _store(self, name: str, url: str, polls: int) -> None:
        async with self._session.get(url) as response:
            picture = await response.read()
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._threads, workload.put_picture, self._storage, name, picture)
        await loop.run_in_executor(self._threads, lambda: workload.put_record(self._storage, name, polls=polls))


async def main(dues: TextIO) -> None:
    """Do each wave's jobs as it comes, until stdin ends."""
    storage = workload.open_storage()
    async with aiohttp.ClientSession(headers=workload.HEADERS) as session:
        script = Script(session, storage, dues)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while line := await asyncio.to_thread(sys.stdin.readline):
            await asyncio.gather(*map(script.job, json.loads(line)))


if __name__ == "__main__":
    with Path(os.environ[workload.DUES_VARIABLE]).open("a", buffering=1) as notes:
        asyncio.run(main(notes))
