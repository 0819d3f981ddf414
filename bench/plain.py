"""The limit: an asyncio script with nothing durable. Stdin brings waves of job names, stdout says which are done."""

from __future__ import annotations

import asyncio
import json
import sys

from bench import workload
from bench.async_steps import AsyncSteps, open_steps


class Script:
    """All jobs of the script."""

    def __init__(self, steps: AsyncSteps) -> None:
        self._steps = steps
        self._at_once = asyncio.Semaphore(workload.STEPS_AT_ONCE)

    async def job(self, name: str) -> None:
        """One job from submit to the second put."""
        async with self._at_once:
            provider_job_id = await self._steps.submit(name)
        polls, url = 0, None
        while url is None:
            await self._pause(provider_job_id, workload.pause_seconds(polls))
            url = await self._steps.poll(provider_job_id)
            polls += 1
        async with self._at_once:
            await self._steps.store(name, url, polls)
        sys.stdout.write(f"{name}\n")
        sys.stdout.flush()

    async def _pause(self, provider_job_id: str, seconds: float) -> None:
        self._steps.dues.note_in(provider_job_id, seconds)
        await asyncio.sleep(seconds)


async def main() -> None:
    """Do the jobs as they come, until stdin ends; one that fails is lost."""
    async with open_steps() as steps:
        script, jobs = Script(steps), set[asyncio.Task[None]]()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while line := await asyncio.to_thread(sys.stdin.readline):
            for name in json.loads(line):
                job = asyncio.create_task(script.job(name))
                jobs.add(job)
                job.add_done_callback(jobs.discard)


if __name__ == "__main__":
    asyncio.run(main())
