"""The waiter for results: one task of an event loop, which reads the keys of all awaited results together."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import redis
import redis.asyncio

from bide.client.presence import Presence
from bide.contract import FINAL_STATES, JobResult, JobState
from bide.errors import UnknownJobError
from bide.redis_client import close_async
from bide.redis_errors import is_away

#: Keys that one command asks for.
PAGE = 500

#: Time between two reads of all keys: the least, the most, and what each awaited result adds [seconds].
LEAST_SECONDS, MOST_SECONDS, SECONDS_FOR_EACH = 0.05, 0.5, 0.0002


#: States in which a job may have ended though Celery has no result: its caller asked for none, or follows another job.
MAYBE_ENDED = frozenset({*FINAL_STATES, JobState.UNCONFIRMED, "following"})


@dataclass(eq=False)
class Waiter:
    """One wait: where its outcome goes, and what it knows of its job."""

    outcome: asyncio.Future[JobResult]
    presence: Presence


class ResultWaiter:
    """Waits for results in one task of an event loop. The task lives as long as a result is awaited.

    `states` gives the states of those jobs that have a record, `result` one job's result out of its record.
    """

    def __init__(
        self,
        server: redis.asyncio.Redis,
        *,
        key: Callable[[str], str],
        read: Callable[[bytes | str], JobResult | None],
        states: Callable[[Sequence[str]], Awaitable[Mapping[str, str]]],
        result: Callable[[str], Awaitable[JobResult | None]],
    ) -> None:
        self.server = server
        self._key, self._decode, self._states, self._result = key, read, states, result
        self._waiters: dict[str, list[Waiter]] = defaultdict(list)
        self._task: asyncio.Task[None] | None = None

    async def wait(self, job_id: str, *, unknown_seconds: float) -> JobResult:
        """The result of a job; raises `JobFailed`, `UnknownJobError`, or an error of Redis beyond an outage."""
        mine = Waiter(asyncio.get_running_loop().create_future(), Presence(job_id, unknown_seconds))
        self._waiters[job_id].append(mine)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._read_all())
        try:
            return await mine.outcome
        finally:
            self._forget(job_id, mine)

    async def close(self) -> None:
        """End the task; waits that go on are canceled."""
        for waiters in self._waiters.values():
            for waiter in waiters:
                waiter.outcome.cancel()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await close_async(self.server)

    def _forget(self, job_id: str, waiter: Waiter) -> None:
        waiters = self._waiters[job_id]
        if waiter in waiters:
            waiters.remove(waiter)
        if not waiters:
            del self._waiters[job_id]

    async def _read_all(self) -> None:
        try:
            while self._waiters:
                job_ids = list(self._waiters)
                for start in range(0, len(job_ids), PAGE):
                    await self._read_page(job_ids[start : start + PAGE])
                await asyncio.sleep(min(LEAST_SECONDS + SECONDS_FOR_EACH * len(job_ids), MOST_SECONDS))
        except Exception as error:
            for job_id in list(self._waiters):
                self._resolve(job_id, error)

    async def _read_page(self, job_ids: list[str]) -> None:
        try:
            found = await self.server.mget([self._key(job_id) for job_id in job_ids])
        except (redis.RedisError, OSError) as error:
            self._note_outage(job_ids, error)
            return
        for job_id, content in zip(job_ids, found, strict=True):
            if content is not None:
                await self._settle(job_id, partial(self._decoded, content))
        await self._look([job_id for job_id, content in zip(job_ids, found, strict=True) if content is None])

    async def _look(self, job_ids: list[str]) -> None:
        """Look for the records of jobs of which Celery has no state."""
        due = [job_id for job_id in job_ids if any(waiter.presence.is_due for waiter in self._waiters.get(job_id, ()))]
        try:
            states = await self._states(due) if due else {}
        except (redis.RedisError, OSError) as error:
            self._note_outage(due, error)
            return
        for job_id in due:
            state = states.get(job_id)
            self._note(job_id, known=state is not None)
            if state in MAYBE_ENDED:
                await self._settle(job_id, partial(self._result, job_id))

    def _note(self, job_id: str, *, known: bool) -> None:
        for waiter in self._waiters.get(job_id, ()):
            try:
                waiter.presence.note(known=known)
            except UnknownJobError as error:
                _resolve(waiter, error)

    def _note_outage(self, job_ids: list[str], error: Exception) -> None:
        """An outage does not end a wait, and says nothing of its job; raises what is no outage."""
        if not is_away(error):
            raise error
        for job_id in job_ids:
            self._note(job_id, known=True)

    async def _decoded(self, content: bytes | str) -> JobResult | None:
        return self._decode(content)

    async def _settle(self, job_id: str, read: Callable[[], Awaitable[JobResult | None]]) -> None:
        """End the waits for a job with what `read` gives or raises; a bad end is for them to handle."""
        try:
            outcome: JobResult | Exception | None = await read()
        except Exception as error:
            outcome = None if is_away(error) else error
        if outcome is not None:
            self._resolve(job_id, outcome)

    def _resolve(self, job_id: str, outcome: JobResult | Exception) -> None:
        for waiter in self._waiters.get(job_id, ()):
            _resolve(waiter, outcome)


def _resolve(waiter: Waiter, outcome: JobResult | Exception) -> None:
    if waiter.outcome.done():
        return
    if isinstance(outcome, Exception):
        waiter.outcome.set_exception(outcome)
    else:
        waiter.outcome.set_result(outcome)
