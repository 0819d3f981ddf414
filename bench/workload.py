"""The job that every contender does: one picture of PhotoGPT, polled on one schedule, stored by the same two puts."""

from __future__ import annotations

import json
import os
from typing import Any

from bide.backoff import PollPlan
from bide.storage import Storage, StorageOptions
from config.sections import WorkerSettings

#: When a job is polled: after 2, 5, 9.5, 16 seconds and so on.
PLAN = PollPlan(first_seconds=2.0, factor=1.5, cap_seconds=10.0)

#: Submits and stores that a contender has under way at once: bide's default concurrency.
STEPS_AT_ONCE = WorkerSettings().concurrency

BUCKET = "bench"
KEY = "bench-key"
HEADERS = {"Authorization": f"Bearer {KEY}", "API-Version": "1"}

#: What the contenders that are not bide read: the provider's address, the broker's, where they note due times.
PROVIDER_VARIABLE, REDIS_VARIABLE, DUES_VARIABLE = "BENCH_PROVIDER_URL", "BENCH_REDIS_URL", "BENCH_DUES_FILE"


def params(name: str) -> dict[str, Any]:
    """The body of a submit; the job's name is its prompt, by which its purchase is found."""
    return {"modelID": "m1", "prompt": name}


def submit_url() -> str:
    """Where a job is bought."""
    return f"{os.environ[PROVIDER_VARIABLE]}/images/generation"


def poll_url(provider_job_id: str) -> str:
    """Where a job is asked about."""
    return f"{os.environ[PROVIDER_VARIABLE]}/jobs/{provider_job_id}"


def accepted_id(answer: dict[str, Any]) -> str:
    """The provider's id in the answer to a submit."""
    return str(answer["result"]["jobId"])


def picture_url(answer: dict[str, Any]) -> str | None:
    """The picture's address, None while the job runs."""
    result = answer["result"]
    return str(result["images"][0]["url"]) if result["status"].lower() == "success" else None


def open_storage() -> Storage:
    """The bucket, by the same client and settings as bide's."""
    told = os.environ
    options = StorageOptions(
        BUCKET, told["BIDE_S3__ENDPOINT_URL"], region=told["BIDE_S3__REGION"], max_connections=2 * STEPS_AT_ONCE
    )
    return Storage(options)


def put_picture(storage: Storage, name: str, picture: bytes) -> None:
    """The first of the two puts."""
    storage.put(f"{name}/0.png", picture, content_type="image/png", metadata={"job": name})


def put_record(storage: Storage, name: str, *, polls: int) -> None:
    """The last put of a job."""
    record = json.dumps({"job_id": name, "polls": polls, "outputs": [f"{name}/0.png"]}).encode()
    storage.put(f"{name}/job.json", record, content_type="application/json", metadata={"job": name})
