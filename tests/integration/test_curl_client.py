"""A caller with nothing but HTTP: curl, through the API of Flower."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import pytest

from tests.integration.caller import image, marker
from tests.integration.rig import FLOWER_PASSWORD, FLOWER_USER, Rig
from tests.integration.waiting import PATIENCE_SECONDS, eventually

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def address(deployment: Rig) -> str:
    """Where Flower listens."""
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    return deployment.flower_address


def test_a_job_by_curl(address: str, rig: Rig) -> None:
    """One request submits, others ask for the result; an answer without credentials is none."""
    marked = marker()
    body = json.dumps({"kwargs": {"request": image(marked)}, "queue": "bide.submit"})

    job_id = curl(f"{address}/api/task/send-task/bide.generate", "--data", body)["task-id"]

    def ended() -> dict[str, Any] | None:
        answer = curl(f"{address}/api/task/result/{job_id}")
        return answer if answer["state"] in ("SUCCESS", "FAILURE") else None

    answer = eventually(ended, what="the job ended", within_seconds=PATIENCE_SECONDS)
    assert answer["state"] == "SUCCESS"
    assert (answer["result"]["job_id"], answer["result"]["state"]) == (job_id, "succeeded")
    assert len(rig.purchases(marked)) == 1


def test_a_wrong_request_by_curl(address: str) -> None:
    """The failure comes with the documented JSON in its text."""
    body = json.dumps({"kwargs": {"request": image(params={"modelID": ""})}, "queue": "bide.submit"})
    job_id = curl(f"{address}/api/task/send-task/bide.generate", "--data", body)["task-id"]

    def ended() -> dict[str, Any] | None:
        answer = curl(f"{address}/api/task/result/{job_id}")
        return answer if answer["state"] == "FAILURE" else None

    answer = eventually(ended, what="the job failed", within_seconds=PATIENCE_SECONDS)
    assert "invalid_request" in json.dumps(answer)


def curl(url: str, *options: str) -> dict[str, Any]:
    """What curl prints, as an operator."""
    command = ["curl", "--silent", "--show-error", "--fail", "--max-time", "20", "--user"]
    command += [f"{FLOWER_USER}:{FLOWER_PASSWORD}", *options, url]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
