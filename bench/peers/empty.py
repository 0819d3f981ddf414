"""A Celery task that does nothing: what a message costs by itself."""

from __future__ import annotations

import os

from celery import Celery

from bench import workload

TASK, QUEUE = "empty.nothing", "empty"

app = Celery("empty", broker=os.environ[workload.REDIS_VARIABLE], backend=os.environ[workload.REDIS_VARIABLE])
app.conf.update(
    task_default_queue=QUEUE,
    worker_pool="threads",
    worker_concurrency=workload.STEPS_AT_ONCE,
    broker_connection_retry_on_startup=True,
    worker_send_task_events=True,
)


@app.task(name=TASK)
def nothing(name: str) -> str:
    """Succeed."""
    return name
