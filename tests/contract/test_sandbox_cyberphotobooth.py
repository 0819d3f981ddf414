"""The sandbox's CyberPhotoBooth over real HTTP."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import pytest

from sandbox.running import Sandbox
from tests.contract.sandbox_http import BEARER, LATENCY_SECONDS, PICTURE, SandboxTests, picture, until

BOOTH: dict[str, Any] = {
    "mode": "style_sdxl_zero",
    "style": "SteamPunk",
    "params": {"Sex": "man", "Face": PICTURE, "Fon": PICTURE},
}


class TestCyberPhotoBooth(SandboxTests):
    """POST /async/submit, GET /async/status/{id}, GET /public/styles."""

    def submit(self, http: httpx.Client, **changes: Any) -> httpx.Response:
        return http.post("/cyberphotobooth/api/async/submit", json={**BOOTH, **changes}, headers=BEARER)

    def done(self, http: httpx.Client, job_id: str) -> Any:
        path = f"/cyberphotobooth/api/async/status/{job_id}"
        return until(
            lambda: http.get(path, headers=BEARER), lambda body: body["status"] not in ("queued", "processing")
        )

    def test_a_job_ends_with_pictures_as_base64(self, http: httpx.Client) -> None:
        """Submit, poll, and the picture is inside the answer, without a prefix."""
        accepted = self.submit(http).json()
        assert accepted["status"] == "queued"
        assert 0 < accepted["estimated_wait_time_seconds"] <= LATENCY_SECONDS * 1.3

        body = self.done(http, accepted["job_id"])

        assert body["status"] == "completed"
        assert body["results"]["videos"] == []
        (image,) = body["results"]["images"]
        assert picture(base64.b64decode(image, validate=True)) == ("JPEG", (512, 512))

    def test_links_instead_of_base64(self, http: httpx.Client) -> None:
        """With return_s3_link the results are addresses that hold the files."""
        accepted = self.submit(
            http, return_s3_link=True, params={**BOOTH["params"], "Note": "[images:2] [video]"}
        ).json()

        body = self.done(http, accepted["job_id"])

        images, videos = body["results"]["images"], body["results"]["videos"]
        assert (len(images), len(videos)) == (2, 1)
        assert body["s3_urls"]["output"] == images + videos
        assert picture(http.get(images[1]).content)[0] == "JPEG"
        assert http.get(videos[0]).content[4:8] == b"ftyp"

    def test_a_failed_job_says_why(self, http: httpx.Client) -> None:
        """The reason stands in `error`."""
        accepted = self.submit(http, params={"Face": PICTURE, "Note": "[fault:fail:no_face_found]"}).json()

        assert self.done(http, accepted["job_id"])["error"] == "no_face_found"

    def test_unknown_and_expired_jobs_are_not_found(self, http: httpx.Client) -> None:
        """`not_found` comes under 404 for an id nobody knows and under 200 for a job that is gone."""
        unknown = http.get("/cyberphotobooth/api/async/status/nobody", headers=BEARER)
        accepted = self.submit(http, params={"Face": PICTURE, "Note": "[fault:expired]"}).json()

        assert (unknown.status_code, unknown.json()["status"]) == (404, "not_found")
        assert self.done(http, accepted["job_id"])["status"] == "not_found"

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"mode": None}, ["body", "mode"]),
            ({"style": None}, ["body", "style"]),
            ({"style": 1.5}, ["body", "style"]),
            ({"return_s3_link": "yes"}, ["body", "return_s3_link"]),
            ({"params": None}, ["body", "params"]),
            ({"params": {}}, ["body", "params", "Face"]),
            ({"params": {"Face": f"data:image/png;base64,{PICTURE}"}}, ["body", "params", "Face"]),
            ({"params": {"Face": "not base64!"}}, ["body", "params", "Face"]),
            ({"params": {"Face": PICTURE, "Fon": "?"}}, ["body", "params", "Fon"]),
            ({"params": {"Face": PICTURE, "Sex": "fox"}}, ["body", "params", "Sex"]),
            ({"mode": "edit2_text"}, ["body", "params", "Prompt"]),
        ],
    )
    def test_a_bad_request_buys_nothing(
        self, sandbox: Sandbox, http: httpx.Client, changes: dict[str, Any], field: list[str]
    ) -> None:
        """FastAPI's 422 names the field."""
        refused = self.submit(http, **changes)

        assert refused.status_code == 422
        assert [problem["loc"] for problem in refused.json()["detail"]] == [field]
        assert sandbox.purchases() == []

    def test_styles_are_public_and_a_style_id_is_a_style(self, http: httpx.Client) -> None:
        """The list needs no key; its ids can be submitted."""
        styles = http.get("/cyberphotobooth/api/public/styles").json()

        assert {"name": "Стимпанк", "style_id": 1029}.items() <= styles[3].items()
        assert self.submit(http, style=styles[0]["style_id"]).status_code == 200
        assert self.submit(http, style="no-such-style").status_code == 400
