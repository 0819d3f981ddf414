"""The I/O loop of a process: one thread on which all HTTP lives; tasks in threads hand it their coroutines."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

import uvloop

T = TypeVar("T")
R = TypeVar("R")


class EventLoop:
    """An asyncio loop in a daemon thread."""

    def __init__(self, name: str = "event_loop") -> None:
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run one coroutine on the loop and wait for what it returns or raises."""
        return self.start(work).result()

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Have one coroutine run on the loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def gather(
        self, items: Iterable[T], work: Callable[[T], Awaitable[R]], *, every_seconds: float
    ) -> Iterator[list[R]]:
        """Do `work` on all items at once; yield what has come in, together, about every so often.

        A slow item holds up nobody: the others come out without it. `work` must not raise.
        """
        done: queue.SimpleQueue[R] = queue.SimpleQueue()
        waiting = list(items)

        async def one(item: T) -> None:
            done.put(await work(item))

        async def all_() -> None:
            await asyncio.gather(*map(one, waiting))

        running = asyncio.run_coroutine_threadsafe(all_(), self._loop)
        left = len(waiting)
        while left:
            batch = _drain(done, left, every_seconds, running.done)
            left -= len(batch)
            yield batch
            if not batch and running.done():
                running.result()  # raises what `work` raised against the rule
                return

    def stop(self) -> None:
        """End the loop and its thread; idempotent."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(timeout=5)
            self._loop.close()


def _drain(done: queue.SimpleQueue[R], most: int, seconds: float, over: Callable[[], bool]) -> list[R]:
    """Wait for a first result, then take what follows within `seconds`."""
    batch: list[R] = []
    until = time.monotonic() + seconds
    while len(batch) < most:
        try:
            batch.append(done.get(timeout=max(until - time.monotonic(), 0.001)))
        except queue.Empty:
            if batch:
                break
            if over():  # all has come in by now, some of it perhaps since the queue was looked at
                return [done.get() for _ in range(done.qsize())]
            until = time.monotonic() + seconds
    return batch
