"""Dreambooth v4 keeps the contract, and decides every ambiguity of its pages on the safe side."""

from __future__ import annotations

import json
from typing import ClassVar

import pytest

from bide.errors import InvalidRequestError, PollFailedError
from bide.providers.base import Account, Answer, Failed, Refused, Submission, Ticket, Upload
from bide.webhooks.incoming import Hooks
from tests.contract.adapter_stage import KEY
from tests.contract.provider_contract import ProviderContract

MASK = Upload("mask_image", url="https://ours.example/mask.png?signed")
HOOKS = Hooks("https://hooks.example", "a secret of the test", "dreambooth", "default")
PHOTO = Upload("init_image", url="https://ours.example/photo.png?signed")
TEXT = {"model_id": "midjourney", "prompt": "a red fox", "width": "512", "height": 512, "samples": "1", "webhook": None}


def answer(code: int = 200, /, **body: object) -> Answer:
    """A JSON answer."""
    return Answer(code, {"content-type": "application/json"}, json.dumps(body).encode())


class TestDreambooth(ProviderContract):
    """The key in the body, everything under HTTP 200."""

    name = "dreambooth"
    ambiguities = 13
    hooked: ClassVar = Account(ProviderContract.account.base_url, KEY, HOOKS)
    submissions: ClassVar = {
        "text2img": Submission("job", "text2img", TEXT),
        "img2img": Submission("job", "img2img", TEXT, {"init_image": PHOTO, "mask_image": MASK}),
    }

    def test_sends_the_page_s_own_requests(self) -> None:
        """The key and the addresses of the pictures stand in the body."""
        text = self.adapter.submit_call(self.submissions["text2img"], self.account)
        assert (text.method, text.url) == ("POST", "https://provider.example:8443/api/dreambooth")
        assert text.json == {**TEXT, "key": KEY}
        image = self.adapter.submit_call(self.submissions["img2img"], self.account)
        assert image.url == "https://provider.example:8443/api/dreambooth/img2img"
        assert image.json == {**TEXT, "init_image": PHOTO.url, "mask_image": MASK.url, "key": KEY}

    def test_requires_a_picture_in_one_of_two_places(self) -> None:
        """img2img takes `init_image` as an address in params or as an input."""
        self.adapter.check("img2img", {**TEXT, "init_image": "https://a.example/a.png"}, set())
        self.adapter.check("img2img", TEXT, {"init_image"})
        with pytest.raises(InvalidRequestError, match=r"params\.init_image: is required"):
            self.adapter.check("img2img", TEXT, {"mask_image"})
        with pytest.raises(InvalidRequestError, match="takes no pictures"):
            self.adapter.check("text2img", TEXT, {"init_image"})

    @pytest.mark.parametrize("missing", ["model_id", "prompt"])
    def test_requires_a_model_and_a_prompt(self, missing: str) -> None:
        """What the page shows as required is required before anything is bought."""
        with pytest.raises(InvalidRequestError, match=rf"params\.{missing}: is required"):
            self.adapter.check("text2img", {name: value for name, value in TEXT.items() if name != missing}, set())

    @pytest.mark.parametrize(
        "wrong", [{"width": 1025}, {"height": "2048"}, {"samples": 5}, {"samples": 0}, {"width": 1.5}]
    )
    def test_holds_the_documented_limits(self, wrong: dict[str, object]) -> None:
        """Sides up to 1024 and four samples, as numbers or as strings."""
        with pytest.raises(InvalidRequestError, match=rf"params\.{min(wrong)}: must be a whole number"):
            self.adapter.check("text2img", {**TEXT, **wrong}, set())

    def test_refuses_a_key_in_params(self) -> None:
        """A key in a request would be stored with it."""
        with pytest.raises(InvalidRequestError, match=r"params\.key: belongs to the account") as raised:
            self.adapter.check("text2img", {**TEXT, "key": "sk-secret"}, set())
        assert "sk-secret" not in str(raised.value)

    def test_ambiguity_01_the_whole_family_of_answers(self) -> None:
        """The page shows success alone; each word of the family has its end."""
        ends = {
            word: self.polled("text2img", answer(status=word))["is"]
            for word in ("processing", "success", "failed", "error")
        }
        assert ends == {"processing": "Running", "success": "Succeeded", "failed": "Failed", "error": "Failed"}

    def test_ambiguity_02_the_id_of_the_submit_is_kept_as_text(self) -> None:
        """Ids are numbers, strings or blank; a blank one in a poll's answer changes nothing."""
        assert self.submitted("text2img", answer(status="processing", id=13443927))["provider_job_id"] == "13443927"
        assert self.submitted("text2img", answer(status="processing", id=" a-1 "))["provider_job_id"] == "a-1"
        blanks: tuple[object, ...] = ("", None, True, 1.5, [], ".")
        for blank in blanks:
            came = self.submitted("text2img", answer(status="processing", id=blank))
            assert came.get("raises") == "SubmissionUnknownError", blank
        assert self.polled("text2img", answer(status="processing", id=""))["is"] == "Running"

    def test_ambiguity_03_only_the_configured_address_is_asked(self) -> None:
        """The body carries the key: an address named in an answer is not followed."""
        came = self.submitted("text2img", answer(status="processing", id=5, fetch_result="https://evil.example/5"))
        call = self.adapter.poll_call(Ticket("text2img", came["provider_job_id"]), self.account)
        assert call.url == "https://provider.example:8443/api/dreambooth/fetch"
        assert call.json == {"key": KEY, "request_id": "5"}

    def test_ambiguity_04_a_submit_may_be_finished(self) -> None:
        """A finished submit needs no poll, and its outputs are not lost for want of an id."""
        done = self.submitted("text2img", answer(status="success", id="", output=["https://a.example/0.png"]))
        assert (done["is"], done["provider_job_id"]) == ("Finished", "")
        inline = self.submitted("text2img", answer(status="success", id="", output=["iVBORw0KGgo="]))
        assert (inline["is"], inline["provider_job_id"]) == ("Finished", "")
        assert inline["outputs"] == [{"role": "image", "content_base64": "iVBORw0KGgo="}]

    @pytest.mark.parametrize(
        "output",
        [
            ["https://a.example/0"],
            "https://a.example/0",
            {"0": "https://a.example/0"},
            [None, "https://a.example/0", ""],
        ],
    )
    def test_ambiguity_05_output_in_every_shape(self, output: object) -> None:
        """A list, a string, an object or blanks: what is there is taken."""
        assert self.polled("text2img", answer(status="success", output=output))["outputs"] == [
            {"role": "image", "url": "https://a.example/0"}
        ]

    @pytest.mark.parametrize("field", ["message", "messege", "error", "tip", "tips"])
    def test_ambiguity_06_the_reason_in_every_field(self, field: str) -> None:
        """Old and new answers name the reason differently."""
        assert (
            self.polled("text2img", answer(status="failed", **{field: ["no", {"why": "NSFW"}]}))["reason"]
            == "no; why: NSFW"
        )

    def test_ambiguity_07_an_error_to_a_poll_is_sorted_by_its_words(self) -> None:
        """About the asking, the account, the id or the job."""
        outcomes = {
            text: self.polled("text2img", answer(status="error", message=text))
            for text in (
                "Rate limit exceeded",
                "Server overloaded",
                "Invalid API key",
                "Request does not exist",
                "Bad prompt",
            )
        }
        ends = [came.get("raises") or came["is"] for came in outcomes.values()]
        assert ends == ["PollFailedError", "PollFailedError", "AccountRefusedError", "Unknown", "Failed"]

    def test_ambiguity_08_failed_is_the_end_of_this_job(self) -> None:
        """Trying again, as the message says, would be a new purchase: the caller decides."""
        assert self.polled("text2img", answer(status="failed", message="Failed, Try Again"))["is"] == "Failed"
        refused = self.submitted("text2img", answer(status="failed", message="Failed, Try Again"))
        assert (refused["is"], refused["code"], refused["again"]) == ("Refused", "generation_failed", False)

    @pytest.mark.parametrize(
        ("eta", "read"),
        [(146.5, 146.5), ("20.56", 20.56), (-1, None), (None, None), ("soon", None), (True, None), (10**400, None)],
    )
    def test_ambiguity_09_eta_of_any_kind(self, eta: object, read: float | None) -> None:
        """Small, huge, missing, a string or negative: a hint or none."""
        assert self.submitted("text2img", answer(status="processing", id=1, eta=eta))["estimate_seconds"] == read

    @pytest.mark.parametrize(
        ("eta", "queue_time", "read"), [(None, 12.5, 12.5), (30, 12.5, 30), ("", "7", 7), (None, -1, None)]
    )
    def test_the_time_in_its_queue_is_an_estimate(self, eta: object, queue_time: object, read: float | None) -> None:
        """Where the answer to a submit has no other; a later poll's word of it is progress."""
        submit_answer = answer(status="processing", id=1, eta=eta, queue_time=queue_time)
        assert self.submitted("text2img", submit_answer)["estimate_seconds"] == read
        progress = self.polled("text2img", answer(status="processing", queue_time=queue_time))["progress"]
        assert (progress or {}).get("left_seconds") == (None if queue_time == -1 else float(str(queue_time)))

    def test_ambiguity_10_future_links_never_finish_a_job(self) -> None:
        """After success they are second addresses, where they pair up, and the only ones where there is no output."""
        planned = ["https://f.example/0"]
        assert self.submitted("text2img", answer(status="processing", id=1, future_links=planned))["is"] == "Submitted"
        assert self.polled("text2img", answer(status="processing", output=[], future_links=planned))["is"] == "Running"
        outputs = ["https://a.example/0", "https://a.example/1"]
        unpaired = self.polled("text2img", answer(status="success", output=outputs, future_links=planned))
        assert unpaired["outputs"] == [{"role": "image", "url": url} for url in outputs]

    @pytest.mark.parametrize("output", [[], "", None, {}, [""], [None, " "], [{"url": ""}]])
    @pytest.mark.parametrize("submit", [True, False])
    def test_success_with_links_alone(self, output: object, submit: bool) -> None:
        """The links are the outputs then: a copy's address first, the place where it was to appear second."""
        links = {"proxy_links": ["https://c.example/0", "https://c.example/1"]}
        links["future_links"] = ["https://f.example/0", "https://c.example/1"]
        read = answer(status="success", id=1, output=output, **links)
        came = self.submitted("text2img", read) if submit else self.polled("text2img", read)
        assert came["is"] == ("Finished" if submit else "Succeeded")
        assert came["outputs"] == [
            {"role": "image", "url": "https://c.example/0", "fallback_urls": ["https://f.example/0"]},
            {"role": "image", "url": "https://c.example/1"},
        ]
        for name in links:
            alone = self.polled("text2img", answer(status="success", output=output, **{name: {"0": links[name][0]}}))
            assert [made["url"] for made in alone["outputs"]] == [links[name][0]]

    @pytest.mark.parametrize(
        "words",
        [
            "Server is busy, please try again",
            "Servers are busy right now",
            "We are experiencing high demand",
            "The model is at capacity",
            "Service temporarily unavailable",
            "Please try again in a few minutes",
            "You don't have enough credits",
        ],
    )
    def test_an_error_about_the_asking_is_no_end(self, words: str) -> None:
        """The job is paid for: it is asked about again, in whatever case and spelling."""
        for spelt in (words, words.upper(), words.replace(" ", "_")):
            assert self.polled("text2img", answer(status="error", message=spelt))["raises"] == "PollFailedError"

    def test_ambiguity_11_an_unknown_id(self) -> None:
        """A 404, or an error that says so."""
        assert self.polled("text2img", answer(404, status="error", message="?"))["is"] == "Unknown"
        assert self.polled("text2img", answer(status="error", message="Id not found"))["is"] == "Unknown"

    def test_ambiguity_12_the_key_in_the_body_never_shows(self) -> None:
        """Bodies stay out of every repr."""
        assert KEY not in repr(self.adapter.poll_call(self.ticket("text2img"), self.account))

    def test_ambiguity_13_it_is_always_a_post(self) -> None:
        """A GET with a body is what one client does; the page says POST."""
        assert self.adapter.poll_call(self.ticket("img2img"), self.account).method == "POST"

    def test_asks_to_be_called_where_there_is_an_endpoint(self) -> None:
        """The job's own address and id, the same for the same job; without an endpoint the request goes as it is."""
        for operation, submission in self.submissions.items():
            sent = self.adapter.submit_call(submission, self.hooked).json
            plain = self.adapter.submit_call(submission, self.account).json
            assert sent == {**plain, "webhook": HOOKS.address("job"), "track_id": "job"}, operation
            assert sent == self.adapter.submit_call(submission, self.hooked).json
            assert HOOKS.address("job") not in repr(self.adapter.submit_call(submission, self.hooked))

    @pytest.mark.parametrize("empty", [None, ""])
    def test_leaves_a_call_that_the_request_wants_for_itself(self, empty: str | None) -> None:
        """A webhook of the caller's own stays, and so does his mark; what is empty is none."""
        own = Submission("job", "text2img", {**TEXT, "webhook": "https://theirs.example", "track_id": 7})
        marked = Submission("job", "text2img", {**TEXT, "webhook": empty, "track_id": 7})

        sent = self.adapter.submit_call(own, self.hooked).json
        assert (sent["webhook"], sent["track_id"]) == ("https://theirs.example", 7)
        sent = self.adapter.submit_call(marked, self.hooked).json
        assert (sent["webhook"], sent["track_id"]) == (HOOKS.address("job"), 7)

    def test_a_quoted_address_goes_no_further(self) -> None:
        """Refusals and failures are shown to people and kept: none holds an address that we gave out."""
        message = f"The webhook {HOOKS.address('job')} must be a valid URL."
        refused = self.adapter.submit_outcome(
            answer(status="error", message=message), self.submissions["text2img"], self.hooked
        )
        ended = answer(status="failed", message=message)
        failed = self.adapter.poll_outcome(ended, Ticket("text2img", "1"), self.hooked)

        assert isinstance(refused, Refused)
        assert refused.message == "The webhook *** must be a valid URL."
        assert failed == Failed("The webhook *** must be a valid URL.")
        limited = answer(status="error", message=f"Rate limit exceeded for {HOOKS.address('job')}")
        with pytest.raises(PollFailedError) as raised:
            self.adapter.poll_outcome(limited, Ticket("text2img", "1"), self.hooked)
        assert str(raised.value) == "Rate limit exceeded for ***"
