"""What this process has counted since it last wrote: kept in memory, added to the ledger by the sweeper's timer.

Counting costs no round trip; writing costs one for all accounts together, twice within `sweep_seconds`. A process that
is killed loses the counts since then; after a lost answer of Redis some may be added twice. Nothing is decided by them.
"""

from __future__ import annotations

import threading
from collections import Counter as Counts
from collections.abc import Iterable, Mapping

import redis

from bide.ledger import AccountName
from bide.ledger.keys import ACCOUNTS_KEY, prefix
from workers.metrics.counted import Counter, Histogram


def metrics_key(account: AccountName) -> str:
    """The hash of an account's counts, of a bounded set of fields; it lives as long as the account."""
    return f"{prefix(account)}metrics"


class Tally:
    """Shared by all threads of a process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[AccountName, Counts[str]] = {}

    def count(self, account: AccountName, counter: Counter, value: str = "", *, by: int = 1) -> None:
        """Something happened, `by` times."""
        self._add(account, {counter.field(value): by})

    def observe(self, account: AccountName, histogram: Histogram, values: Iterable[float]) -> None:
        """Some values were measured."""
        self._add(account, histogram.fields(values))

    def flush(self, server: redis.Redis) -> None:
        """Add all of it to the ledger at once; what could not be written is kept for the next time."""
        with self._lock:
            counts, self._counts = self._counts, {}
        if not counts:
            return
        try:
            _write(server, counts)
        except redis.RedisError:
            for account, added in counts.items():
                self._add(account, added)
            raise

    def _add(self, account: AccountName, added: Mapping[str, int]) -> None:
        with self._lock:
            self._counts.setdefault(account, Counts()).update(added)


def _write(server: redis.Redis, counts: Mapping[AccountName, Mapping[str, int]]) -> None:
    pipeline = server.pipeline(transaction=False)
    for account, added in counts.items():
        pipeline.sadd(ACCOUNTS_KEY, str(account))  # a key of an account that nobody knows of would stay for ever
        for field, by in added.items():
            pipeline.hincrby(metrics_key(account), field, by)
    pipeline.execute()


#: This process's.
tally = Tally()
