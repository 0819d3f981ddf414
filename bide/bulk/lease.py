"""A lease that is renewed while a block of code runs, for minutes if need be."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import redis

from bide.errors import LedgerAwayError


@contextmanager
def keep_lease(renew: Callable[[], object], *, seconds: float) -> Iterator[None]:
    """Renew a lease of `seconds` while the block runs. A thread of its own renews it, which the block can't hold up."""
    done = threading.Event()

    def keep() -> None:
        while not done.wait(seconds / 3):
            try:
                renew()
            except (LedgerAwayError, redis.RedisError):
                continue  # the lease may run out: what another process does meanwhile does no harm

    thread = threading.Thread(target=keep, name="keep-lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
