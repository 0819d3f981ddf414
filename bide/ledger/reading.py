"""Queries of the ledger that change nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import redis

from bide.ledger.keys import ACCOUNTS_KEY, prefix
from bide.ledger.records import AccountName, Record
from bide.redis_errors import away, is_away


class Readings:
    """Reads records and clocks; every method raises `LedgerAwayError` when Redis stays away."""

    def __init__(self, server: redis.Redis) -> None:
        self.server = server

    def accounts(self) -> list[AccountName]:
        return sorted(map(AccountName.parse, self._reach(lambda: self.server.smembers(ACCOUNTS_KEY))))

    def read(self, account: AccountName, job_id: str) -> Record | None:
        """One record with its request; None where there is none."""
        pipeline = self.server.pipeline(transaction=False)
        pipeline.hgetall(f"{prefix(account)}job:{job_id}")
        pipeline.hget(f"{prefix(account)}body:{job_id}", "request")
        fields, request = self._reach(pipeline.execute)
        return Record(job_id, account, fields, request or "") if fields else None

    def find(self, job_id: str) -> Record | None:
        """The record of a job whose account is not known."""
        accounts = self.accounts()
        pipeline = self.server.pipeline(transaction=False)
        for account in accounts:
            pipeline.exists(f"{prefix(account)}job:{job_id}")
        found = self._reach(pipeline.execute) if accounts else []
        return next((self.read(account, job_id) for account, there in zip(accounts, found, strict=True) if there), None)

    def followers(self, account: AccountName, job_id: str) -> dict[str, str]:
        """Ids and signatures of the callers that wait for this job's result besides its own."""
        return dict(self._reach(lambda: self.server.hgetall(f"{prefix(account)}followers:{job_id}")))

    def duration_model(self, account: AccountName) -> dict[str, str]:
        """The duration models of an account, by operation, as `bide.polling.duration_model` writes them."""
        return dict(self._reach(lambda: self.server.hgetall(f"{prefix(account)}durations")))

    def count(self, account: AccountName) -> dict[str, int]:
        """How many jobs stand on each clock and list."""
        names = ("queued", "lease", "due", "unconfirmed")
        pipeline = self.server.pipeline(transaction=False)
        for name in names:
            pipeline.zcard(prefix(account) + name)
        pipeline.scard(prefix(account) + "inflight")
        return dict(zip((*names, "inflight"), self._reach(pipeline.execute), strict=True))

    def execute(self, pipeline: Any) -> list[Any]:
        """What all the reads of a pipeline of this server give."""
        return list(self._reach(pipeline.execute))

    def _reach(self, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except redis.RedisError as error:
            if not is_away(error):
                raise
            raise away(error) from error
