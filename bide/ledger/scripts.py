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
            raise away(error) from error


#: What Redis says or does while it restarts, and a new attempt soon after may well succeed.
AWAY = (
    redis.ConnectionError,
    redis.TimeoutError,
    redis.exceptions.BusyLoadingError,
    redis.exceptions.ReadOnlyError,
    redis.exceptions.TryAgainError,
)

#: Why a Redis that answers refuses to write, by the code in front of its error, and what to do about it.
REFUSALS = {
    "NOREPLICAS": "too few replicas follow it (min-replicas-to-write): bring replicas back, or lower that",
    "OOM": "its memory is full (maxmemory): raise that, or make room",
    "MISCONF": "it can't save to its disk: make room there, its log says more",
    "READONLY": "it is a replica: wait until it leads, or give the address of the one that does",
    "UNBLOCKED": "it has become a replica: wait until it leads, or give the address of the one that does",
    "LOADING": "it still reads its data from disk: wait",
    "BUSY": "a script holds it up: wait, or end that with SCRIPT KILL",
    "MASTERDOWN": "it is a replica without its leader: bring that back",
    "CLUSTERDOWN": "its cluster is down: bring that back",
}

#: The codes that redis-py takes off the error, by the class that it makes of them.
_CODES: dict[type[Exception], str] = {
    redis.exceptions.OutOfMemoryError: "OOM",
    redis.exceptions.ReadOnlyError: "READONLY",
    redis.exceptions.BusyLoadingError: "LOADING",
    redis.exceptions.MasterDownError: "MASTERDOWN",
    redis.exceptions.ClusterDownError: "CLUSTERDOWN",
}

#: A refusal for the state the server is in, at the start of its answer or where a script or a pipeline quotes it.
_REFUSED = re.compile(rf"(?:^|: )-?({'|'.join(REFUSALS)})\b")


class RefusedError(redis.ConnectionError):
    """Redis refuses for now. To redis-py and kombu it is a lost connection, after which both try again."""

    def __init__(self, code: str) -> None:
        super().__init__(f"Redis refuses writes: {code}, {REFUSALS[code]}")
        self.code = code


def refusal(error: BaseException) -> str:
    """The code in `REFUSALS` with which Redis refuses for now; '' for any other error."""
    if isinstance(error, RefusedError):
        return error.code
    by_class = next((code for kind, code in _CODES.items() if isinstance(error, kind)), "")
    if by_class or not isinstance(error, redis.ResponseError):
        return by_class
    found = _REFUSED.search(str(error))
    return found[1] if found else ""


def is_away(error: BaseException) -> bool:
    """Whether Redis can't be reached, or is full or busy: it passes; everything else is a mistake of ours."""
    return isinstance(error, (LedgerAwayError, *AWAY)) or bool(refusal(error))


def why_away(error: BaseException) -> str:
    """What a Redis that is away does, as the rest of a sentence."""
    code = refusal(error)
    return f"refuses writes: {code}, {REFUSALS[code]}" if code else f"does not answer: {type(error).__name__}"


def away(error: redis.RedisError) -> LedgerAwayError:
    """What to raise for an error of a Redis that is away."""
    return LedgerAwayError(f"the ledger (Redis) {why_away(error)}")


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
