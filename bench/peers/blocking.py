"""What the providers' documents show, in a Celery task: a loop that sleeps and asks, and holds its thread meanwhile."""

from __future__ import annotations

import os
import time
from typing import Any

from celery import Celery

from bench import workload
from bench.peers.celery_options import RELIABLE
from bench.steps import steps

#: Jobs that one worker does at once, a thread each.
THREADS = 256

app = Celery("blocking", broker=os.environ[workload.REDIS_VARIABLE], backend=os.environ[workload.REDIS_VARIABLE])
app.conf.update(**RELIABLE, task_default_queue="blocking", worker_concurrency=THREADS)


@app.task(name="blocking.generate")
def generate(name: str) -> dict[str, Any]:
    """One job from submit to the second put."""
    provider_job_id = steps().submit(name)
    polls, url = 0, None
    while url is None:
        time.sleep(steps().wait_seconds(provider_job_id, polls))
        url = steps().poll(provider_job_id)
        polls += 1
    return steps().store(name, url, polls)
