"""The job that every contender does: one picture of PhotoGPT, polled on one schedule, stored by the same two puts."""

from __future__ import annotations

import json
import os
import time
from typing import Any

from bide.polling.backoff import PollPlan
from bide.storage import Storage, StorageOptions

#: When a job is polled: after 2, 5, 9.5, 16 seconds and so on.
PLAN = PollPlan(first_seconds=2.0, factor=1.5, cap_seconds=10.0)

#: Submits and stores that a contender has under way at once: bide's default concurrency. It is not read from its
#: settings, which take libraries that the environments of other contenders lack.
STEPS_AT_ONCE = 32

#: The state in the result of a job that went well.
SUCCEEDED = "succeeded"

BUCKET = "bench"
KEY = "bench-key"
HEADERS = {"Authorization": f"Bearer {KEY}", "API-Version": "1"}

#: What the contenders that are not bide read: the provider's address, the broker's, where they note due times.
PROVIDER_VARIABLE, REDIS_VARIABLE, DUES_VARIABLE = "BENCH_PROVIDER_URL", "BENCH_REDIS_URL", "BENCH_DUES_FILE"


class DuesFile:
    """Where a contender notes when its polls are due; its processes share the file."""

    def __init__(self) -> None:
        self._file = os.open(os.environ[DUES_VARIABLE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def note(self, provider_job_id: str, due: float) -> None:
        """Write down a poll's time [seconds since the epoch]; one write, which nobody can split."""
        os.write(self._file, f"{provider_job_id} {due:.3f}\n".encode())

    def note_in(self, provider_job_id: str, seconds: float) -> None:
        """Write down a poll that is due after some seconds."""
        self.note(provider_job_id, time.time() + seconds)


def pause_seconds(polls: int) -> float:
    """How long a job waits after so many polls."""
    return PLAN.after(polls) if polls else PLAN.first()


def result(name: str, polls: int) -> dict[str, Any]:
    """What the caller of a job gets."""
    return {"job_id": name, "state": SUCCEEDED, "polls": polls}


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
    env = os.environ
    options = StorageOptions(
        BUCKET,
        env["BIDE_S3__ENDPOINT_URL"],
        region=env["BIDE_S3__REGION"],
        max_connections=2 * STEPS_AT_ONCE,
        puts="obstore",
    )
    return Storage(options)


def put_picture(storage: Storage, name: str, picture: bytes) -> None:
    """The first of the two puts."""
    storage.put(f"{name}/0.png", picture, content_type="image/png", metadata={"job": name})


def put_record(storage: Storage, name: str, *, polls: int) -> None:
    """The last put of a job."""
    record = json.dumps({"job_id": name, "polls": polls, "outputs": [f"{name}/0.png"]}).encode()
    storage.put(f"{name}/job.json", record, content_type="application/json", metadata={"job": name})
