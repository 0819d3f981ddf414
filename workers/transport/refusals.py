"""A Redis that answers and refuses: to kombu and Celery it is one that is away, and a process says so once a minute."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

import redis
import structlog
from redis.client import Pipeline

from bide.redis_errors import REFUSALS, RefusedError, refusal

log = structlog.get_logger()

#: When to ask again a Redis that refuses, and when to say again that it does [seconds].
AGAIN_SECONDS, SAY_AGAIN_SECONDS = 1.0, 60.0

#: How long a refusal counts after it was seen last [seconds]; a worker writes every `unacked_restore_interval`.
LASTING_SECONDS = 6.0


class Seldom:
    """Lets a line through once a minute, and where it says something else than the last one."""

    def __init__(self) -> None:
        self._line = ""
        self._said_at = -SAY_AGAIN_SECONDS

    def due(self, line: str) -> bool:
        """Whether to say it now."""
        now = monotonic()
        if line == self._line and now - self._said_at < SAY_AGAIN_SECONDS:
            return False
        self._line, self._said_at = line, now
        return True


class Refusals:
    """Whether Redis refuses this process, and why; shared by all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._why = ""
        self._begun_at = 0.0
        self._seen_at = -LASTING_SECONDS
        self._line = Seldom()
        self._told = False

    def seen(self, error: Exception) -> None:
        """Redis has refused a command just now."""
        now, code = monotonic(), refusal(error)
        reason, remedy = code or str(error)[:200], REFUSALS.get(code, "mend what it names")
        with self._lock:
            if not self._lasts(now):
                self._begun_at = now
            self._why, self._seen_at = f"{reason}, {remedy}", now
            say = self._line.due(reason)
            self._told = self._told or say
        if say:
            log.warning("broker.refuses", reason=reason, remedy=remedy)

    def over(self, *, asked_at: float) -> None:
        """Redis has done what it does not while it refuses; one that was asked before may have waited since."""
        with self._lock:
            if asked_at <= self._seen_at:
                return
            say, self._told = self._told and bool(self._why), False
            self._why, self._seen_at = "", -LASTING_SECONDS
        if say:
            log.info("broker.accepts", refused_seconds=round(monotonic() - self._begun_at))

    def why(self) -> str:
        """What Redis refuses and for how long by now; '' where it does not."""
        now = monotonic()
        with self._lock:
            if not self._lasts(now):
                return ""
            return f"Redis has refused writes for {now - self._begun_at:.0f} s: {self._why}"

    def _lasts(self, now: float) -> bool:
        return now - self._seen_at < LASTING_SECONDS


#: This process's.
refusals = Refusals()


@contextmanager
def noticing() -> Iterator[None]:
    """Raise `RefusedError`, a connection error, where Redis refuses; kombu's channel errors end a worker."""
    try:
        yield
    except RefusedError:
        raise
    except redis.RedisError as error:
        if not (code := refusal(error)):
            raise
        refusals.seen(error)
        raise RefusedError(code) from error


class _Noticing:
    """Commands whose refusal is noticed."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        with noticing():
            return super().execute_command(*args, **options)  # type: ignore[misc]  # of the client it is mixed into


class NoticingPipeline(_Noticing, Pipeline):
    """A pipeline of such a client."""

    def execute(self, raise_on_error: bool = True) -> Any:
        with noticing():
            return super().execute(raise_on_error)


class NoticingRedis(_Noticing, redis.Redis):
    """For kombu's channels."""

    def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> Any:
        return NoticingPipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)
