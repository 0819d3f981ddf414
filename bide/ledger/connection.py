"""The ledger's client: patient with a Redis that restarts, or refuses to write for a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from bide import redis_client
from bide.redis_errors import AWAY, RefusedError, refusal

#: How long a command begins new attempts before it gives up; a restart of Redis takes less [seconds].
PATIENCE_SECONDS = 20.0

#: The same in a process that is to end [seconds]. What it leaves unwritten a living worker does again.
ENDING_PATIENCE_SECONDS = 2.0

#: How long one attempt waits for an answer: a Redis that hangs is given up after the sum of both [seconds].
ANSWER_SECONDS = 10.0


class Patience(Retry):
    """Retries for a length of time, over all the retries that redis-py nests: command, ping, connection."""

    #: When the outermost call of this thread began.
    _begun = threading.local()

    def __init__(self, seconds: float) -> None:
        super().__init__(ExponentialBackoff(cap=1.0, base=0.05), retries=-1)
        self._seconds = seconds

    def __deepcopy__(self, _memo: dict[int, Any]) -> Patience:
        """redis-py copies it for each connection: all of them share this one, so that `shorten` reaches them."""
        return self

    def shorten(self, seconds: float) -> None:
        """Retry for no longer than this from now on, also in calls that are under way."""
        self._seconds = min(self._seconds, seconds)

    def call_with_retry(self, do: Callable[[], Any], fail: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Call `do`, as redis-py's `Retry` does; raises the last error once the time is over."""
        if outermost := not hasattr(self._begun, "at"):
            self._begun.at = time.monotonic()

        def attempt() -> Any:
            try:
                return do()
            except redis.ResponseError as error:
                code = refusal(error)
                if code == "MISCONF" and getattr(do, "__name__", "") == "_send_ping":
                    return None  # redis-py's check of an idle connection, which is refused like a write: it lives
                if isinstance(error, AWAY) or not code:
                    raise
                raise RefusedError(code) from error

        def failed(error: Exception, *count: int) -> None:
            fail(error, *count)
            if time.monotonic() >= self._begun.at + self._seconds:
                raise error

        try:
            return super().call_with_retry(attempt, failed, *args, **options)
        finally:
            if outermost:
                del self._begun.at


def connect(url: str, *, sentinel_master: str = redis_client.SENTINEL_MASTER) -> redis.Redis:
    """A client for the ledger: patient with a restarting server, decoding to text.

    A script may therefore run twice; each one is written to do nothing the second time.
    """
    return redis_client.connect(
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


def end_soon(server: redis.Redis) -> None:
    """Shorten the patience of a client that `connect` has made: its process is to end. Safe in a signal handler."""
    retry = server.get_retry()
    if isinstance(retry, Patience):
        retry.shorten(ENDING_PATIENCE_SECONDS)
