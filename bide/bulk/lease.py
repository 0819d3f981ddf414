"""Leases that are renewed while a block of code runs, for minutes if need be."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import redis
from redis.exceptions import LockError

from bide.errors import LedgerAwayError, TryLaterError

#: The key of the lease on what is written anew in the bucket, and how long it lasts after its process died [seconds].
REWRITING_KEY, REWRITING_SECONDS = "bide:rewriting", 10.0

#: How long a process waits for it [seconds]: until that of a dead one has run out for sure.
WAIT_SECONDS = 12.0

_UNDER_WAY = "another `bide erase` or `bide bulk refresh` is under way: try again once it is through"


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


@contextmanager
def rewriting(server: redis.Redis) -> Iterator[Callable[[], None]]:
    """Have what lies in the bucket written anew by one process at a time, since a write of two would lose one's change.

    Waits as long as the lease of a process that died may last; raises `TryLaterError` where another one goes on. The
    block gets a function that raises it where the lease was lost meanwhile: to be called before each write. A lease
    that is lost during a write is not noticed before the next one. New objects need no lease: a worker may put the
    receipt of a job's end while an erasure of that job goes on, and up to a minute later.
    """
    lock = server.lock(REWRITING_KEY, timeout=REWRITING_SECONDS, thread_local=False)
    if not lock.acquire(blocking_timeout=WAIT_SECONDS):
        raise TryLaterError(_UNDER_WAY)

    def check() -> None:
        if not lock.owned():
            raise TryLaterError(f"the lease was lost, and what is left is left: {_UNDER_WAY}")

    with keep_lease(lock.reacquire, seconds=REWRITING_SECONDS):
        try:
            yield check
        finally:
            with suppress(redis.RedisError, LockError):  # it runs out by itself
                lock.release()
