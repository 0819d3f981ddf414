"""The sandbox is faithful: the providers' own clients, unmodified, submit, wait, cancel, fail and download at it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.running import Sandbox
from tests.integration.tls_sandbox import played, tls_sandbox

pytestmark = pytest.mark.integration

#: Mean time of a job [seconds].
LATENCY_SECONDS = 0.5


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sandbox, dict[str, str]]]:
    """The sandbox with TLS, and the environment that trusts it."""
    with tls_sandbox(tmp_path_factory.mktemp("tls"), latency_seconds=LATENCY_SECONDS) as both:
        yield both


class TestFal:
    """By `fal-client`, which speaks to `https` alone."""

    @pytest.fixture(scope="class")
    @classmethod
    def came(cls, servers: tuple[Sandbox, dict[str, str]]) -> dict[str, Any]:
        """What the session came to."""
        sandbox, trusting = servers
        host = sandbox.tls_url.removeprefix("https://") + "/fal"
        return played("fal_session", {**trusting, "FAL_KEY": "a-key", "FAL_QUEUE_RUN_HOST": host})

    def test_submit_and_wait(self, came: dict[str, Any]) -> None:
        """From the queue to the files, which are public."""
        pictures = came["pictures"]
        assert [picture["content_type"] for picture in pictures["result"]["images"]] == ["image/png"] * 2
        assert list(dict.fromkeys(pictures["seen"])) == ["Queued", "InProgress", "Completed"]
        assert pictures["completed"] == [{"error": None, "type": None}]
        assert came["video"]["result"]["video"]["content_type"] == "video/mp4"
        assert came["found again"] == {"file": b"\x89PNG".hex(), "type": "image/png", "too_late": 400}

    def test_a_request_goes_back_to_the_queue(self, came: dict[str, Any]) -> None:
        """Its runner was lost, and another one takes it up."""
        seen = came["back_to_queue"]["seen"]
        assert "Queued" in seen[seen.index("InProgress") :]
        assert came["back_to_queue"]["result"]["images"]

    def test_a_failure_is_a_completed_request(self, came: dict[str, Any]) -> None:
        """The status says that it failed, mostly; the result's address has code and body of the error."""
        assert (came["fail"]["code"], came["fail"]["type"]) == (500, "runner_server_error")
        assert (came["aborted"]["code"], came["aborted"]["type"]) == (504, "startup_timeout")
        assert came["aborted"]["completed"][0]["type"] == "startup_timeout"
        assert came["moderated"]["code"] == 422
        assert "content_policy_violation" in came["moderated"]["says"]
        assert came["moderated"]["completed"] == [{"error": "Invalid status code: 422", "type": None}]
        assert (came["bad input"]["code"], "missing" in came["bad input"]["says"]) == (422, True)
        assert came["failure_in_result"]["completed"] == [{"error": None, "type": None}]
        assert came["failure_in_result"]["code"] == 422

    def test_what_is_not_there_any_more(self, came: dict[str, Any]) -> None:
        """A result that has expired, a request that was forgotten, and one that never was."""
        assert (came["result_expired"]["code"], came["result_expired"]["seen"][-1]) == (404, "Completed")
        assert (came["expired"]["code"], came["unknown"], came["refused"]) == (404, 404, 404)

    def test_cancel(self, came: dict[str, Any]) -> None:
        """Heeded, ignored, too late."""
        assert came["canceled"] == {"refused": None, "now": "Completed", "type": "client_cancelled"}
        assert (came["cancel ignored"]["refused"], came["cancel too late"]["refused"]) == (None, 400)
        assert came["cancel ignored"]["now"] in ("Queued", "InProgress")


class TestReplicate:
    """By `replicate` 1, which reads every record by a strict model of its own."""

    @pytest.fixture(scope="class")
    @classmethod
    def came(cls, servers: tuple[Sandbox, dict[str, str]]) -> dict[str, Any]:
        """What the session came to."""
        sandbox, trusting = servers
        own = {"REPLICATE_API_TOKEN": "a-key", "REPLICATE_BASE_URL": f"{sandbox.tls_url}/replicate"}
        return played("replicate_session", {**trusting, **own, "REPLICATE_POLL_INTERVAL": "0.05"})

    def test_run_and_download(self, came: dict[str, Any]) -> None:
        """Held by `Prefer: wait`; files are read, the parts of a text are not."""
        assert came["run"] == {"output": ["RIFF", "RIFF"]}
        assert came["run of a version"] == {"output": ["RIFF"]}
        assert came["run of a text"] == {"output": ["A ", "description", "."]}

    @pytest.mark.parametrize("where", ["model", "deployment"])
    def test_submit_and_wait(self, came: dict[str, Any], where: str) -> None:
        """Polled; the client finds the progress in the logs."""
        assert came[where] == {"status": "succeeded", "files": 1, "moved": True}

    def test_failures(self, came: dict[str, Any]) -> None:
        """Words alone say why; the client breaks at `aborted`, as it does at Replicate."""
        assert came["fail:out_of_memory"] == {"status": "failed", "error": "out_of_memory", "output": None}
        assert "flagged as sensitive" in came["moderated"]["error"]
        assert came["run of a fault"] == {"raised": "ModelError", "status": None}
        assert came["aborted"]["raised"] == "ValidationError"

    def test_what_is_not_there_any_more(self, came: dict[str, Any]) -> None:
        """An output that was removed leaves a success without one."""
        assert came["result_expired"] == {"status": "succeeded", "error": None, "output": None}
        assert came["expired"] == {"raised": "ReplicateError", "status": 404}
        assert came["unknown model"] == {"raised": "ReplicateError", "status": 404}

    def test_cancel(self, came: dict[str, Any]) -> None:
        """Heeded and ignored, and seen in the list."""
        assert came["canceled"] == {"status": "canceled", "listed": ["canceled"]}
        assert came["cancel ignored"]["status"] in ("starting", "processing")
