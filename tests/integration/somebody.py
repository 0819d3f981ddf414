"""Another service with a worker of its own, which knows of bide only the wire: its tasks take what jobs return."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery

QUEUE = "somebody"

app = Celery("somebody", broker=os.environ.get("SOMEBODY_URL"), backend=os.environ.get("SOMEBODY_URL"))
app.conf.update(task_default_queue=QUEUE, broker_connection_retry_on_startup=True)


@app.task(name="somebody.keys")
def keys(told: Any) -> list[str]:
    """Keys of all objects of one result, or of a list of them."""
    return [output["key"] for one in (told if isinstance(told, list) else [told]) for output in one["outputs"]]


@app.task(name="somebody.sorry")
def sorry(job_id: str) -> str:
    """What an errback of another service is told."""
    return f"sorry for {job_id}"
