"""Celery's pool of threads, in which a task that breaks Celery's own code is a failed one, and not a lost thread."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from typing import Any

import structlog
from billiard.einfo import ExceptionInfo
from celery.concurrency.thread import TaskPool

log = structlog.get_logger()


class CarefulPool(TaskPool):
    """For Celery's setting `worker_pool`."""

    def on_apply(self, target: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return super().on_apply(_Careful(target), *args, **kwargs)


class _Careful:
    """Celery's tracer. What it raises would go nowhere: the message unacknowledged, its place in the worker taken."""

    def __init__(self, trace: Callable[..., Any]) -> None:
        self._trace = trace

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return Context().run(self._trace, *args, **kwargs)  # what a task binds to its log lines ends with it
        except Exception as error:
            log.exception("pool.tracer_broke", reason=type(error).__name__)
            return 1, ExceptionInfo(internal=True), 0.0  # how the tracer tells of a failure
