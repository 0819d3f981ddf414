"""What the providers' documents show, in a Celery task: a loop that sleeps and asks, and holds its thread meanwhile."""

from __future__ import annotations

import os
import time
from typing import Any

from celery import Celery

from bench import workload
from bench.steps import steps

#: Jobs that one worker does at once, a thread each.
THREADS = 256

app = Celery("blocking", broker=os.environ[workload.REDIS_VARIABLE], backend=os.environ[workload.REDIS_VARIABLE])
app.conf.update(
    task_default_queue="blocking",
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_pool="threads",
    worker_concurrency=THREADS,
    worker_prefetch_multiplier=1,
    worker_disable_rate_limits=True,
    worker_enable_remote_control=False,
    broker_connection_retry_on_startup=True,
    # longer than a job takes, since a message that outlasts it is delivered again
    broker_transport_options={"visibility_timeout": 60, "unacked_mutex_expire": 10},
    result_expires=7 * 24 * 3600,
)


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
