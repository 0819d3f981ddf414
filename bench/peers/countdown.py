"""Celery at its best: a task for each poll, sent with a countdown, its state in the message."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery

from bench import workload
from bench.peers.celery_options import RELIABLE
from bench.steps import steps

SUBMIT_QUEUE, POLL_QUEUE, STORE_QUEUE = "countdown.submit", "countdown.poll", "countdown.store"

app = Celery("countdown", broker=os.environ[workload.REDIS_VARIABLE], backend=os.environ[workload.REDIS_VARIABLE])
app.conf.update(
    **RELIABLE,
    task_routes={
        "countdown.generate": SUBMIT_QUEUE,
        "countdown.poll": POLL_QUEUE,
        "countdown.store": STORE_QUEUE,
    },
    task_ignore_result=True,
    worker_concurrency=workload.STEPS_AT_ONCE,
)


@app.task(name="countdown.generate")
def generate(name: str) -> None:
    """Submit; the first poll goes on."""
    _poll_later(name, steps().submit(name), 0)


@app.task(name="countdown.poll")
def poll(name: str, provider_job_id: str, polls: int) -> None:
    """Ask once; another poll goes on, or the store."""
    if url := steps().poll(provider_job_id):
        store.apply_async((name, url, polls + 1), task_id=name)
    else:
        _poll_later(name, provider_job_id, polls + 1)


@app.task(name="countdown.store", ignore_result=False)
def store(name: str, url: str, polls: int) -> dict[str, Any]:
    """Fetch and store; its result is the job's, since its id is."""
    return steps().store(name, url, polls)


def _poll_later(name: str, provider_job_id: str, polls: int) -> None:
    poll.apply_async((name, provider_job_id, polls), countdown=steps().wait_seconds(provider_job_id, polls))
