"""A Redis that answers and refuses: kombu and Celery see a lost connection, and the process logs it once a minute."""

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

#: When to ask again a Redis that refuses, and when to log again that it does [seconds].
RETRY_SECONDS, LOG_AGAIN_SECONDS = 1.0, 60.0

#: How long a refusal counts after the last one [seconds]; a worker writes every `unacked_restore_interval`.
REFUSAL_SECONDS = 6.0


class LineThrottle:
    """Lets a log line through once a minute, and at once where its text has changed."""

    def __init__(self) -> None:
        self._line = ""
        self._logged_at = -LOG_AGAIN_SECONDS

    def due(self, line: str) -> bool:
        """Whether to log it now."""
        now = monotonic()
        if line == self._line and now - self._logged_at < LOG_AGAIN_SECONDS:
            return False
        self._line, self._logged_at = line, now
        return True


class Refusals:
    """Whether Redis refuses this process, and why; shared by all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reason = ""
        self._began_at = 0.0
        self._last_at = -REFUSAL_SECONDS
        self._throttle = LineThrottle()
        self._logged = False

    def record(self, error: Exception) -> None:
        """Redis has refused a command just now."""
        now, code = monotonic(), refusal(error)
        reason, remedy = code or str(error)[:200], REFUSALS.get(code, "mend what it names")
        with self._lock:
            if not self._is_current(now):
                self._began_at = now
            self._reason, self._last_at = f"{reason}, {remedy}", now
            due = self._throttle.due(reason)
            self._logged = self._logged or due
        if due:
            log.warning("broker.refuses", reason=reason, remedy=remedy)

    def clear(self, *, sent_at: float) -> None:
        """Redis has done what it refuses otherwise. A command sent before the last refusal proves nothing."""
        with self._lock:
            if sent_at <= self._last_at:
                return
            due, self._logged = self._logged and bool(self._reason), False
            self._reason, self._last_at = "", -REFUSAL_SECONDS
        if due:
            log.info("broker.accepts", refused_seconds=round(monotonic() - self._began_at))

    def reason(self) -> str:
        """What Redis refuses and for how long by now; '' where it does not."""
        now = monotonic()
        with self._lock:
            if not self._is_current(now):
                return ""
            return f"Redis has refused writes for {now - self._began_at:.0f} s: {self._reason}"

    def _is_current(self, now: float) -> bool:
        return now - self._last_at < REFUSAL_SECONDS


#: This process's.
refusals = Refusals()


@contextmanager
def raise_refusals() -> Iterator[None]:
    """Raise `RefusedError`, a connection error, where Redis refuses; kombu's channel errors end a worker."""
    try:
        yield
    except RefusedError:
        raise
    except redis.RedisError as error:
        if not (code := refusal(error)):
            raise
        refusals.record(error)
        raise RefusedError(code) from error


class _RaisesRefusals:
    """Commands that raise `RefusedError` where Redis refuses them."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        with raise_refusals():
            return super().execute_command(*args, **options)  # type: ignore[misc]  # of the client it is mixed into


class RefusalPipeline(_RaisesRefusals, Pipeline):
    """A pipeline of `RefusalRedis`."""

    def execute(self, raise_on_error: bool = True) -> Any:
        with raise_refusals():
            return super().execute(raise_on_error)


class RefusalRedis(_RaisesRefusals, redis.Redis):
    """The client of kombu's channels."""

    def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> Any:
        return RefusalPipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)
