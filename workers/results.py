"""Celery's Redis results, without the traceback of a suspension: nobody reads it, each waiting job would hold it."""

from __future__ import annotations

from typing import Any

from celery.backends.redis import RedisBackend
from celery.states import RETRY


class Results(RedisBackend):
    """For Celery's setting `result_backend`: `workers.results:Results+redis://...`."""

    def mark_as_retry(
        self,
        task_id: str,
        exc: Exception,
        traceback: str | None = None,
        request: Any = None,
        store_result: bool = True,
        state: str = RETRY,
    ) -> None:
        """Say RETRY."""
        super().mark_as_retry(task_id, exc, request=request, store_result=store_result, state=state)
