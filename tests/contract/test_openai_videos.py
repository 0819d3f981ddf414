"""The `/v1/videos` form keeps the contract, in the dialects of gateways."""

from __future__ import annotations

import json
from typing import ClassVar

import pytest

from bide.errors import InvalidRequestError
from bide.params.openai_videos import Create
from bide.providers.base import Account, Answer, Cancels, MediaKind, Submission, Ticket, Upload
from tests.contract.adapter_stage import KEY
from tests.contract.provider_contract import ProviderContract

GATEWAY = Account("https://gateway.example/v1", KEY)


class TestOpenAIVideos(ProviderContract):
    """Multipart in; the file is behind the key."""

    name = "openai_videos"
    submissions: ClassVar = {"create": Submission("job", "create", {"prompt": "a red fox", "model": "sora-2"})}

    def test_the_base_url_is_never_guessed(self) -> None:
        """OpenAI's own service has ended: which gateway it is stands in the settings, with its version."""
        assert self.adapter.default_base_url is None
        call = self.adapter.submit_call(self.submissions["create"], GATEWAY)
        assert (call.method, call.url) == ("POST", "https://gateway.example/v1/videos")

    def test_every_param_is_a_text_field(self) -> None:
        """As the official client sends it: numbers become texts, nulls stay away, a picture is a file."""
        params = {"prompt": "a fox", "seconds": 8, "size": None, "metadata": {"a": "é", "b": {"c": True}}}
        upload = Upload("input_reference", b"png", "image/png")
        submission = Submission("job", "create", params, {"input_reference": upload})
        call = self.adapter.submit_call(submission, GATEWAY)
        assert call.json is None
        assert call.form == {
            "prompt": "a fox",
            "seconds": "8",
            "metadata[a]": "é",
            "metadata[b][c]": "true",
            "input_reference": ("input_reference.png", b"png", "image/png"),
        }

    def test_takes_one_picture_by_its_name(self) -> None:
        """Another name is refused before anything is bought."""
        self.adapter.check("create", {"prompt": "a fox"}, {"input_reference"})
        with pytest.raises(InvalidRequestError, match="takes input_reference"):
            self.adapter.check("create", {"prompt": "a fox"}, {"first_frame"})

    def test_the_key_goes_to_downloads_from_its_own_origin(self) -> None:
        """The video is at `/videos/{id}/content`, which wants it."""
        assert dict(self.adapter.media_headers(GATEWAY)) == {"Authorization": f"Bearer {KEY}"}

    def test_delete_is_no_cancel(self) -> None:
        """It deletes finished videos with their files, and these are paid for."""
        assert not isinstance(self.adapter, Cancels)

    def test_a_lane_for_each_model(self) -> None:
        """Durations and prices of one say nothing of another."""
        assert self.adapter.lane("create", {"prompt": "a fox", "model": "sora-2-pro"}) == "sora-2-pro"
        assert self.adapter.lane("create", {"prompt": "a fox"}) == ""
        assert self.adapter.operations["create"].kinds == {MediaKind.VIDEO}

    @pytest.mark.parametrize("word", ["processing", "pending", "running", "submitted", "IN_PROGRESS"])
    def test_words_of_gateways_for_work(self, word: str) -> None:
        """What is neither an end nor known is work."""
        body = json.dumps({"id": "v", "status": word}).encode()
        assert self.polled("create", Answer(200, {}, body))["is"] == "Running"

    @pytest.mark.parametrize("value", ["soon", "-5", "0", "nan", "inf", "9" * 400])
    def test_an_odd_interval_is_none(self, value: str) -> None:
        """`openai-poll-after-ms` is a number of milliseconds, or it says nothing."""
        body = json.dumps({"id": "v", "status": "queued"}).encode()
        assert self.polled("create", Answer(200, {"openai-poll-after-ms": value}, body))["after_seconds"] is None

    def test_typed_params(self) -> None:
        """An editor completes them."""
        assert Create(prompt="a fox", seconds="8").model_dump(exclude_none=True) == {"prompt": "a fox", "seconds": "8"}

    def test_an_id_stays_in_its_place_in_the_file_s_address_too(self) -> None:
        """It is one segment of the path."""
        body = json.dumps({"status": "completed"}).encode()
        outcome = self.adapter.poll_outcome(Answer(200, {}, body), Ticket("create", "a/../b?c"), GATEWAY)
        assert "https://gateway.example/v1/videos/a%2F..%2Fb%3Fc/content" in repr(outcome)
