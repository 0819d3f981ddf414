"""The sandbox's Dreambooth over real HTTP."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import pytest

from sandbox.running import Sandbox
from tests.contract.sandbox_http import LATENCY_SECONDS, PICTURE, SandboxTests, picture, until

DREAM: dict[str, Any] = {"key": "a-key", "model_id": "midjourney", "prompt": "a red fox", "samples": 2}


class TestDreambooth(SandboxTests):
    """POST /dreambooth, /dreambooth/img2img, /dreambooth/fetch."""

    root = "/dreambooth/api/v4/dreambooth"

    def submit(self, http: httpx.Client, path: str = "", **changes: Any) -> Any:
        return http.post(self.root + path, json={**DREAM, **changes}).json()

    def done(self, http: httpx.Client, job_id: Any) -> Any:
        body = {"key": "a-key", "request_id": job_id}
        return until(lambda: http.post(f"{self.root}/fetch", json=body), lambda found: found["status"] != "processing")

    def test_a_queued_job_is_fetched(self, http: httpx.Client) -> None:
        """An integer id and an estimate first, future links that are empty until it is done, then the addresses."""
        queued = self.submit(http, width=256, height="128")
        assert queued["status"] == "processing"
        assert isinstance(queued["id"], int)
        assert 0 < queued["eta"] <= LATENCY_SECONDS * 1.3

        body = self.done(http, queued["id"])

        assert (body["status"], body["id"]) == ("success", queued["id"])
        assert body["output"] == queued["future_links"]
        assert [picture(http.get(url).content) for url in body["output"]] == [("PNG", (256, 128))] * 2

    def test_a_running_job_has_blank_id_and_output_and_a_misspelt_message(self, http: httpx.Client) -> None:
        """As captured from the service, and the files are not there yet."""
        queued = self.submit(http, prompt="a fox [fault:never_finishes]")

        pending = http.post(f"{self.root}/fetch/{queued['id']}", json={"key": "a-key"}).json()

        assert pending == {"status": "processing", "id": "", "messege": "Request processing", "output": ""}
        assert http.get(queued["future_links"][0]).status_code == 404

    def test_one_picture_may_be_done_at_once(self, sandbox: Sandbox, http: httpx.Client) -> None:
        """The submit itself brings the result."""
        body = self.submit(http, prompt="a fox, at once", samples=1)

        assert body["status"] == "success"
        assert picture(http.get(body["output"][0]).content) == ("PNG", (512, 512))
        assert [bought["id"] for bought in sandbox.purchases("dreambooth")] == [str(body["id"])]

    def test_about_a_third_of_single_pictures_is_done_at_once(self, http: httpx.Client) -> None:
        """Which ones depends on the request, nothing else."""
        first = [self.submit(http, samples=1, prompt=f"fox {n}")["status"] for n in range(60)]
        second = [self.submit(http, samples=1, prompt=f"fox {n}")["status"] for n in range(60)]

        assert first == second
        assert 8 < first.count("success") < 34

    def test_base64_results(self, http: httpx.Client) -> None:
        """With base64 the output holds the files."""
        body = self.done(http, self.submit(http, base64="yes")["id"])

        assert picture(base64.b64decode(body["output"][1]))[0] == "PNG"

    def test_success_in_odd_places(self, http: httpx.Client) -> None:
        """Links alone, nothing at the first two looks, an undocumented word, and a picture without an id."""
        links = self.done(http, self.submit(http, prompt="fox [fault:links_alone]")["id"])
        assert (links["output"], len(links["future_links"])) == ([], 2)

        late = self.submit(http, prompt="fox [fault:empty_first:2]")["id"]
        looks = [self.done(http, late)["output"] for _ in range(3)]
        assert [len(look) for look in looks] == [0, 0, 2]

        canceled = self.submit(http, prompt="fox [fault:unknown_status:canceled]")["id"]
        assert self.done(http, canceled)["status"] == "canceled"

        nameless = self.submit(http, prompt="fox [fault:no_id]", samples=1)
        assert (nameless["status"], nameless["id"]) == ("success", "")
        assert picture(base64.b64decode(nameless["output"][0]))[0] == "PNG"

    def test_img2img_needs_a_url(self, http: httpx.Client) -> None:
        """The start picture is an address."""
        refused = self.submit(http, "/img2img", init_image=PICTURE)
        queued = self.submit(http, "/img2img", init_image="https://example.com/fox.png")

        assert refused == {"status": "error", "message": {"init_image": ["The init image must be a valid URL."]}}
        assert queued["status"] == "processing"

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"prompt": ""}, {"prompt": ["The prompt field is required."]}),
            ({"samples": 5}, {"samples": ["The samples must be a number between 1 and 4."]}),
            ({"width": 2000}, {"width": ["The width must be a number between 1 and 1024."]}),
            ({"key": "bad-key"}, "Invalid API key"),
            ({"model_id": "no-such-model"}, "Model not found"),
        ],
    )
    def test_refusals_come_under_200(
        self, sandbox: Sandbox, http: httpx.Client, changes: dict[str, Any], message: object
    ) -> None:
        """`status: error`, with a text or an object of lists."""
        answer = http.post(self.root, json={**DREAM, **changes})

        assert (answer.status_code, answer.json()["status"], answer.json()["message"]) == (200, "error", message)
        assert sandbox.purchases() == []

    def test_failed_and_unknown_jobs(self, http: httpx.Client) -> None:
        """`failed` asks to try again; an unknown id is a 404."""
        failed = self.done(http, self.submit(http, prompt="fox [fault:fail]")["id"])
        unknown = http.post(f"{self.root}/fetch", json={"key": "a-key", "request_id": 1})

        assert failed == {"status": "failed", "id": "", "message": "Failed, Try Again", "output": ""}
        assert (unknown.status_code, unknown.json()["status"]) == (404, "error")
