"""Another service with a worker of its own, which knows of bide only the wire: its tasks take what jobs return."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery

QUEUE = "other-service"

app = Celery("other-service", broker=os.environ.get("SERVICE_URL"), backend=os.environ.get("SERVICE_URL"))
app.conf.update(task_default_queue=QUEUE, broker_connection_retry_on_startup=True)


@app.task(name="other_service.keys")
def keys(results: Any) -> list[str]:
    """Keys of all objects of one result, or of a list of results."""
    return [output["key"] for one in (results if isinstance(results, list) else [results]) for output in one["outputs"]]


@app.task(name="other_service.sorry")
def sorry(job_id: str) -> str:
    """The answer of the service's errback, which gets the id of the failed job."""
    return f"sorry for {job_id}"
