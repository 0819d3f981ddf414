"""Loads the Lua moves: `prelude.lua` and `line.lua` in front of each, sent once per server, then called by digest."""

from __future__ import annotations

import functools
import re
import threading
import time
from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import Any

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from bide import servers
from bide.errors import LedgerAwayError

#: How long a move begins new attempts before it gives up; a restart of Redis takes less [seconds].
PATIENCE_SECONDS = 20.0

#: How long one attempt waits for an answer: a Redis that hangs is given up after the sum of both [seconds].
ANSWER_SECONDS = 10.0


@functools.cache
def source(move: str) -> str:
    """The whole text of a move."""
    folder = files(__package__)
    return "".join((folder / f"{name}.lua").read_text() for name in ("prelude", "line", move))


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
        except redis.RedisError as error:
            if not is_away(error):
                raise
            raise LedgerAwayError(f"the ledger (Redis) does not answer: {type(error).__name__}") from error


#: What Redis says or does while it restarts, and a new attempt soon after may well succeed.
AWAY = (
    redis.ConnectionError,
    redis.TimeoutError,
    redis.exceptions.BusyLoadingError,
    redis.exceptions.ReadOnlyError,
    redis.exceptions.TryAgainError,
)

#: A refusal for the state the server is in, at the start of its answer or where a script or a pipeline quotes it.
_REFUSED = re.compile(r"(?:^|: )-?(?:OOM|MISCONF|BUSY|NOREPLICAS|CLUSTERDOWN|MASTERDOWN|LOADING|READONLY)\b")


def is_away(error: Exception) -> bool:
    """Whether Redis can't be reached, or is full or busy: it passes; everything else is a mistake of ours."""
    if isinstance(error, (*AWAY, redis.exceptions.OutOfMemoryError, redis.exceptions.ClusterDownError)):
        return True
    return isinstance(error, redis.ResponseError) and bool(_REFUSED.search(str(error)))


class Patience(Retry):
    """Retries for a length of time, in which all the retries count that redis-py nests: command, ping, connection."""

    _begun = threading.local()

    def __init__(self, seconds: float) -> None:
        super().__init__(ExponentialBackoff(cap=1.0, base=0.05), retries=-1)
        self._seconds = seconds

    def call_with_retry(self, do: Callable[[], Any], fail: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """As redis-py's; the last error is raised once the time is over."""
        if outermost := not hasattr(self._begun, "at"):
            self._begun.at = time.monotonic()

        def failed(error: Exception, *count: int) -> None:
            fail(error, *count)
            if time.monotonic() >= self._begun.at + self._seconds:
                raise error

        try:
            return super().call_with_retry(do, failed, *args, **options)
        finally:
            if outermost:
                del self._begun.at


def connect(url: str, *, sentinel_master: str = servers.SENTINEL_MASTER) -> redis.Redis:
    """A client for the ledger: patient with a restarting server, decoding to text.

    Moves may so run twice; each of them is written to do nothing the second time.
    """
    return servers.connect(
        url,
        sentinel_master=sentinel_master,
        decode_responses=True,
        socket_timeout=ANSWER_SECONDS,
        socket_connect_timeout=3,
        socket_keepalive=True,
        health_check_interval=25,
        retry=Patience(PATIENCE_SECONDS),
        retry_on_error=list(AWAY),
    )
