"""The sandbox's PhotoGPT over real HTTP."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from sandbox.running import Sandbox
from tests.contract.sandbox_http import BEARER, IMAGE, PHOTOGPT, SandboxTests, picture, until


class TestPhotoGPT(SandboxTests):
    """Images, upscaling, videos, jobs, models and downloads."""

    root = "/photogpt/api"

    def post(self, http: httpx.Client, path: str, **body: Any) -> Any:
        return http.post(self.root + path, json=body, headers=PHOTOGPT).json()

    def get(self, http: httpx.Client, path: str) -> Any:
        return http.get(self.root + path, headers=PHOTOGPT).json()

    def done(self, http: httpx.Client, job_id: str) -> Any:
        running = {"created", "queued", "running"}
        return until(
            lambda: http.get(f"{self.root}/jobs/{job_id}", headers=PHOTOGPT),
            lambda body: body["result"]["status"].lower() not in running,
        )["result"]

    def test_images_and_an_upscale_of_one(self, http: httpx.Client) -> None:
        """A job with two images; one of them again, twice as large, as PNG."""
        accepted = self.post(http, "/images/generation", **IMAGE, numImages=2, aspectRatio="2:1")
        job = self.done(http, accepted["result"]["jobId"])
        assert job["status"].lower() == "success"
        assert [picture(http.get(image["url"]).content)[1] for image in job["images"]] == [(512, 256)] * 2

        larger = self.post(http, "/images/upscaling", imageID=job["images"][1]["id"])["result"]
        assert larger["status"] == "queued"

        (image,) = self.done(http, larger["jobId"])["images"]
        assert picture(http.get(image["url"]).content) == ("PNG", (1024, 512))

    def test_statuses_come_in_mixed_case(self, http: httpx.Client) -> None:
        """Jobs differ in how they write the same word."""
        ids = [
            self.post(http, "/images/generation", modelID="m1", prompt=f"fox {n} [fault:never_finishes]")["result"][
                "jobId"
            ]
            for n in range(12)
        ]

        words = {self.get(http, f"/jobs/{job_id}")["result"]["status"] for job_id in ids}

        assert len({word.lower() for word in words}) < len(words)

    def test_a_film(self, http: httpx.Client) -> None:
        """An MP4 at the address in the job."""
        job = self.done(http, self.post(http, "/videos/generation", **IMAGE)["result"]["jobId"])

        answer = http.get(job["videos"][0]["url"])

        assert (answer.headers["content-type"], answer.content[4:8]) == ("video/mp4", b"ftyp")

    def test_a_playlist_and_the_download_behind_it(self, http: httpx.Client) -> None:
        """A playlist is no film: a download must be created, and is there after a while."""
        accepted = self.post(http, "/videos/generation", **IMAGE, options={"delivery": "hls"})
        (film,) = self.done(http, accepted["result"]["jobId"])["videos"]
        assert http.get(film["url"]).text.startswith("#EXTM3U")
        assert self.get(http, f"/videos/{film['id']}/download")["status"] == "NOK"

        assert self.get(http, f"/videos/{film['id']}/create-download")["status"] == "OK"
        ready = until(
            lambda: http.get(f"{self.root}/videos/{film['id']}/download", headers=PHOTOGPT),
            lambda body: body["result"]["status"] == "ready",
        )["result"]

        assert ready["percentComplete"] == 100
        assert http.get(ready["url"]).content[4:8] == b"ftyp"

    def test_a_long_film_is_streamed(self, http: httpx.Client) -> None:
        """A film of any size to order."""
        job = self.done(
            http, self.post(http, "/videos/generation", modelID="m1", prompt="[video:3000000]")["result"]["jobId"]
        )

        answer = http.get(job["videos"][0]["url"])

        assert (len(answer.content), answer.headers["content-length"]) == (3_000_000, "3000000")
        assert answer.content[4:8] == b"ftyp"

    def test_training_is_bought_by_a_get_and_seen_at_the_model(self, sandbox: Sandbox, http: httpx.Client) -> None:
        """A text instead of a job; the model becomes ready; asked twice it is bought twice."""
        assert self.get(http, "/models/fresh")["result"]["status"] == "created"
        assert isinstance(self.get(http, "/models/fresh/train")["result"], str)
        assert self.get(http, "/models/fresh")["result"]["status"] == "training"

        until(
            lambda: http.get(f"{self.root}/models/fresh", headers=PHOTOGPT),
            lambda body: body["result"]["status"] == "ready",
        )

        self.get(http, "/models/fresh/train")
        bought = sandbox.purchases("photogpt")
        assert [(entry["operation"], entry["reference"]) for entry in bought] == [("models.train", "fresh")] * 2

    def test_models_can_be_listed_and_created(self, http: httpx.Client) -> None:
        """Trained ones stand in the list; a new one is untrained."""
        models = self.get(http, "/models")["result"]["models"]
        created = self.post(http, "/models", name="mine")["result"]

        assert {"id": "m1", "status": "ready"}.items() <= models[0].items()
        assert self.get(http, f"/models/{created['id']}")["result"]["status"] == "created"

    def test_jobs_are_listed_newest_first_in_pages(self, http: httpx.Client) -> None:
        """The last 24 hours, 100 on a page; 7 days at most."""
        ids = [
            self.post(http, "/images/generation", modelID="m1", prompt=f"fox {n}")["result"]["jobId"]
            for n in range(101)
        ]

        first = self.get(http, "/jobs")["result"]
        second = self.get(http, f"/jobs?pageToken={first['nextPageToken']}")["result"]

        assert [job["jobId"] for job in first["jobs"] + second["jobs"]] == ids[::-1]
        assert second["nextPageToken"] is None
        assert self.get(http, "/jobs?start=2020-01-01T00:00:00Z")["status"] == "NOK"
        assert self.get(http, "/jobs?start=2020-01-01T00:00:00Z&end=2020-01-02T00:00:00Z")["result"]["jobs"] == []

    @pytest.mark.parametrize(
        ("path", "body", "status"),
        [
            ("/images/generation", {"modelID": "m1"}, 400),
            ("/images/generation", {**IMAGE, "numImages": 9}, 400),
            ("/images/generation", {**IMAGE, "modelID": "no-such-model"}, 404),
            ("/images/upscaling", {}, 400),
            ("/videos/generation", {"prompt": "fox"}, 400),
        ],
    )
    def test_refusals_are_nok(
        self, sandbox: Sandbox, http: httpx.Client, path: str, body: dict[str, Any], status: int
    ) -> None:
        """The envelope says NOK and holds no result."""
        answer = http.post(self.root + path, json=body, headers=PHOTOGPT)

        assert answer.status_code == status
        assert {"status": "NOK", "result": None}.items() <= answer.json().items()
        assert sandbox.purchases() == []

    def test_failed_and_unknown_jobs(self, http: httpx.Client) -> None:
        """A failed job says why; an unknown one is a NOK under 404."""
        accepted = self.post(http, "/images/generation", modelID="m1", prompt="fox [fault:fail:unsafe_prompt]")
        job = self.done(http, accepted["result"]["jobId"])
        unknown = http.get(f"{self.root}/jobs/nobody", headers=PHOTOGPT)

        assert (job["status"].lower(), job["error"]) == ("failed", "unsafe_prompt")
        assert (unknown.status_code, unknown.json()["status"]) == (404, "NOK")

    def test_the_version_header_is_demanded(self, http: httpx.Client) -> None:
        """Every request must say which version it means."""
        assert http.get(f"{self.root}/ping", headers=BEARER).status_code == 400
        assert http.get(f"{self.root}/ping", headers=PHOTOGPT).json() == {"message": "pong!", "status": "OK"}
