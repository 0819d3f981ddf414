"""Celery's pool of threads behind a guard: a task that breaks Celery's own code fails, and costs no thread."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from typing import Any

import structlog
from billiard.einfo import ExceptionInfo
from celery.concurrency.thread import TaskPool

log = structlog.get_logger()


class GuardedPool(TaskPool):
    """For Celery's setting `worker_pool`."""

    def on_apply(self, target: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return super().on_apply(GuardedTracer(target), *args, **kwargs)


class GuardedTracer:
    """Celery's tracer of one task. An exception from it would leave the message unacked and its place taken."""

    def __init__(self, trace: Callable[..., Any]) -> None:
        self._trace = trace

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return Context().run(self._trace, *args, **kwargs)  # what a task binds to its log lines ends with it
        except Exception as error:
            log.exception("pool.tracer_broke", reason=type(error).__name__)
            return 1, ExceptionInfo(internal=True), 0.0  # how the tracer reports a failure
