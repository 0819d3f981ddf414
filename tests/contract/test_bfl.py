"""Black Forest Labs keeps the contract."""

from __future__ import annotations

import base64
from typing import ClassVar

import pytest

from bide.errors import ForeignAddressError, InvalidRequestError
from bide.providers.base import Account, Answer, Cancels, Submission, Ticket, Upload
from tests.contract.adapter_stage import KEY
from tests.contract.provider_contract import ProviderContract
from workers.io.destination import confined

OWN = Account("https://api.bfl.ai", KEY)
FOX = {"prompt": "a red fox"}


class TestBFL(ProviderContract):
    """One path for each model, and an address to poll."""

    name = "bfl"
    submissions: ClassVar = {
        **{
            model: Submission("job", model, FOX)
            for model in (
                *("flux-2-max", "flux-2-pro", "flux-2-flex", "flux-2-klein-4b", "flux-2-klein-9b", "flux-kontext-pro"),
                *("flux-kontext-max", "flux-pro-1.1", "flux-pro-1.1-ultra", "flux-dev"),
            )
        },
        "flux-pro-1.0-fill": Submission("job", "flux-pro-1.0-fill", {"image": "https://a.example/a.png", **FOX}),
        "flux-3-video": Submission("job", "flux-3-video", {"mode": "t2v", "duration": 5, **FOX}),
        "generate": Submission("job", "generate", {"model": "flux-9-new", "whatever": 1, **FOX}),
    }

    def test_the_operation_is_the_model_s_path(self, operation: str) -> None:
        """And `generate` takes it from `model`, which is no field of the API then."""
        call = self.adapter.submit_call(self.submissions[operation], OWN)
        path = "flux-9-new" if operation == "generate" else operation
        assert (call.method, call.url) == ("POST", f"https://api.bfl.ai/v1/{path}")
        assert call.headers == {"x-key": KEY}
        assert "model" not in call.json

    @pytest.mark.parametrize("model", ["", "../v2/x", "a/b", "A", ".hidden", "x" * 200])
    def test_a_model_is_one_segment(self, model: str) -> None:
        """It becomes part of a path."""
        with pytest.raises(InvalidRequestError, match=r"params\.model"):
            self.adapter.check("generate", {"model": model, **FOX}, set())

    def test_pictures_go_in_as_base64(self) -> None:
        """Under the names that the API has."""
        upload = Upload("input_image", b"bytes", "image/png")
        call = self.adapter.submit_call(Submission("j", "flux-2-pro", FOX, {"input_image": upload}), OWN)
        assert call.json == {**FOX, "input_image": base64.b64encode(b"bytes").decode()}
        self.adapter.check("flux-2-pro", FOX, {"input_image", "input_image_8"})
        with pytest.raises(InvalidRequestError, match=r"input_image_5"):
            self.adapter.check("flux-kontext-pro", FOX, {"input_image_5"})

    def test_what_a_model_needs_may_come_either_way(self) -> None:
        """A picture as a param or in `inputs`; a prompt or a picture."""
        for operation, params, inputs in (
            ("flux-pro-1.0-fill", FOX, {"image"}),
            ("flux-pro-1.1", {}, {"image_prompt"}),
            ("flux-dev", {"image_prompt": "AAAA"}, set[str]()),
        ):
            self.adapter.check(operation, params, inputs)
        for operation, params in (
            ("flux-pro-1.0-fill", FOX),
            ("flux-pro-1.1-ultra", {}),
            ("flux-3-video", {"mode": "t2v"}),
        ):
            with pytest.raises(InvalidRequestError, match="is required"):
                self.adapter.check(operation, params, set())

    def test_polls_where_the_answer_says(self) -> None:
        """The region is in it; without it the id is asked for at the base URL."""
        address = "https://api.eu4.bfl.ai/v1/get_result?id=t"
        call = self.adapter.poll_call(Ticket("flux-2-pro", "t", handle={"polling_url": address}), OWN)
        assert (confined(call, self.adapter, OWN).url, call.headers) == (address, {"x-key": KEY})
        by_id = self.adapter.poll_call(Ticket("flux-2-pro", "t"), OWN)
        assert (by_id.url, by_id.query) == ("https://api.bfl.ai/v1/get_result", {"id": "t"})

    @pytest.mark.parametrize(
        "host", ["evil.example", "bfl.ai.evil.example", "evilbfl.ai", "u:p@api.bfl.ai", "api.bfl.ai:444"]
    )
    def test_the_key_goes_nowhere_else(self, host: str) -> None:
        """An address from an answer is called at the provider's own hosts alone."""
        ticket = Ticket("flux-2-pro", "t", handle={"polling_url": f"https://{host}/v1/get_result?id=t"})
        with pytest.raises(ForeignAddressError):
            confined(self.adapter.poll_call(ticket, OWN), self.adapter, OWN)

    def test_a_poll_may_be_sent_on(self) -> None:
        """To the region that has the job, at once, and within its own hosts; what leads nowhere is trouble."""
        address = "https://api.eu4.bfl.ai/v1/get_result?id=t"
        for status in (301, 302, 307, 308):
            came = self.polled("flux-2-pro", Answer(status, {"location": address}, b""))
            assert (came["is"], came["cursor"]) == ("FetchNow", address)
            for nowhere in ("/v1/get_result", "", "ftp://api.bfl.ai/", "https://" + "a" * 20_000):
                trouble = self.polled("flux-2-pro", Answer(status, {"location": nowhere}, b""))
                assert trouble["raises"] == "PollFailedError"
        assert self.adapter.poll_call(Ticket("flux-2-pro", "t", cursor=address), OWN).url == address
        elsewhere = self.adapter.poll_call(Ticket("flux-2-pro", "t", cursor="https://evil.example/"), OWN)
        with pytest.raises(ForeignAddressError):
            confined(elsewhere, self.adapter, OWN)

    def test_a_lane_for_each_model(self) -> None:
        """The operation is the model already, but for `generate`."""
        assert self.adapter.lane("generate", {"model": "flux-9-new"}) == "flux-9-new"
        assert self.adapter.lane("flux-2-pro", FOX) == ""

    def test_there_is_no_cancel(self) -> None:
        """None is documented."""
        assert not isinstance(self.adapter, Cancels)

    def test_a_sample_is_fetched_within_its_ten_minutes(self) -> None:
        """A later poll gives the same dead address, so the result is given up then; an id has a minute to be known."""
        assert self.adapter.results_live_seconds == 600
        assert self.adapter.unknown_grace_seconds >= 30
