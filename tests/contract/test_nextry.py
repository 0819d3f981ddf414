"""Nextry keeps the contract, and decides every ambiguity of its pages on the safe side."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import ClassVar

import pytest

from bide.errors import InvalidRequestError
from bide.providers.base import Account, Answer, Listed, Listing, Submission, Ticket, Upload
from tests.contract.adapter_stage import KEY
from tests.contract.provider_contract import ProviderContract


def complete(**places: object) -> Answer:
    """A finished history item with these places."""
    return Answer(200, {}, json.dumps({"status": "complete", **places}).encode())


class TestNextry(ProviderContract):
    """Multipart in, relative paths out."""

    name = "nextry"
    ambiguities = 15
    account = Account("https://nextry.example:8443/v1/", KEY)
    submissions: ClassVar = {
        "generate_image": Submission(
            "job",
            "generate_image",
            {"tool": "fashion_swap"},
            {"clothes": Upload("clothes", b"c", "image/png"), "person": Upload("person", b"p", "image/jpeg")},
        )
    }

    def form(self, **params: object) -> dict[str, object]:
        call = self.adapter.submit_call(Submission("job", "generate_image", params), self.account)
        assert call.form is not None
        return dict(call.form)

    def test_sends_the_page_s_own_request(self) -> None:
        """A multipart form: text fields, and files with a name and a content type."""
        call = self.adapter.submit_call(self.submissions["generate_image"], self.account)
        assert call.method == "POST"
        assert call.headers == {"Authorization": f"Bearer {KEY}"}
        assert call.form == {
            "tool": "fashion_swap",
            "clothes": ("clothes.png", b"c", "image/png"),
            "person": ("person.jpg", b"p", "image/jpeg"),
        }

    def test_writes_every_param_as_a_text_field(self) -> None:
        """Numbers, switches and lists go as JSON, nulls stay away."""
        form = self.form(tool="t", count=2, sharp=True, sizes=["S", "é"], none=None)
        assert form == {"tool": "t", "count": "2", "sharp": "true", "sizes": '["S", "é"]'}

    def test_requires_a_tool(self) -> None:
        """What the page shows as required is required before anything is bought."""
        for params in ({}, {"tool": ""}, {"tool": None}):
            with pytest.raises(InvalidRequestError, match=r"params\.tool"):
                self.adapter.check("generate_image", params, set())

    def test_catalogs(self) -> None:
        """Tools stand alone; generation types belong to a tool."""
        tools = self.adapter.catalog_call("tools", {}, self.account)
        types = self.adapter.catalog_call("generation_types", {"tool": "fabric"}, self.account)
        assert tools.url == "https://nextry.example:8443/v1/generation/tools"
        assert (types.url, types.query) == (
            "https://nextry.example:8443/v1/generation/generationTypes",
            {"tool": "fabric"},
        )
        with pytest.raises(InvalidRequestError, match="tool: is required"):
            self.adapter.catalog_call("generation_types", {}, self.account)

    def test_ambiguity_01_the_base_url_is_never_guessed(self) -> None:
        """The page shows localhost only: there is no default."""
        assert self.adapter.default_base_url is None

    def test_ambiguity_02_the_slash_at_the_end_stays(self) -> None:
        """Without it the service redirects, and a multipart body is lost on the way."""
        for base in ("https://nextry.example/v1", "https://nextry.example/v1/"):
            call = self.adapter.submit_call(self.submissions["generate_image"], Account(base, KEY))
            assert call.url == "https://nextry.example/v1/generation/generate_image_v2/"

    def test_ambiguity_03_places_named_by_the_submit_are_no_results(self) -> None:
        """A submit is never finished at once."""
        body = b'{"history_item_id": "h", "stock_image": "image/s.png", "status": "complete", "stock_url": "/s.png"}'
        assert self.submitted("generate_image", Answer(200, {}, body))["is"] == "Submitted"

    def test_ambiguity_04_paths_stand_on_the_origin(self) -> None:
        """Not on the path prefix of the API; with or without the first slash."""
        for path in ("/image/s.png", "image/s.png", " image/s.png "):
            came = self.polled("generate_image", complete(stock_url=path))
            assert came["outputs"] == [{"role": "image", "url": "https://nextry.example:8443/image/s.png"}]
        strays: tuple[object, ...] = (
            "../s.png",
            "/a/%2E%2E/s.png",
            "ftp://x/s.png",
            "//x/s.png",
            "data:image/png;base64,AA==",
            7,
            {},
        )
        for bad in strays:
            assert self.polled("generate_image", complete(stock_url=bad))["raises"] == "PollFailedError", bad

    def test_ambiguity_05_output_url_is_a_third_source(self) -> None:
        """The notes speak of it, no answer shows it: it stands in for a missing stock."""
        came = self.polled("generate_image", complete(output_url="/o.png"))
        assert came["outputs"] == [{"role": "image", "url": "https://nextry.example:8443/o.png"}]
        both = self.polled("generate_image", complete(output_url="/o.png", stock_url="/s.png"))
        assert [output["url"] for output in both["outputs"]] == ["https://nextry.example:8443/s.png"]

    def test_ambiguity_06_stock_is_the_result_and_comes_first(self) -> None:
        """Both are returned; the small one is named for what it is."""
        came = self.polled("generate_image", complete(preview_url="/p.webp", stock_url="/s.png"))
        assert [output["role"] for output in came["outputs"]] == ["image", "preview"]

    def test_ambiguity_07_media_carry_no_key(self) -> None:
        """Results are addresses alone; the key is not in them."""
        assert KEY not in json.dumps(self.polled("generate_image", complete(stock_url="/s.png")))

    def test_ambiguity_08_ids_are_opaque(self) -> None:
        """Short strings, 24 hex digits, UUIDs, even numbers."""
        for history_id, text in (
            ("gfd41688fhgf", "gfd41688fhgf"),
            ("65f0c0ffee65f0c0ffee65f0", "65f0c0ffee65f0c0ffee65f0"),
            (12, "12"),
        ):
            body = json.dumps({"history_item_id": history_id}).encode()
            assert self.submitted("generate_image", Answer(200, {}, body))["provider_job_id"] == text

    def test_ambiguity_09_complete_with_nothing_has_no_outputs(self) -> None:
        """Success without a file is reported as such."""
        assert self.polled("generate_image", complete(stock_url=None, preview_url="")) == {
            "is": "Succeeded",
            "outputs": [],
        }

    @pytest.mark.parametrize("field", ["error", "error_message", "message", "detail"])
    def test_ambiguity_10_the_reason_in_every_field(self, field: str) -> None:
        """The field is not documented; the id helps when the provider is asked about it."""
        body = json.dumps({"status": "error", field: "no face"}).encode()
        assert self.polled("generate_image", Answer(200, {}, body))["reason"] == "no face (history item job-1)"

    def test_ambiguity_11_not_found_has_a_grace(self) -> None:
        """Right after a submit, 404 may be replication lag."""
        assert self.polled("generate_image", Answer(404, {}, b""))["is"] == "Unknown"
        assert self.adapter.unknown_grace_seconds >= 5

    def test_ambiguity_12_files_pass_by_any_name(self) -> None:
        """Which pictures a tool needs is not documented."""
        self.adapter.check("generate_image", {"tool": "t"}, {"whatever", "else"})
        upload = Upload("whatever", b"?", "application/x-new")
        call = self.adapter.submit_call(
            Submission("job", "generate_image", {"tool": "t"}, {"whatever": upload}), self.account
        )
        assert call.form is not None
        assert call.form["whatever"] == ("whatever.bin", b"?", "application/x-new")

    def test_ambiguity_13_generation_type_passes_as_given(self) -> None:
        """A tool's name here, a UUID there: nothing is translated."""
        assert self.form(tool="t", generation_type="0b6f-uuid")["generation_type"] == "0b6f-uuid"

    def test_ambiguity_14_there_is_no_cancel(self) -> None:
        """Deleting a pending item may only forget it: it is not offered as a cancel."""
        assert not hasattr(self.adapter, "cancel_call")

    def test_ambiguity_15_a_lost_answer_is_an_unknown_submit(self) -> None:
        """No key is offered, and a list of recent items is a weak match."""
        assert self.submitted("generate_image", Answer(504, {}, b""))["raises"] == "SubmissionUnknownError"

    def test_encodes_the_id_in_the_path(self) -> None:
        """An id is one segment of the path."""
        call = self.adapter.poll_call(Ticket("generate_image", "a/b"), self.account)
        assert call.url == "https://nextry.example:8443/v1/user/generation-history/a%2Fb"

    def test_lists_the_history_page_by_page(self) -> None:
        """The latest first; the tool stands as `generation_type`; the last page names no next one."""
        now = datetime(2026, 3, 1, tzinfo=UTC)
        call = self.adapter.list_call(now, now, self.account, page="2")
        assert call.url == "https://nextry.example:8443/v1/user/generation-history"
        assert call.query == {"page": "2", "limit": "100"}
        item = {"id": "h1", "generation_type": "fabric", "status": "pending", "created_at": "2026-03-01T00:00:00"}
        for pages, following in ((3, "3"), (2, "")):
            body = {"page": 2, "pages": pages, "items": [item, {"id": ""}]}
            listing = self.adapter.list_outcome(Answer(200, {}, json.dumps(body).encode()), self.account)
            assert listing == Listing((Listed("h1", "pending", now, "fabric", params={"tool": "fabric"}),), following)
