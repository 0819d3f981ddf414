"""Loads the Lua moves: `prelude.lua` in front of each, sent once per server, then called by digest."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from bide.errors import LedgerAwayError

#: How long a move tries to reach Redis before it gives up; a restart of Redis takes less [seconds].
PATIENCE_SECONDS = 20.0


@functools.cache
def source(move: str) -> str:
    """The whole text of a move."""
    folder = files(__package__)
    return (folder / "prelude.lua").read_text() + (folder / f"{move}.lua").read_text()


class Moves:
    """Runs moves on one server."""

    def __init__(self, server: redis.Redis) -> None:
        self._server = server
        self._scripts: dict[str, Any] = {}

    def run(self, move: str, keys: Sequence[str], args: Sequence[str | float]) -> Any:
        """Run one move; raises `LedgerAwayError` when Redis stays away."""
        script = self._scripts.get(move) or self._scripts.setdefault(move, self._server.register_script(source(move)))
        try:
            return script(keys=keys, args=args)
        except AWAY as error:
            raise LedgerAwayError(f"the ledger (Redis) does not answer: {type(error).__name__}") from error


#: What Redis says or does while it restarts; everything else is a mistake of ours.
AWAY = (
    redis.ConnectionError,
    redis.TimeoutError,
    redis.exceptions.BusyLoadingError,
    redis.exceptions.ReadOnlyError,
    redis.exceptions.TryAgainError,
)


def connect(url: str) -> redis.Redis:
    """A client for the ledger: patient with a restarting server, decoding to text.

    Moves may so run twice; each of them is written to do nothing the second time.
    """
    return redis.Redis.from_url(
        url,
        decode_responses=True,
        socket_timeout=10,
        socket_connect_timeout=3,
        socket_keepalive=True,
        health_check_interval=25,
        retry=Retry(ExponentialBackoff(cap=1.0, base=0.05), retries=int(PATIENCE_SECONDS)),
        retry_on_error=list(AWAY),
    )
