"""Another service as Celery's own documentation has it: no setting but the addresses, so its queue is `celery`."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery

app = Celery("orders", broker=os.environ.get("SERVICE_URL"), backend=os.environ.get("SERVICE_URL"))
app.conf.broker_connection_retry_on_startup = True


@app.task(name="orders.done")
def done(outcome: Any) -> list[str]:
    """The ids of one job, or of a list of them."""
    return [job["job_id"] for job in (outcome if isinstance(outcome, list) else [outcome])]


@app.task(name="orders.count")
def count(ids: list[str], factor: int = 1) -> int:
    """A further task, which has no job before it."""
    return factor * len(ids)


@app.task(name="orders.noted")
def noted(order: int) -> int:
    """A task for signatures that take no result."""
    return order


@app.task(name="orders.sorry")
def sorry(job_id: str) -> str:
    """An error callback: Celery calls those of other services with the task's id."""
    return f"sorry for {job_id}"
