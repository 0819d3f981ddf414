"""The sandbox's Black Forest Labs over real HTTP."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from sandbox.running import Sandbox
from tests.contract.sandbox_http import SandboxTests, picture, until

KEY = {"x-key": "a-key"}


class TestBFL(SandboxTests):
    """A path for each model, an address to poll, samples that die."""

    def submit(self, http: httpx.Client, prompt: str = "a red fox", **params: Any) -> Any:
        return http.post("/v1/flux-2-pro", json={"prompt": prompt, **params}, headers=KEY).json()

    def ended(self, http: httpx.Client, accepted: dict[str, Any]) -> Any:
        return until(lambda: http.get(accepted["polling_url"], headers=KEY), lambda body: body["status"] != "Pending")

    def test_a_job_ends_with_a_signed_sample(self, http: httpx.Client) -> None:
        """The answer names the address to poll and the cost; the file wants no key, but its signature."""
        accepted = self.submit(http, width=1024, height=1024)
        assert (accepted["cost"], accepted["output_mp"]) == (4.5, 1.05)
        answer = self.ended(http, accepted)
        assert answer["status"] == "Ready"
        assert picture(http.get(answer["result"]["sample"]).content) == ("JPEG", (1024, 1024))
        assert http.get(answer["result"]["sample"].partition("?")[0]).status_code == 403

    @pytest.mark.parametrize("key", [{}, {"x-key": "bad-key"}, {"Authorization": "Bearer a-key"}])
    def test_a_key_is_demanded(self, sandbox: Sandbox, http: httpx.Client, key: dict[str, str]) -> None:
        """In its own header."""
        assert http.post("/v1/flux-2-pro", json={"prompt": "a fox"}, headers=key).status_code == 403
        assert http.get("/v1/get_result", params={"id": "x"}, headers=key).status_code == 403
        assert sandbox.purchases() == []

    def test_refusals(self, http: httpx.Client) -> None:
        """FastAPI's, the service's own, and a model that is not there."""
        assert http.post("/v1/flux-2-pro", json={}, headers=KEY).status_code == 422
        assert http.post("/v1/no-such-model", json={"prompt": "a"}, headers=KEY).status_code == 404
        http.post("/_sandbox/faults", json=[{"provider": "bfl", "fault": "status", "status": 429, "times": 1}])
        assert self.submit(http)["retry_after"] == 5
        http.post("/_sandbox/faults", json=[{"provider": "bfl", "fault": "refused", "times": 1}])
        assert self.submit(http)["error"] == "insufficient_credits"

    @pytest.mark.parametrize(
        ("fault", "status"),
        [
            ("moderated", "Content Moderated"),
            ("request_moderated", "Request Moderated"),
            ("fail:no_gpu", "Error"),
            ("expired", "Task not found"),
        ],
    )
    def test_ends_without_a_sample(self, http: httpx.Client, fault: str, status: str) -> None:
        """Each documented one."""
        answer = self.ended(http, self.submit(http, f"[fault:{fault}]"))
        assert (answer["status"], answer["result"]) == (status, None)

    def test_a_task_may_not_be_found_at_first(self, http: httpx.Client) -> None:
        """Right after its submit."""
        accepted = self.submit(http, "[fault:not_found_first:2]")
        words = [http.get(accepted["polling_url"], headers=KEY).json()["status"] for _ in range(3)]
        assert words[:2] == ["Task not found"] * 2
        assert words[2] != "Task not found"

    def test_a_sample_dies_and_a_later_poll_gives_the_same(self, http: httpx.Client) -> None:
        """There is no fresh one."""
        accepted = self.submit(http, "[fault:result_expires:0]")
        sample = self.ended(http, accepted)["result"]["sample"]
        assert http.get(sample).status_code == 403
        assert self.ended(http, accepted)["result"]["sample"] == sample
