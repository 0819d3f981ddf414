"""fal keeps the contract: addresses of the answer, a result behind a second request, and what its errors say."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import pytest

from bide.errors import InvalidRequestError
from bide.providers.base import Account, Answer, Cancels, Submission, Ticket, Upload
from tests.contract.adapter_stage import KEY
from tests.contract.provider_contract import ProviderContract

PARAMS: dict[str, Any] = {"model": "fal-ai/flux/dev", "input": {"prompt": "a red fox", "num_images": 2}}
BASE = "https://provider.example:8443/api"
REQUEST = f"{BASE}/fal-ai/flux/requests/job-1"
HANDLE = {"status": f"{REQUEST}/status", "result": f"{REQUEST}/response", "cancel": f"{REQUEST}/cancel"}


class TestFal(ProviderContract):
    """Queue, status, result, cancel."""

    name = "fal"
    again_later = (429,)  # a 503 may come from behind the queue
    submissions: ClassVar = {
        "run": Submission("job", "run", PARAMS, {"image_url": Upload("image_url", url="https://o/1")})
    }

    def has_failed(self, ticket: Ticket) -> bool:
        return bool(ticket.cursor and json.loads(ticket.cursor))

    def call(self, model: str, **inputs: str) -> Any:
        uploads = {name: Upload(name, url=url) for name, url in inputs.items()}
        submission = Submission(
            "job", "run", {"model": model, "input": {"images": ["https://o/0"], "seed": 7}}, uploads
        )
        return self.adapter.submit_call(submission, self.account)

    def test_sends_the_bare_input_to_the_model_s_path(self) -> None:
        """The body is the input, with addresses of pictures under their names; the key has its own scheme."""
        call = self.adapter.submit_call(self.submissions["run"], self.account)
        assert (call.method, call.url) == ("POST", f"{BASE}/fal-ai/flux/dev")
        assert call.headers == {"Authorization": f"Key {KEY}"}
        assert call.json == {"prompt": "a red fox", "num_images": 2, "image_url": "https://o/1"}
        assert "image_url" not in PARAMS["input"]

    def test_numbered_pictures_make_a_list(self) -> None:
        """Models that take several pictures take a list: by number, after those that the input has already."""
        uploads = {name: Upload(name, url=f"https://o/{name}") for name in ("images.10", "images.2", "masks.0", "a")}
        submission = Submission("job", "run", {"model": "a/b", "input": {"images": ["https://o/0"]}}, uploads)
        assert self.adapter.submit_call(submission, self.account).json == {
            "images": ["https://o/0", "https://o/images.2", "https://o/images.10"],
            "masks": ["https://o/masks.0"],
            "a": "https://o/a",
        }

    def test_asks_the_addresses_of_the_answer(self) -> None:
        """None is built by hand, and the result's is another than the status's."""
        adapter, ticket = self.adapter, Ticket("run", "job-1", handle=HANDLE)
        assert isinstance(adapter, Cancels)
        cancel = adapter.cancel_call(ticket, self.account)
        status = adapter.poll_call(ticket, self.account)
        result = adapter.poll_call(Ticket("run", "job-1", handle=HANDLE, cursor="{}"), self.account)
        assert cancel is not None
        assert [(call.method, call.url) for call in (status, result, cancel)] == [
            ("GET", HANDLE["status"]),
            ("GET", HANDLE["result"]),
            ("PUT", HANDLE["cancel"]),
        ]
        assert all(call.headers == {"Authorization": f"Key {KEY}"} for call in (status, result, cancel))

    @pytest.mark.parametrize(
        ("attached", "path"),
        [
            ("fal-ai/flux/dev/requests/1-2", "fal-ai/flux/requests/1-2/status"),
            ("fal-ai/flux/requests/1-2", "fal-ai/flux/requests/1-2/status"),
            ("workflows/o/n/requests/1-2", "workflows/o/n/requests/1-2/status"),
            ("1-2", "requests/1-2/status"),
            ("../x/requests/1-2", "requests/..%2Fx%2Frequests%2F1-2/status"),
        ],
    )
    def test_an_attached_request_is_found_by_model_and_id(self, attached: str, path: str) -> None:
        """An operator's id has no addresses; they are built without the model's path, as fal's clients do."""
        assert self.adapter.poll_call(Ticket("run", attached), self.account).url == f"{BASE}/{path}"

    def test_an_id_without_its_model_says_what_is_missing(self) -> None:
        """There is no address by the id alone."""
        came = self.adapter.poll_outcome(
            Answer(404, {}, b'{"status": "NOT_FOUND"}'), Ticket("run", "1-2"), self.account
        )
        assert "MODEL/requests/ID" in str(came)

    @pytest.mark.parametrize(
        "model",
        [
            "",
            "flux",
            "/fal-ai/flux",
            "fal-ai/flux/",
            "fal-ai//flux",
            "fal-ai/../flux",
            "fal-ai/./flux",
            "../fal-ai/flux",
            "fal-ai/flux?fal_webhook=https://evil.example",
            "fal-ai/flux#x",
            "fal-ai/flux dev",
            "fal-ai/flux%2e%2e",
            "fal-ai/flux\n",
            "fal-ai\\flux",
            "fal-ai@evil.example/flux",
            "https://evil.example/a",
            "fal-ai/flux/requests/1/cancel",
            "workflows/owner",
            "\u0430/\u0431",
            "a/" + "b" * 200,
            7,
            None,
        ],
    )
    def test_refuses_a_model_that_is_no_path(self, model: Any) -> None:
        """A model's name becomes part of an address: nothing in it may lead elsewhere."""
        with pytest.raises(InvalidRequestError, match=r"params\.model"):
            self.adapter.check("run", {"model": model, "input": {}}, set())

    @pytest.mark.parametrize(
        "model", ["fal-ai/flux-pro/v1.1-ultra", "workflows/owner/my_flow", "comfy/o/n/p", "1234-owner/app.v2"]
    )
    def test_takes_the_models_there_are(self, model: str) -> None:
        """Owner and app, perhaps a namespace before and a path behind."""
        self.adapter.check("run", {"model": model, "input": {}}, {"image_url"})
        assert self.call(model).url == f"{BASE}/{model}"
        assert self.adapter.lane("run", {"model": model}) == model

    def test_refuses_what_has_no_place_and_blank_prompts(self) -> None:
        """The body is the input alone."""
        with pytest.raises(InvalidRequestError, match=r"params\.webhook"):
            self.adapter.check("run", {**PARAMS, "webhook": "https://a.example"}, set())
        with pytest.raises(InvalidRequestError, match=r"params\.input\.prompt"):
            self.adapter.check("run", {"model": "a/b", "input": {"prompt": "\u200b "}}, set())

    def test_an_address_that_is_none_is_built(self) -> None:
        """A bad address of the answer loses no paid job."""
        body = {"request_id": "r1", "status_url": "nowhere", "response_url": 7, "cancel_url": None}
        came = self.submitted("run", Answer(200, {}, json.dumps(body).encode()))
        root = f"{BASE}/fal-ai/flux/requests/r1"
        assert came["handle"] == {"status": f"{root}/status", "result": root, "cancel": f"{root}/cancel"}

    def test_the_queue_s_position_is_kept_only_where_it_is_one(self) -> None:
        """Words and truth values are no position."""
        for position in ("3", True, None, 2.5, [1]):
            body = json.dumps({"status": "IN_QUEUE", "queue_position": position}).encode()
            assert self.polled("run", Answer(202, {}, body))["progress"] is None

    def test_a_two_part_key_goes_as_it_is(self) -> None:
        """`id:secret` is a key, too."""
        call = self.adapter.poll_call(Ticket("run", "a/b/requests/1"), Account(BASE, "id:secret"))
        assert call.headers == {"Authorization": "Key id:secret"}
