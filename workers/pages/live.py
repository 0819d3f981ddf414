"""What changed, as server-sent events: one reader of Redis for all browsers, and no reader where none looks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import structlog
from aiohttp import web

from bide.bulk.names import ENDED_KEY, RUNS_KEY, run_prefix
from bide.errors import LedgerAwayError
from bide.ledger import Ledger
from bide.ledger.breaker import FIELDS
from bide.ledger.keys import prefix
from workers.pages.reads import Reads

log = structlog.get_logger()

#: Between two looks [seconds], and the longest silence on a connection, which a proxy would close.
LOOK_SECONDS, SILENCE_SECONDS = 2.0, 15.0

#: Browsers that may listen at once.
MOST_LISTENERS = 100

#: Runs whose progress is looked at.
MOST_RUNS = 50

#: The subject of an event while Redis does not answer.
AWAY = "away"

Signs = Mapping[str, Any]


def signs(ledger: Ledger) -> dict[str, Any]:
    """For each subject of the pages a value that changes with it; raises `LedgerAwayError`."""
    pipeline = ledger.executor.pipeline()
    names = ledger.executor.accounts()
    for name in names:
        at = prefix(name)
        pipeline.zcard(f"{at}queued")
        pipeline.zcard(f"{at}lease")
        pipeline.zcard(f"{at}due")
        pipeline.zcard(f"{at}unconfirmed")
        pipeline.zrevrange(f"{at}unconfirmed", 0, 0)
        pipeline.zrevrange(f"{at}recent", 0, 0)
        pipeline.hmget(f"{at}metrics", *(f"ended_jobs:{state}" for state in ("succeeded", "failed", "canceled")))
        pipeline.hmget(f"{at}account", "round_last", "struck_lane", *FIELDS)
    pipeline.zcard(ENDED_KEY)
    pipeline.zrange(RUNS_KEY, 0, MOST_RUNS - 1)
    *values, ended, live = ledger.executor.execute(pipeline)
    accounts = [values[first : first + 8] for first in range(0, len(values), 8)]
    return {
        "jobs": [(*each[:3], each[3], each[5], each[6], each[7][0]) for each in accounts],
        "unconfirmed": [(each[3], each[4]) for each in accounts],
        "accounts": [(*each[:4], each[7][1:]) for each in accounts],
        "runs": (ended, live, _progress(ledger, live)),
    }


def _progress(ledger: Ledger, runs: list[str]) -> list[Any]:
    pipeline = ledger.executor.pipeline()
    for run in runs:
        pipeline.hmget(f"{run_prefix(run)}record", "state", "ready", "part", "in_line", "in_flight", "spent")
    return ledger.executor.execute(pipeline) if runs else []


class Live:
    """Tells all listeners which subjects have changed; each has one slot, so that a slow one holds up nothing."""

    def __init__(self, reads: Reads, look: Callable[[], Signs]) -> None:
        self._reads, self._look = reads, look
        self._listeners: set[_Listener] = set()
        self._watching: asyncio.Task[None] | None = None

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer with events until the browser leaves; 503 where there are too many."""
        if len(self._listeners) >= MOST_LISTENERS:
            raise web.HTTPServiceUnavailable(text="too many browsers listen", headers={"Retry-After": "30"})
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
        async with self._listening() as listener:
            await response.prepare(request)
            with suppress(ConnectionError):
                await response.write(b"retry: 3000\n\n")
                async for line in listener.lines():
                    await response.write(line)
        return response

    async def close(self) -> None:
        """End all connections."""
        for listener in self._listeners:
            listener.end()
        if self._watching is not None:
            self._watching.cancel()

    @asynccontextmanager
    async def _listening(self) -> AsyncIterator[_Listener]:
        listener = _Listener()
        self._listeners.add(listener)
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._watch())
        try:
            yield listener
        finally:
            self._listeners.discard(listener)
            if not self._listeners and self._watching is not None:
                self._watching.cancel()

    async def _watch(self) -> None:
        """Look while a browser listens. What is the same as at the last look is not sent."""
        before: Signs = {}
        while True:
            try:
                now = await self._reads.own(self._look)
            except LedgerAwayError as error:
                log.warning("pages.ledger_away", reason=str(error))
                self._tell({AWAY})
                before = {}
            else:
                self._tell({subject for subject, sign in now.items() if before and before[subject] != sign})
                if not before:
                    self._tell(set(now))
                before = now
            await asyncio.sleep(LOOK_SECONDS)

    def _tell(self, subjects: set[str]) -> None:
        if subjects:
            for listener in self._listeners:
                listener.tell(subjects)


class _Listener:
    """One browser, and the subjects that it has not heard of yet."""

    def __init__(self) -> None:
        self._subjects: set[str] = set()
        self._something = asyncio.Event()
        self._ended = False

    def tell(self, subjects: set[str]) -> None:
        """Send these subjects, together with those that wait."""
        self._subjects |= subjects
        self._something.set()

    def end(self) -> None:
        """Send it nothing more."""
        self._ended = True
        self._something.set()

    async def lines(self) -> AsyncIterator[bytes]:
        """What to send, until `end`."""
        while not self._ended:
            try:
                async with asyncio.timeout(SILENCE_SECONDS):
                    await self._something.wait()
            except TimeoutError:
                yield b": still here\n\n"
                continue
            subjects, self._subjects = sorted(self._subjects), set()
            self._something.clear()
            if subjects:
                yield f"data: {' '.join(subjects)}\n\n".encode()
