"""PhotoGPT keeps the contract, and decides every ambiguity of its pages on the safe side."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, ClassVar

import pytest

from bide.errors import AccountRefusedError, InvalidRequestError, UnreadableAnswerError
from bide.providers.base import MAX_CURSOR_CHARACTERS, Answer, Listed, Listing, Submission, Ticket, Upload
from tests.contract.adapter_stage import KEY
from tests.contract.provider_contract import ProviderContract

FRAME = Upload("first_frame", url="https://ours.example/frame.png?signed")
IMAGES = {
    "modelID": "gpt-image-2",
    "prompt": "a red fox",
    "numImages": 1,
    "aspectRatio": "1:1",
    "seed": 7,
    "options": {},
}
VIDEOS = {"modelID": "seedance-2.0", "prompt": "a fox runs", "numVideos": 1}
HEADERS = {"Authorization": f"Bearer {KEY}", "API-Version": "1"}


def job(status: object, **result: object) -> Answer:
    """A job, model or download in its envelope."""
    return Answer(200, {}, json.dumps({"status": "OK", "result": {"status": status, **result}}).encode())


def nok(message: str, status: int = 200) -> Answer:
    """An envelope that says no."""
    return Answer(status, {}, json.dumps({"status": "NOK", "message": message, "result": None}).encode())


class TestPhotoGPT(ProviderContract):
    """Envelopes, jobs, playlists, and a GET that buys."""

    name = "photogpt"
    ambiguities = 11
    submissions: ClassVar = {
        "images.generation": Submission("job", "images.generation", IMAGES, {"a": FRAME}),
        "images.upscaling": Submission("job", "images.upscaling", {"imageID": "img_1"}),
        "videos.generation": Submission("job", "videos.generation", VIDEOS, {"first_frame": FRAME}),
        "models.train": Submission("job", "models.train", {"modelID": "m1"}),
    }

    @pytest.mark.parametrize(
        ("bought", "method", "path"),
        [
            ("images.generation", "POST", "images/generation"),
            ("images.upscaling", "POST", "images/upscaling"),
            ("videos.generation", "POST", "videos/generation"),
            ("models.train", "GET", "models/m1/train"),
        ],
    )
    def test_sends_each_operation_to_its_path(self, bought: str, method: str, path: str) -> None:
        """Every request says which version of the API it speaks."""
        call = self.adapter.submit_call(self.submissions[bought], self.account)
        assert (call.method, call.url) == (method, f"https://provider.example:8443/api/{path}")
        assert call.headers == HEADERS

    def test_hands_pictures_over_as_addresses(self) -> None:
        """Images take a list of addresses; videos take records with a role, which is the input's name."""
        image = self.adapter.submit_call(self.submissions["images.generation"], self.account)
        assert image.json == {**IMAGES, "referenceImageURLs": [FRAME.url]}
        given: dict[str, Any] = {**VIDEOS, "referenceImages": [{"url": "https://a.example/a", "role": "last_frame"}]}
        inputs = {"first_frame": FRAME, "reference_image_2": FRAME}
        video = self.adapter.submit_call(Submission("job", "videos.generation", given, inputs), self.account)
        assert video.json["referenceImages"] == [
            {"url": "https://a.example/a", "role": "last_frame"},
            {"url": FRAME.url, "role": "first_frame"},
            {"url": FRAME.url, "role": "reference_image"},
        ]
        assert len(given["referenceImages"]) == 1

    @pytest.mark.parametrize(
        ("bought", "params", "field"),
        [
            ("images.generation", {"prompt": "x"}, "modelID"),
            ("images.generation", {"modelID": "m"}, "prompt"),
            ("images.generation", {"modelID": "m", "prompt": "x", "numImages": "2"}, "numImages"),
            ("images.generation", {"modelID": "m", "prompt": "x", "numImages": True}, "numImages"),
            ("images.upscaling", {}, "imageID"),
            ("videos.generation", {"modelID": "m"}, "prompt"),
            ("models.train", {}, "modelID"),
            ("models.train", {"modelID": ".."}, "modelID"),
            ("models.train", {"modelID": "m", "steps": 1}, "steps"),
        ],
    )
    def test_requires_what_the_page_requires(self, bought: str, params: dict[str, object], field: str) -> None:
        """Mended before anything is bought; the training trigger has no place for more than an id."""
        with pytest.raises(InvalidRequestError, match=field):
            self.adapter.check(bought, params, set())

    def test_a_trained_model_may_do_without_a_prompt(self) -> None:
        """The page asks trained models for a prompt, a preset or an input image."""
        self.adapter.check("images.generation", {"modelID": "m", "preset": "editorial"}, set())
        self.adapter.check("images.generation", {"modelID": "m", "inputImageId": "i"}, set())

    def test_ambiguity_01_nok_counts_besides_the_code(self) -> None:
        """NOK under HTTP 200 is a refusal, as under any other code."""
        for status in (200, 400):
            assert self.submitted("images.upscaling", nok("no such image", status))["is"] == "Refused"

    def test_ambiguity_02_no_result_is_a_failed_poll(self) -> None:
        """The answer does not name the job: it is polled again."""
        assert self.polled("images.generation", Answer(200, {}, b'{"status": "OK"}'))["raises"] == "PollFailedError"

    def test_ambiguity_03_casing_and_unknown_words(self) -> None:
        """The page's samples take any unknown word for the end; here it is not."""
        ends = [
            self.polled("images.generation", job(word))["is"] for word in ("RUNNING", "Success", "FAILED", "moderating")
        ]
        assert ends == ["Running", "Succeeded", "Failed", "Running"]

    @pytest.mark.parametrize("field", ["error", "errorMessage"])
    def test_ambiguity_04_the_reason_in_either_field(self, field: str) -> None:
        """A string or an object, under two names."""
        assert self.polled("images.generation", job("failed", **{field: {"code": 3}}))["reason"] == "code: 3"

    def test_ambiguity_05_empty_and_partial_success(self) -> None:
        """No output is reported as none; less than asked for is a success."""
        assert self.polled("images.generation", job("success", images=[]))["outputs"] == []
        partial = self.polled(
            "images.generation", job("success", images=[{"id": "i", "url": "https://a.example/1"}, {}])
        )
        assert len(partial["outputs"]) == 1

    def test_ambiguity_06_absent_lists_are_empty(self) -> None:
        """`images` may be missing where there are only videos."""
        came = self.polled("videos.generation", job("success", videos=[{"id": "v", "url": "https://a.example/v.mp4"}]))
        assert came["outputs"] == [{"role": "video", "url": "https://a.example/v.mp4"}]

    def test_ambiguity_07_spellings_are_the_call_s_own(self) -> None:
        """`modelID` is asked for; the `modelId` of an answer is no substitute, nor the other way round."""
        with pytest.raises(InvalidRequestError, match=r"params\.modelID"):
            self.adapter.check("videos.generation", {"modelId": "m", "prompt": "x"}, set())

    def test_ambiguity_08_failed_with_outputs_is_failed(self) -> None:
        """What was made all the same is named, so that a person can fetch it."""
        came = self.polled(
            "images.generation", job("failed", error="e", images=[{"id": "img_1", "url": "https://a.example/1"}])
        )
        assert (came["is"], came["reason"]) == ("Failed", "e (made before it failed: img_1)")

    def test_ambiguity_09_training_is_asked_about_by_its_model(self) -> None:
        """No job id is given: the model is polled, every five minutes, for two hours at most, and has no file."""
        submitted = self.submitted("models.train", Answer(200, {}, b'{"status": "OK", "result": "Training triggered"}'))
        call = self.adapter.poll_call(Ticket("models.train", submitted["provider_job_id"]), self.account)
        assert (call.method, call.url) == ("GET", "https://provider.example:8443/api/models/m1")
        plan = self.adapter.plan_for("models.train")
        assert (plan.first_seconds, plan.factor, plan.cap_seconds) == (300, 1, 300)
        assert self.adapter.deadline_for("models.train") == 7200
        assert not self.adapter.operations["models.train"].has_outputs

    def test_ambiguity_10_a_playlist_becomes_a_file_first(self) -> None:
        """Two playlists, one after the other: asked for, waited for, fetched; then both are the result."""
        answers = [
            job("success", videos=[{"id": f"v{n}", "url": f"https://a.example/v{n}.M3U8?t=1"} for n in (1, 2)]),
            Answer(200, {}, b'{"status": "OK", "result": "started"}'),
            job("preparing", percentComplete=10, url=None),
            job("ready", percentComplete=100, url="https://a.example/1.mp4"),
            Answer(409, {}, b'{"status": "NOK"}'),
            job("ready", percentComplete=100, url="https://a.example/2.mp4"),
        ]
        ticket, paths, came = Ticket("videos.generation", "j"), [], {}
        for answer in answers:
            paths.append(self.adapter.poll_call(ticket, self.account).url.partition("/api/")[2])
            came = self.polled("videos.generation", answer, cursor=ticket.cursor)
            ticket = Ticket("videos.generation", "j", cursor=came.get("cursor", ""))
        assert paths == [
            "jobs/j",
            "videos/v1/create-download",
            "videos/v1/download",
            "videos/v1/download",
            "videos/v2/create-download",
            "videos/v2/download",
        ]
        assert [output["url"] for output in came["outputs"]] == ["https://a.example/1.mp4", "https://a.example/2.mp4"]

    def test_a_cursor_stays_short(self) -> None:
        """What is remembered between polls lives in the ledger, so it is bounded."""
        long = [{"id": "i", "url": "https://a.example/" + "x" * MAX_CURSOR_CHARACTERS}]
        came = self.polled(
            "videos.generation", job("success", images=long, videos=[{"id": "v", "url": "https://a.example/v.m3u8"}])
        )
        assert "too long to remember" in came["says"]

    def test_ambiguity_11_a_lost_answer_is_an_unknown_submit(self) -> None:
        """A list of recent jobs helps a person, it is no match; the same holds for the GET that buys."""
        for operation in self.submissions:
            assert self.submitted(operation, Answer(500, {}, b""))["raises"] == "SubmissionUnknownError"
        assert all(operation.buys for operation in self.adapter.operations.values())

    def test_lists_recent_jobs_by_time(self) -> None:
        """A page of them between two moments, with what helps a person to recognise one; a NOK is no list."""
        since = datetime(2026, 3, 1, 10, 0, 0, 900_000, tzinfo=timezone(timedelta(hours=3)))
        call = self.adapter.list_call(since, since + timedelta(hours=1), self.account, page="next")
        assert (call.method, call.url, call.headers) == ("GET", "https://provider.example:8443/api/jobs", HEADERS)
        assert call.query == {"start": "2026-03-01T07:00:00Z", "end": "2026-03-01T08:00:00Z", "pageToken": "next"}
        listed = {
            "jobId": "j1",
            "status": "Running",
            "credits": 2,
            "errorMessage": None,
            "createdAt": "2026-03-01T07:30:00Z",
        }
        body = {"status": "OK", "result": {"jobs": [listed, {"status": "no id"}, 7], "nextPageToken": "2"}}
        listing = self.adapter.list_outcome(Answer(200, {}, json.dumps(body).encode()), self.account)
        created = datetime(2026, 3, 1, 7, 30, tzinfo=UTC)
        assert listing == Listing((Listed("j1", "running", created, "", 2.0),), "2")
        known = body["result"]["jobs"][0] | {"modelId": "m1", "params": {"prompt": "a  red fox"}}  # type: ignore[index]  # JSON
        more = Answer(200, {}, json.dumps({"status": "OK", "result": {"jobs": [known]}}).encode())
        [job] = self.adapter.list_outcome(more, self.account).jobs
        assert (job.prompt, job.params) == ("a red fox", {"modelID": "m1"})
        with pytest.raises(UnreadableAnswerError, match="no such range"):
            self.adapter.list_outcome(nok("no such range"), self.account)
        with pytest.raises(AccountRefusedError):
            self.adapter.list_outcome(nok(f"bad key {KEY}", 401), self.account)

    def test_a_refusal_with_a_job_in_it_is_no_refusal(self) -> None:
        """NOK, and yet there is a job: it is asked about, and nothing is bought again; without its id nobody knows."""
        body = {"status": "NOK", "message": "too many requests", "result": {"jobId": "j1"}}
        came = self.submitted("images.generation", Answer(200, {}, json.dumps(body).encode()))
        assert (came["is"], came["provider_job_id"]) == ("Submitted", "j1")
        body["result"] = {"status": "queued"}
        came = self.submitted("images.generation", Answer(200, {}, json.dumps(body).encode()))
        assert came.get("raises") == "SubmissionUnknownError"
