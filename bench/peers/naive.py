"""What one writes first: Celery, a `self.retry(countdown=...)` chain for each job, one shared httpx client."""

from __future__ import annotations

import os
from typing import Any

import httpx
from celery import Celery

from bench import workload

TASK, QUEUE = "naive.generate", "naive"

app = Celery("naive", broker=os.environ[workload.REDIS_VARIABLE], backend=os.environ[workload.REDIS_VARIABLE])
app.conf.update(
    task_default_queue=QUEUE,
    worker_pool="threads",
    worker_concurrency=workload.STEPS_AT_ONCE,
    broker_connection_retry_on_startup=True,
    result_expires=7 * 24 * 3600,
)

client = httpx.Client(headers=workload.HEADERS, timeout=30.0)
storage = workload.open_storage()
dues = workload.DuesFile()


@app.task(bind=True, name=TASK, max_retries=None)
def generate(self: Any, name: str, provider_job_id: str = "", polls: int = 0) -> dict[str, Any]:
    """Submit, or poll and store."""
    if not provider_job_id:
        answer = client.post(workload.submit_url(), json=workload.params(name)).raise_for_status().json()
        raise _again(self, name, workload.accepted_id(answer), 0)
    url = workload.picture_url(client.get(workload.poll_url(provider_job_id)).raise_for_status().json())
    polls += 1
    if url is None:
        raise _again(self, name, provider_job_id, polls)
    workload.put_picture(storage, name, client.get(url).raise_for_status().content)
    workload.put_record(storage, name, polls=polls)
    return workload.result(name, polls)


def _again(task: Any, name: str, provider_job_id: str, polls: int) -> Exception:
    seconds = workload.pause_seconds(polls)
    dues.note_in(provider_job_id, seconds)
    retry: Exception = task.retry(args=(name, provider_job_id, polls), kwargs={}, countdown=seconds, throw=False)
    return retry
