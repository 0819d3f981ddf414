"""The states of many records at once, for the waits of an event loop."""

from __future__ import annotations

from collections.abc import Sequence

import redis
import redis.asyncio

from bide.ledger import AccountName
from bide.ledger.keys import ACCOUNTS_KEY, prefix
from bide.redis_client import close_async


class RecordStates:
    """Reads the ledger by one connection of asyncio."""

    def __init__(self, server: redis.asyncio.Redis) -> None:
        self._server = server

    async def read(self, job_ids: Sequence[str]) -> dict[str, str]:
        """The states of those jobs that have a record; raises the errors of Redis."""
        accounts = [AccountName.parse(_text(name)) for name in await self._server.smembers(ACCOUNTS_KEY)]
        places = [(job_id, account) for job_id in job_ids for account in accounts]
        if not places:
            return {}
        pipeline = self._server.pipeline(transaction=False)
        for job_id, account in places:
            pipeline.hget(f"{prefix(account)}job:{job_id}", "state")
        found = await pipeline.execute()
        return {job_id: _text(state) for (job_id, _), state in zip(places, found, strict=True) if state}

    async def close(self) -> None:
        """Give the connection back."""
        await close_async(self._server)


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
