"""Answers of all providers that are a little out of form and say all that is needed: nothing of them is lost."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode, urlsafe_b64encode
from typing import Any

import pytest

from bide.providers import installed
from bide.providers.base import Answer
from bide.providers.states import DONE, FAILED
from tests.contract.samples import Sample
from tests.contract.test_adapter_fuzz import contract_of, samples_of
from tests.contract.usual import OPERATIONS

PROVIDERS = sorted(installed())

ADDRESS = "https://a.example/0.png"

#: The field of each one's id, and the fields of a result.
IDS = {
    "cyberphotobooth": "job_id",
    "dreambooth": "id",
    "fal": "request_id",
    "nextry": "history_item_id",
    "photogpt": "jobId",
    "replicate": "id",
    "bfl": "id",
    "comfyui": "prompt_id",
    "openai_videos": "id",
}
RESULTS: dict[str, Any] = {
    "cyberphotobooth": lambda output: {"results": {"images": [output]}},
    "dreambooth": lambda output: {"output": [output]},
    "nextry": lambda output: {"stock_url": output},
    "photogpt": lambda output: {"images": [{"id": "i", "url": output}]},
    "replicate": lambda output: {"output": [output]},
    "bfl": lambda output: {"result": {"sample": output}},
    "comfyui": lambda _: {"outputs": {"9": {"images": [{"filename": "0.png"}]}}},
    "openai_videos": lambda output: {"video_url": output},
}

#: Where a result lies whose answer names a file, and no address.
PLACES = {
    "comfyui": "https://provider.example:8443/api/view?filename=0.png&subfolder=&type=output",
    "openai_videos": "https://provider.example:8443/api/videos/job-1/content",
}

#: Those whose submit may answer with the result.
AT_ONCE = ("cyberphotobooth", "dreambooth", "nextry", "photogpt")

#: Providers whose submit never holds the result, and those whose status never does.
WITHOUT_RESULT, BEHIND_A_REQUEST = {"fal", "replicate"}, {"fal"}

#: Words at which a job goes on: those of the documents, and some that nobody documents.
AT_WORK = ("queued", "processing", "pending", "running", "created", "moderating", "canceling", "stopping", "retrying")


def body(name: str, **fields: Any) -> bytes:
    """The fields as the provider would wrap them."""
    return json.dumps({"status": "OK", "result": fields} if name == "photogpt" else fields).encode()


def submitted(name: str, **fields: Any) -> dict[str, Any]:
    """What a submit with this answer comes to."""
    return contract_of(name).submitted(OPERATIONS[name], Answer(200, {}, body(name, **fields)))


def polled(name: str, **fields: Any) -> dict[str, Any]:
    """What a poll with this answer comes to."""
    return contract_of(name).polled(OPERATIONS[name], Answer(200, {}, body(name, **fields)))


def with_field(sample: Sample, value: bytes) -> Answer | None:
    """A sample's answer with one more field, whose text is these bytes; None where it is no object."""
    if not isinstance(sample.body, dict):
        return None
    rest = sample.answer.body.lstrip().removeprefix(b"{")
    return Answer(sample.answer.status, sample.answer.headers, b'{"note": "' + value + b'", ' + rest)


@pytest.mark.parametrize("value", [b"caf\xe9", b"\xff", b"\xc3", b"\xed\xa0\x80", b"a\x80b", b"two\nlines", b"\x00"])
@pytest.mark.parametrize("name", PROVIDERS)
def test_a_spoilt_byte_spoils_its_text_alone(name: str, value: bytes) -> None:
    """In Latin-1, cut, or no letter at all: every recorded answer comes to the same as without it."""
    own = contract_of(name)
    for sample in samples_of(own):
        answer = with_field(sample, value)
        if answer is None or not sample.body:
            continue
        expected, came = own.play(sample), own.play(sample, answer)
        for outcome in (expected, came):
            outcome.pop("says", None)
        assert came == expected, sample.name


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_spoilt_id_is_no_id(name: str) -> None:
    """It could not be asked for: the submit stays open, and nothing is bought again."""
    spoilt = body(name, status="queued", **{IDS[name]: "job-XX"}).replace(b"XX", b"\xe9")
    came = contract_of(name).submitted(OPERATIONS[name], Answer(200, {}, spoilt))
    assert came["raises"] == "SubmissionUnknownError"


@pytest.mark.parametrize("name", ["dreambooth", "photogpt"])
def test_a_refusal_with_a_spoilt_name_in_it_is_open(name: str) -> None:
    """The field may have been the id of an accepted job."""
    spoilt = b'{"status": "error", "message": "no", "\xe9d": 7}'.replace(
        b"error", b"NOK" if name == "photogpt" else b"error"
    )
    came = contract_of(name).submitted(OPERATIONS[name], Answer(200, {}, spoilt))
    assert came["raises"] == "SubmissionUnknownError"


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_whole_number_with_a_point_is_an_id(name: str) -> None:
    """`123.0` is 123; what may have lost digits, or is no whole number, is none."""
    for value, read in ((123.0, "123"), (1e15, "1000000000000000"), (0.0, "0")):
        assert submitted(name, status="queued", **{IDS[name]: value})["provider_job_id"] == read
    for value in (1.5, 1e300, 2.0**60, float("nan"), float("inf")):
        assert submitted(name, status="queued", **{IDS[name]: value})["raises"] == "SubmissionUnknownError"


@pytest.mark.parametrize("word", sorted(FAILED - {"error"}))
@pytest.mark.parametrize("name", PROVIDERS)
def test_a_word_of_failure_is_the_end(name: str, word: str) -> None:
    """In any case and with any gap between its words; the reason names the word where the provider gives none."""
    for spelt in (word, word.upper(), word.title(), word.replace(" ", "_"), word.replace(" ", "-"), f" {word} "):
        came = polled(name, status=spelt)
        assert came["is"] == "Failed", spelt
        assert word == "failed" or word.split(maxsplit=1)[0] in came["reason"]
    assert "too red" in polled(name, status=word, error="too red", message="too red")["reason"]


@pytest.mark.parametrize("words", ["Server is busy, please try again", "Service temporarily unavailable"])
@pytest.mark.parametrize("name", PROVIDERS)
def test_a_busy_server_is_no_end(name: str, words: str) -> None:
    """An "error" to a poll may be about the asking; a job that "failed" has failed, whatever the reason."""
    assert polled(name, status="error", message=words, error=words)["raises"] == "PollFailedError"
    assert polled(name, status="failed", message=words, error=words)["is"] == "Failed"


@pytest.mark.parametrize("word", AT_WORK)
@pytest.mark.parametrize("name", PROVIDERS)
def test_other_words_are_those_of_a_job_at_work(name: str, word: str) -> None:
    """Until its deadline: a job that is taken for ended is lost."""
    assert polled(name, status=word)["is"] in ("Running", "FetchNow")


@pytest.mark.parametrize("word", sorted(DONE))
@pytest.mark.parametrize("name", sorted(BEHIND_A_REQUEST))
def test_a_word_of_success_leads_to_the_result(name: str, word: str) -> None:
    """Where another request has it."""
    assert polled(name, status=word.upper())["is"] == "FetchNow"


@pytest.mark.parametrize("word", sorted(DONE))
@pytest.mark.parametrize("name", sorted({*PROVIDERS} - BEHIND_A_REQUEST))
def test_a_word_of_success_counts_with_its_outputs(name: str, word: str) -> None:
    """Documented or not: the result is there."""
    came = polled(name, status=word.upper(), **RESULTS[name](ADDRESS))
    assert (came["is"], [made["url"] for made in came["outputs"]]) == ("Succeeded", [PLACES.get(name, ADDRESS)])
    assert polled(name, status=word)["is"] in ("Running", "Succeeded")


@pytest.mark.parametrize("name", sorted(WITHOUT_RESULT))
def test_a_submit_without_an_id_is_open(name: str) -> None:
    """Whatever it says of the end."""
    for word in ("success", "completed", "queued", "failed"):
        assert submitted(name, status=word, output=[ADDRESS])["raises"] == "SubmissionUnknownError"


@pytest.mark.parametrize("name", AT_ONCE)
def test_a_finished_submit_needs_no_id(name: str) -> None:
    """The result is in the answer; where it is at work without an id, nobody knows."""
    for word in ("success", "completed", "complete"):
        came = submitted(name, status=word, **RESULTS[name](ADDRESS))
        assert (came["is"], came["provider_job_id"], len(came["outputs"])) == ("Finished", "", 1)
    assert submitted(name, status="queued", **RESULTS[name](ADDRESS))["raises"] == "SubmissionUnknownError"
    assert submitted(name, status="success")["raises"] == "SubmissionUnknownError"


@pytest.mark.parametrize("name", ["cyberphotobooth", "dreambooth"])
def test_an_inline_picture_comes_in_any_base64(name: str) -> None:
    """URL-safe, without padding, in lines, as a data URI with escapes; with a submit as well, id or not."""
    content = bytes(range(256)) + b"\xfb\xff"
    plain, safe = b64encode(content).decode(), urlsafe_b64encode(content).decode()
    escaped = plain.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")
    for text in (
        plain,
        safe,
        safe.rstrip("="),
        f"data:image/png;base64,{safe}",
        f"data:;base64,{escaped}",
        f"\n{safe}\n",
    ):
        for came in (
            polled(name, status="done", **RESULTS[name](text)),
            submitted(name, status="done", **RESULTS[name](text)),
        ):
            [made] = came["outputs"]
            assert b64decode(made["content_base64"]) == content
