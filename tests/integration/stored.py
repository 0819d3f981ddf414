"""What a worker's Celery stores as the result of a job, written by hand."""

from __future__ import annotations

import json
from typing import Any

import redis


def store_result(server: redis.Redis, job_id: str) -> None:
    """Have a job succeed."""
    job = {"job_id": job_id, "provider": "photogpt", "operation": "images.generation", "polls": 1, "outputs": []}
    stored: dict[str, Any] = {
        "status": "SUCCESS",
        "result": {**job, "state": "succeeded", "finished_at": "2026-01-01T00:00:00Z"},
        "traceback": None,
        "children": [],
        "task_id": job_id,
    }
    server.set(f"celery-task-meta-{job_id}", json.dumps(stored))
