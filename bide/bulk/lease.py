"""Keeps a lease alive while something is done that may take minutes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import redis

from bide.errors import LedgerAwayError


@contextmanager
def keep_lease(renew: Callable[[], object], *, seconds: float) -> Iterator[None]:
    """Renew a lease of so many seconds while the block runs, from a thread that nothing in it holds up."""
    done = threading.Event()

    def keep() -> None:
        while not done.wait(seconds / 3):
            try:
                renew()
            except (LedgerAwayError, redis.RedisError):
                continue  # it may run out: whatever another does meanwhile does no harm

    thread = threading.Thread(target=keep, name="keep-lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
