"""The sandbox's fal and Replicate over real HTTP, where their official clients do not look."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from sandbox.running import Sandbox
from tests.contract.sandbox_http import BEARER, SandboxTests, picture, until

KEY = {"Authorization": "Key a-key"}
MODEL = "/fal/fal-ai/flux/dev"
PREDICT = "/replicate/v1/models/owner/flux/predictions"


class TestPlatforms(SandboxTests):
    """Keys, faults of results and cancels, bills, lists."""

    def test_each_has_a_key_of_its_own_kind(self, sandbox: Sandbox, http: httpx.Client) -> None:
        """Another scheme, the bad key, and none: refused, and nothing is bought."""
        for headers in ({}, BEARER, {"Authorization": "Key bad-key"}):
            assert http.post(MODEL, json={"prompt": "fox"}, headers=headers).status_code == 401
        for headers in ({}, KEY, {"Authorization": "Bearer bad-key"}):
            assert http.post(PREDICT, json={"input": {}}, headers=headers).status_code == 401
        assert sandbox.purchases() == []

    def test_the_addresses_of_an_answer(self, http: httpx.Client) -> None:
        """Waiting is 202, the end is 200; the result says what is billed; the model's path makes no difference."""
        accepted = http.post(MODEL, json={"prompt": "a fox", "num_images": 2}, headers=KEY).json()
        waiting = http.get(accepted["status_url"], headers=KEY)
        early = http.get(accepted["response_url"], headers=KEY)
        until(lambda: http.get(accepted["status_url"], headers=KEY), lambda body: body["status"] == "COMPLETED")
        result = http.get(accepted["response_url"], headers=KEY)
        same = http.get(f"{MODEL}/requests/{accepted['request_id']}/response", headers=KEY)

        assert (waiting.status_code, waiting.json()["status"], early.status_code) == (202, "IN_QUEUE", 400)
        assert result.headers["x-fal-billable-units"] == "2"
        assert same.json() == result.json()
        assert [picture(http.get(each["url"]).content)[0] for each in result.json()["images"]] == ["PNG"] * 2
        assert http.get(f"/fal/other/app/requests/{accepted['request_id']}/status", headers=KEY).status_code == 404

    def test_faults_of_results_and_cancels(self, sandbox: Sandbox, http: httpx.Client) -> None:
        """Each is an operation of its own: polls go on meanwhile."""
        sandbox.order([{"fault": "503", "operation": "result", "times": 1}, {"fault": "500", "operation": "cancel"}])
        accepted = http.post(MODEL, json={"prompt": "a fox"}, headers=KEY).json()
        until(lambda: http.get(accepted["status_url"], headers=KEY), lambda body: body["status"] == "COMPLETED")

        codes = [http.get(accepted["response_url"], headers=KEY).status_code for _ in range(2)]

        assert [*codes, http.put(accepted["cancel_url"], headers=KEY).status_code] == [503, 200, 500]
        assert {"poll", "result", "cancel"} <= sandbox.stats()["providers"]["fal"].keys()

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ({"input": {"prompt": "fox"}, "webhook": "http://plain.example"}, 422),
            ({"input": {"num_outputs": 9}}, 422),
            ({"input": "fox"}, 422),
            ({"input": {"prompt": "[fault:refused]"}}, 402),
            ({"input": {"prompt": "[fault:429]"}}, 429),
        ],
    )
    def test_refusals_are_problems(self, sandbox: Sandbox, http: httpx.Client, body: Any, status: int) -> None:
        """A title and a detail; a throttled one says when to come back."""
        answer = http.post(PREDICT, json=body, headers=BEARER)
        assert (answer.status_code, answer.json()["status"]) == (status, status)
        assert (status == 429) == ("retry_after" in answer.json())
        assert sandbox.purchases() == []

    def test_a_held_submit_and_one_whose_wait_runs_out(self, http: httpx.Client) -> None:
        """201 with the output, or 202 with a prediction that goes on."""
        held = http.post(PREDICT, json={"input": {"prompt": "fox"}}, headers={**BEARER, "Prefer": "wait=5"})
        over = {"input": {"prompt": "fox [fault:never_finishes]"}}
        run_out = http.post(PREDICT, json=over, headers={**BEARER, "Prefer": "wait=1"})

        assert (held.status_code, held.json()["status"], len(held.json()["output"])) == (201, "succeeded", 1)
        assert (run_out.status_code, run_out.json()["status"]) == (202, "processing")

    def test_predictions_are_listed_by_time(self, http: httpx.Client) -> None:
        """The latest first, a hundred on a page."""
        ids = [http.post(PREDICT, json={"input": {"n": n}}, headers=BEARER).json()["id"] for n in range(101)]
        first = http.get("/replicate/v1/predictions?created_after=2026-01-01T00:00:00Z", headers=BEARER).json()
        second = http.get(first["next"], headers=BEARER).json()

        assert [each["id"] for each in first["results"] + second["results"]] == ids[::-1]
        assert second["next"] is None
        assert http.get("/replicate/v1/predictions?created_before=2020-01-01", headers=BEARER).json()["results"] == []
