"""Ordered faults of submits, polls and lists, as a client meets them."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from sandbox.running import Sandbox
from tests.contract.sandbox_http import BEARER, IMAGE, PHOTOGPT, SandboxTests, until

GENERATE = "/photogpt/api/images/generation"


class TestSubmits(SandboxTests):
    """What becomes of a request that buys, and whether it bought."""

    def submit(self, http: httpx.Client, prompt: str = "a red fox") -> httpx.Response:
        return http.post(GENERATE, json={**IMAGE, "prompt": prompt}, headers=PHOTOGPT)

    @pytest.mark.parametrize("status", [401, 402, 403, 429, 500, 502, 503, 504])
    def test_a_status_buys_nothing(self, sandbox: Sandbox, http: httpx.Client, status: int) -> None:
        """The ordered code comes once, with the pause asked for, and then the submit passes."""
        sandbox.order([{"fault": "status", "status": status, "retry_after": 2, "operation": "submit", "times": 1}])

        answer = self.submit(http)

        assert (answer.status_code, answer.headers["retry-after"]) == (status, "2")
        assert sandbox.purchases() == []
        assert self.submit(http).status_code == 200

    def test_without_a_pause_there_is_no_header(self, http: httpx.Client) -> None:
        """Retry-After comes only when ordered."""
        assert "retry-after" not in self.submit(http, "fox [fault:429]").headers

    def test_an_edge_page_is_html(self, http: httpx.Client) -> None:
        """403 from a proxy in front."""
        answer = self.submit(http, "fox [fault:edge_page]")

        assert (answer.status_code, answer.headers["content-type"]) == (403, "text/html; charset=utf-8")
        assert "error code: 1010" in answer.text

    def test_a_page_under_200_is_no_purchase(self, sandbox: Sandbox, http: httpx.Client) -> None:
        """HTML where JSON was expected."""
        answer = self.submit(http, "fox [fault:html_under_200]")

        assert (answer.status_code, answer.text[:6]) == (200, "<html>")
        assert sandbox.purchases() == []

    def test_refused_for_lack_of_credits(self, http: httpx.Client) -> None:
        """In this provider's manner: NOK under 200."""
        answer = self.submit(http, "fox [fault:refused]")

        assert (answer.status_code, answer.json()["message"]) == (200, "insufficient credits")

    @pytest.mark.parametrize(("fault", "bought"), [("drop_before", 0), ("accept_then_drop", 1)])
    def test_a_closed_connection_looks_the_same_before_and_after(
        self, sandbox: Sandbox, http: httpx.Client, fault: str, bought: int
    ) -> None:
        """Only the ledger tells whether the job was accepted."""
        with pytest.raises(httpx.RemoteProtocolError):
            self.submit(http, f"fox [fault:{fault}]")

        assert len(sandbox.purchases()) == bought

    def test_accepted_and_answered_504(self, sandbox: Sandbox, http: httpx.Client) -> None:
        """A gateway's page, and a purchase."""
        assert self.submit(http, "fox [fault:accept_then_504]").status_code == 504
        assert len(sandbox.purchases()) == 1

    def test_accepted_and_never_answered(self, sandbox: Sandbox, http: httpx.Client) -> None:
        """The client gives up; the purchase stands."""
        with pytest.raises(httpx.ReadTimeout):
            http.post(GENERATE, json={**IMAGE, "prompt": "[fault:accept_then_hang]"}, headers=PHOTOGPT, timeout=0.3)

        assert len(sandbox.purchases()) == 1

    @pytest.mark.parametrize("fault", ["accept_then_garbage", "half_json"])
    def test_accepted_and_unreadable(self, sandbox: Sandbox, http: httpx.Client, fault: str) -> None:
        """200 with a body that is no JSON, and a purchase."""
        answer = self.submit(http, f"fox [fault:{fault} operation=submit]")

        assert answer.status_code == 200
        with pytest.raises(ValueError):  # noqa: PT011 - the kind differs: bad UTF-8, bad JSON
            answer.json()
        assert len(sandbox.purchases()) == 1

    def test_a_slow_body_arrives_whole(self, http: httpx.Client) -> None:
        """At so many bytes per second."""
        started = time.monotonic()

        answer = self.submit(http, "fox [fault:slow_body:400]")

        assert answer.json()["status"] == "OK"
        assert time.monotonic() - started > 0.1

    def test_a_slow_answer_is_the_true_one(self, http: httpx.Client) -> None:
        """After the pause it goes on as usual."""
        started = time.monotonic()

        assert self.submit(http, "fox [fault:slow:0.3 operation=submit]").status_code == 200
        assert time.monotonic() - started >= 0.3

    def test_a_misspelt_order_is_refused(self, sandbox: Sandbox, http: httpx.Client) -> None:
        """In a prompt as in a rule, with the reason."""
        answer = self.submit(http, "fox [fault:explode]")
        rule = http.post("/_sandbox/faults", json=[{"fault": "explode"}])
        text = http.post("/_sandbox/faults", content=b"fault")

        assert (answer.status_code, "explode" in answer.json()["message"]) == (400, True)
        assert (rule.status_code, "explode" in rule.json()["error"], text.status_code) == (400, True, 400)
        assert sandbox.purchases() == []


class TestPolls(SandboxTests):
    """The answer to a poll of a job."""

    def buy(self, http: httpx.Client, prompt: str) -> str:
        answer = http.post(GENERATE, json={**IMAGE, "prompt": prompt}, headers=PHOTOGPT)
        return str(answer.json()["result"]["jobId"])

    def ask(self, http: httpx.Client, job_id: str) -> httpx.Response:
        return http.get(f"/photogpt/api/jobs/{job_id}", headers=PHOTOGPT)

    def done(self, http: httpx.Client, job_id: str) -> Any:
        return until(lambda: self.ask(http, job_id), lambda body: body["result"]["status"].lower() == "success")

    def test_replication_lag(self, http: httpx.Client) -> None:
        """Not found for the first polls, then there."""
        job_id = self.buy(http, "fox [fault:not_found_first:2]")

        assert [self.ask(http, job_id).status_code for _ in range(3)] == [404, 404, 200]

    def test_an_unknown_status_for_one_poll(self, http: httpx.Client) -> None:
        """A word nobody documented, then the job goes on."""
        job_id = self.buy(http, "fox [fault:unknown_status times=1]")

        assert self.ask(http, job_id).json()["result"]["status"].lower() == "reticulating"
        assert self.done(http, job_id)["result"]["images"]

    def test_success_without_results_once(self, http: httpx.Client) -> None:
        """The first success is empty, the second is not."""
        job_id = self.buy(http, "fox [fault:empty_once]")

        assert not self.done(http, job_id)["result"].get("images")
        assert len(self.done(http, job_id)["result"]["images"]) == 1

    def test_success_without_results(self, http: httpx.Client) -> None:
        """Always empty."""
        job_id = self.buy(http, "fox [fault:empty_result]")

        assert not self.done(http, job_id)["result"].get("images")
        assert not self.done(http, job_id)["result"].get("images")

    def test_a_rule_for_polls_leaves_submits_alone(self, sandbox: Sandbox, http: httpx.Client) -> None:
        """Two polls are spoilt, and the rule shows how often it fired."""
        sandbox.order([{"fault": "503", "operation": "poll", "times": 2, "match": "fox"}])
        fox, hare = self.buy(http, "a fox"), self.buy(http, "a hare")

        assert [self.ask(http, job_id).status_code for job_id in (hare, fox, fox, fox)] == [200, 503, 503, 200]
        assert [(rule["fault"], rule["fired"]) for rule in sandbox.faults()] == [("status", 2)]

        sandbox.clear_faults()
        assert sandbox.faults() == []

    def test_a_rule_can_fail_a_job_at_its_poll(self, sandbox: Sandbox, http: httpx.Client) -> None:
        """A job that is already running can still be doomed."""
        job_id = self.buy(http, "a fox")
        sandbox.order([{"fault": "fail", "operation": "poll", "message": "out of memory"}])

        body = until(lambda: self.ask(http, job_id), lambda found: found["result"]["status"].lower() == "failed")

        assert body["result"]["error"] == "out of memory"

    def test_every_provider_knows_the_faults(self, sandbox: Sandbox, http: httpx.Client) -> None:
        """One rule for all four: their lists and polls fail alike."""
        sandbox.order([{"fault": "500"}])
        paths = (
            "/cyberphotobooth/api/public/styles",
            "/cyberphotobooth/api/async/status/x",
            "/nextry/generation/tools",
            "/nextry/user/generation-history/x",
            "/photogpt/api/models",
            "/photogpt/api/jobs/x",
        )

        codes = [http.get(path, headers=PHOTOGPT).status_code for path in paths]
        fetch = http.post("/dreambooth/api/v4/dreambooth/fetch", json={"key": "a-key", "request_id": 1})

        assert [*codes, fetch.status_code] == [500] * 7
        assert fetch.json()["status"] == "error"

    def test_half_a_list(self, sandbox: Sandbox, http: httpx.Client) -> None:
        """Lists can be cut too."""
        sandbox.order([{"fault": "half_json", "operation": "catalog"}])

        with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
            http.get("/nextry/generation/tools", headers=BEARER).json()
