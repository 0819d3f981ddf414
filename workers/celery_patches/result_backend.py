"""Celery's Redis results: a suspension never overwrites a result, and storing waits for a Redis that is away."""

from __future__ import annotations

from typing import Any

from celery.backends.redis import RedisBackend, SentinelBackend
from celery.states import RETRY, SUCCESS

from bide.redis_errors import is_away


class Results(RedisBackend):
    """For Celery's setting `result_backend`, under the alias `bide`: `bide+redis://...`."""

    def mark_as_retry(
        self,
        task_id: str,
        exc: Exception,
        traceback: str | None = None,
        request: Any = None,
        store_result: bool = True,
        state: str = RETRY,
    ) -> None:
        """Store RETRY without the traceback of the suspension: it would be a kilobyte of Redis for each waiting job."""
        super().mark_as_retry(task_id, exc, request=request, store_result=store_result, state=state)

    def exception_safe_to_retry(self, exc: Exception) -> bool:
        """Whether to try again; a result that can't be stored costs the pool a thread for ever."""
        return is_away(exc) or bool(super().exception_safe_to_retry(exc))

    def _store_result(
        self, task_id: str, result: Any, state: str, traceback: str | None = None, request: Any = None, **more: Any
    ) -> Any:
        """Store a result. Celery reads the stored one first, to keep a success: RETRY and a success need not read."""
        if state not in (RETRY, SUCCESS):
            return super()._store_result(task_id, result, state, traceback, request, **more)  # type: ignore[misc]  # the stubs leave it out
        meta: dict[str, Any] = self._get_result_meta(  # type: ignore[attr-defined]  # the stubs leave it out
            result=result, state=state, traceback=traceback, request=request
        )
        meta["task_id"] = task_id
        self._set_with_state(self.get_key_for_task(task_id), self.encode(meta), state)
        return result

    def _set_with_state(self, key: str, value: bytes | str, state: str) -> Any:
        """Store a state; RETRY only where no result is, since another worker may have ended the job meanwhile.

        RETRY is not published: callers wait for results.
        """
        if state != RETRY:
            return self.set(key, value)
        return self.ensure(self._set_if_missing, (key, value))

    def _set_if_missing(self, key: str, value: bytes | str) -> None:
        self.client.set(key, value, nx=True, ex=self.expires)  # type: ignore[attr-defined]  # the stubs leave it out


class SentinelResults(Results, SentinelBackend):
    """Results in the Redis that Sentinels name."""
