"""Webhooks about a job's end, as providers call them: unsigned, at most once or by chance twice."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import aiohttp

from sandbox.jobs import Job, Phase

#: How long a receiver may take [seconds].
_ANSWER_SECONDS = 30.0

#: How often a job is checked whose end can't be foreseen [seconds].
_CHECK_SECONDS = 0.1

#: Gives the body of a call about a job; None while there is nothing to report.
Body = Callable[[Job, Phase], dict[str, Any] | None]


class Caller:
    """Calls in the background; what is under way at the end is lost, as at a real provider."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        #: How often an answer came, by HTTP code; 0: none.
        self.answers: Counter[int] = Counter()

    def promise(self, job: Job, url: str, body: Body) -> None:
        """Call `url` when the job has ended; its fates may have it lost, repeated, or made too early."""
        task = asyncio.create_task(self._call(job, url, body))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def forget(self) -> None:
        """Make none of the calls that were promised."""
        for task in self._tasks:
            task.cancel()
        self.answers.clear()

    async def close(self) -> None:
        """Make no more calls."""
        self.forget()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def _call(self, job: Job, url: str, body: Body) -> None:
        if early := float(job.fates.get("hook_lies", 0)):
            await asyncio.sleep(early)
            await self._post(url, body(job, Phase.DONE))
        while job.running(time.time()):  # noqa: ASYNC110 - a rule may put off its end while it runs
            await asyncio.sleep(max(job.done_at - time.time(), _CHECK_SECONDS))
        if "hook_lost" in job.fates:
            return
        for _ in range(int(float(job.fates.get("hook_repeated", 1)))):
            await self._post(url, body(job, job.glance(time.time())))

    async def _post(self, url: str, body: dict[str, Any] | None) -> None:
        if body is None:
            return
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(_ANSWER_SECONDS))
        try:
            async with self._session.post(url, json=body) as answer:
                self.answers[answer.status] += 1
        except (aiohttp.ClientError, TimeoutError, ValueError):
            self.answers[0] += 1
