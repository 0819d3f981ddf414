"""A thread that reads the state of the work time and again, whatever happens to Redis meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable

import redis


class Reader:
    """Calls `read` every so often, from its making until `stop`; a read that Redis fails is left out."""

    def __init__(self, name: str, read: Callable[[], None], *, every_seconds: float) -> None:
        self._read, self._every_seconds = read, every_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread, and wait for it."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._every_seconds):
            try:
                self._read()
            except redis.RedisError:
                continue
