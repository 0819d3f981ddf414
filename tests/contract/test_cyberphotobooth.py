"""CyberPhotoBooth keeps the contract, and decides every ambiguity of its page on the safe side."""

from __future__ import annotations

from base64 import b64encode
from typing import ClassVar

import pytest

from bide.errors import InvalidRequestError
from bide.providers.base import Answer, Submission, Ticket, Upload
from tests.contract.adapter_stage import KEY
from tests.contract.provider_contract import ProviderContract

PICTURE = Upload("Face", b"\x89PNG face", "image/png")


class TestCyberPhotoBooth(ProviderContract):
    """Base64 in, base64 out."""

    name = "cyberphotobooth"
    ambiguities = 15
    submissions: ClassVar = {
        "generate": Submission(
            "job",
            "generate",
            {"mode": "style_sdxl_zero", "style": "SteamPunk", "return_s3_link": False, "params": {"Sex": "man"}},
            {"Face": PICTURE, "Fon": Upload("Fon", b"background", "image/jpeg")},
        )
    }

    def body(self, **params: object) -> dict[str, object]:
        call = self.adapter.submit_call(Submission("job", "generate", params, {"Face": PICTURE}), self.account)
        assert isinstance(call.json, dict)
        return call.json

    def test_sends_the_page_s_own_request(self) -> None:
        """Pictures stand inside the body's own `params`, as base64 without a prefix."""
        call = self.adapter.submit_call(self.submissions["generate"], self.account)
        assert (call.method, call.url) == ("POST", "https://provider.example:8443/api/async/submit")
        assert call.headers == {"Authorization": f"Bearer {KEY}"}
        assert call.json == {
            "mode": "style_sdxl_zero",
            "style": "SteamPunk",
            "return_s3_link": False,
            "params": {
                "Sex": "man",
                "Face": b64encode(PICTURE.content).decode(),
                "Fon": b64encode(b"background").decode(),
            },
        }

    def test_leaves_the_request_s_params_alone(self) -> None:
        """Building a call changes nothing that was handed in."""
        given = {"mode": "m", "style": 1, "params": {"Sex": "man"}}
        self.adapter.submit_call(Submission("job", "generate", given, {"Face": PICTURE}), self.account)
        assert given == {"mode": "m", "style": 1, "params": {"Sex": "man"}}

    @pytest.mark.parametrize(
        "missing", [{"style": 1}, {"mode": "m"}, {"mode": "m", "style": ""}, {"mode": "", "style": 1}]
    )
    def test_requires_a_mode_and_a_style(self, missing: dict[str, object]) -> None:
        """What the page shows as required is required before anything is bought."""
        with pytest.raises(InvalidRequestError, match=r"style|mode"):
            self.adapter.check("generate", missing, set())

    def test_catalog_needs_no_key(self) -> None:
        """The styles are public."""
        call = self.adapter.catalog_call("styles", {}, self.account)
        assert call.url == "https://provider.example:8443/api/public/styles"
        assert call.headers == {}

    def test_ambiguity_01_status_is_asked_with_the_key(self) -> None:
        """The page's text wants the header, its sample lacks it: it is always sent."""
        call = self.adapter.poll_call(self.ticket("generate"), self.account)
        assert call.headers == {"Authorization": f"Bearer {KEY}"}

    def test_ambiguity_02_not_found_under_200_or_404(self) -> None:
        """The body's status counts; a bare 404 means the same as `not_found`."""
        assert self.polled("generate", Answer(200, {}, b'{"status": "not_found"}'))["is"] == "Unknown"
        assert self.polled("generate", Answer(404, {}, b""))["is"] == "Unknown"
        assert self.polled("generate", Answer(404, {}, b'{"status": "queued"}'))["is"] == "Running"

    def test_ambiguity_03_not_found_has_a_grace(self) -> None:
        """Right after a submit, `not_found` may be replication lag."""
        assert self.adapter.unknown_grace_seconds >= 5

    def test_ambiguity_04_style_passes_unchanged(self) -> None:
        """A style is a name or an id, a string or a number, and stays what it is."""
        for style in ("SteamPunk", 1029, "1029", "Киберпанк"):
            self.adapter.check("generate", {"mode": "m", "style": style}, set())
            assert self.body(mode="m", style=style)["style"] == style

    def test_ambiguity_05_the_id_of_a_style_is_in_the_catalog(self) -> None:
        """Names may change; the catalog shows the id, and an own style goes by its id alone."""
        self.adapter.check("generate", {"mode": "m", "user_style_id": 7}, set())
        entries = self.adapter.catalog_outcome(
            "styles", Answer(200, {}, b'[{"name": "GTA", "style_id": 1079}]'), self.account
        )
        assert entries[0]["style_id"] == 1079

    def test_ambiguity_06_links_in_either_place(self) -> None:
        """Links may stand in `results.images` or in `s3_urls.output`; the first that has any counts."""
        both = b'{"status": "completed", "results": {"images": ["https://a.example/1"]}, "s3_urls": {"output": ["https://b.example/2"]}}'
        assert self.polled("generate", Answer(200, {}, both))["outputs"] == [
            {"role": "image", "url": "https://a.example/1"}
        ]

    def test_ambiguity_07_videos_are_base64_or_addresses(self) -> None:
        """The form of a video is not documented: both are read."""
        body = b'{"status": "completed", "results": {"videos": ["https://a.example/1.mp4", "dmlkZW8="]}}'
        assert self.polled("generate", Answer(200, {}, body))["outputs"] == [
            {"role": "video", "url": "https://a.example/1.mp4"},
            {"role": "video", "content_base64": "dmlkZW8="},
        ]

    @pytest.mark.parametrize("results", ["{}", "null", '{"images": [], "videos": []}', '{"images": ["", null]}'])
    def test_ambiguity_08_completed_with_nothing_has_no_outputs(self, results: str) -> None:
        """Success without a file is reported as such; what follows is not the adapter's business."""
        body = f'{{"status": "completed", "results": {results}}}'.encode()
        assert self.polled("generate", Answer(200, {}, body)) == {"is": "Succeeded", "outputs": []}

    def test_ambiguity_09_base64_goes_out_without_a_prefix(self) -> None:
        """A picture that stands in params with its data-URI prefix is refused before anything is bought."""
        prefixed = {"mode": "m", "style": 1, "params": {"Face": "data:image/png;base64,iVBORw0KGgo="}}
        with pytest.raises(InvalidRequestError, match="Face must be base64 without"):
            self.adapter.check("generate", prefixed, set())
        self.adapter.check("generate", {"mode": "m", "style": 1, "params": {"Prompt": "data: a fox, red"}}, set())

    @pytest.mark.parametrize(
        ("error", "reason"), [("null", "the provider gave no reason"), ('{"a": ["b", "c"]}', "a: b; c")]
    )
    def test_ambiguity_10_error_of_any_kind(self, error: str, reason: str) -> None:
        """The reason may be absent, a string or an object."""
        assert (
            self.polled("generate", Answer(200, {}, f'{{"status": "failed", "error": {error}}}'.encode()))["reason"]
            == reason
        )

    @pytest.mark.parametrize(
        ("estimate", "read"), [("30", 30.0), ('"30"', 30.0), ("-1", None), ("1e999", None), ("[]", None)]
    )
    def test_ambiguity_11_the_estimate_is_a_hint(self, estimate: str, read: float | None) -> None:
        """An estimate that makes no sense is none."""
        body = f'{{"job_id": "j", "estimated_wait_time_seconds": {estimate}}}'.encode()
        assert self.submitted("generate", Answer(200, {}, body))["estimate_seconds"] == read

    def test_ambiguity_12_a_finished_answer_may_be_large(self) -> None:
        """A finished job's status holds all its pictures and videos."""
        assert self.adapter.poll_call(self.ticket("generate"), self.account).max_answer_bytes == 256 * 1024 * 1024

    def test_ambiguity_13_a_lost_answer_is_not_a_refusal(self) -> None:
        """There is no idempotency key: what may have been accepted is not repeated."""
        assert all(operation.buys for operation in self.adapter.operations.values())
        assert self.submitted("generate", Answer(502, {}, b""))["raises"] == "SubmissionUnknownError"

    def test_ambiguity_14_the_id_is_encoded_in_the_path(self) -> None:
        """An id is one segment of the path, whatever it holds."""
        call = self.adapter.poll_call(Ticket("generate", "a/b c"), self.account)
        assert call.url.endswith("/async/status/a%2Fb%20c")

    def test_ambiguity_15_an_unknown_status_is_running_and_shown(self) -> None:
        """A word that no page knows does not end a job."""
        came = self.polled("generate", Answer(200, {}, b'{"status": "Warming Up"}'))
        assert (came["is"], came["status"]) == ("Running", "warming up")
