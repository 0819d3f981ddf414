"""Why a job failed and whether it was charged, from the provider's answer to its caller; and what moderation means."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bide.bulk.replay import _is_wanted
from bide.contract import Failure
from bide.ledger.timeline import money
from bide.providers import find
from bide.providers.base import Account, Answer, Failed, Refused, Submission, Ticket
from bide.providers.moderation import PHRASES, is_moderated
from tests.unit.atelier import ACCEPTED, BASE, STATUS, Atelier, atelier

__all__ = ["atelier"]


def failed(world: Atelier, **answer: Any) -> Failure:
    """The failure of a job that was bought, and that the provider reports as failed."""
    world.reply("POST", f"{BASE}/works", ACCEPTED)
    world.submit()
    world.reply("GET", STATUS, {"state": "failed", **answer})
    world.poll()
    return world.record().failure


@pytest.mark.parametrize(
    ("cause", "code", "retryable"),
    [
        ("moderated", "moderated", False),
        ("bad_input", "generation_failed", False),
        ("capacity", "generation_failed", True),
        ("provider", "generation_failed", True),
        ("expired", "generation_failed", True),
    ],
)
def test_a_cause_comes_to_the_caller(atelier: Atelier, cause: str, code: str, retryable: bool) -> None:
    """With the charge, which is unknown where only the cause is known."""
    failure = failed(atelier, why="no", cause=cause)
    assert (failure.code, failure.cause, failure.charged, failure.retryable) == (code, cause, "unknown", retryable)


@pytest.mark.parametrize(
    ("charged", "words"),
    [
        ("yes", "bought, as 7; the provider says that it charged for it"),
        ("no", "bought, as 7; the provider says that it did not charge for it"),
        ("unknown", "bought, as 7"),
        (None, "bought, as 7"),
    ],
)
def test_a_charge_is_told_to_people(atelier: Atelier, charged: str | None, words: str) -> None:
    """`bide explain` shows these words."""
    assert failed(atelier, why="no", charged=charged).charged == charged
    assert money(atelier.record()) == words


def test_what_is_not_known_is_not_written(atelier: Atelier) -> None:
    """An earlier release refuses fields that it does not know."""
    failed(atelier, why="no GPU left")
    assert set(json.loads(atelier.record().text("error"))) == {
        *("code", "message", "job_id", "provider", "provider_job_id", "retryable")
    }
    old = '{"code":"rejected","message":"no","job_id":"a"}'
    assert Failure.model_validate_json(old).cause is None


MODERATIONS = (
    *(words for phrase in PHRASES for words, _ in phrase.seen for words in words.split(", ") if words != "flagged"),
    "Your prompt was flagged as unsafe",
    "The input image has been flagged by our filter",
    "prompt rejected by moderation",
    "request blocked due to safety",
    "PROHIBITED_CONTENT",
    "violates our usage policies",
    "the provider calls the job nsfw, and gave no reason",
)

OTHERS = (
    "no GPU left in this region",
    "moderation service is busy, try again later",
    "model out of memory",
    "unknown policy",
    "the prompt is too long",
    "image could not be read",
    "safety margin of the canvas is too small",
)


@pytest.mark.parametrize("words", MODERATIONS)
def test_words_of_moderation_are_known(words: str) -> None:
    """Whatever their spelling."""
    assert is_moderated(words)
    assert is_moderated(words.upper())


@pytest.mark.parametrize("words", OTHERS)
def test_other_words_are_no_moderation(words: str) -> None:
    """A job that fails so may be bought again."""
    assert not is_moderated(words)


REFUSED = {
    "photogpt": ("images.generation", {"status": "NOK", "message": "WORDS", "result": None}),
    "dreambooth": ("text2img", {"status": "error", "message": "WORDS"}),
    "nextry": ("generate_image", {"status": "error", "error": "WORDS"}),
    "cyberphotobooth": ("generate", {"status": "failed", "error": "WORDS"}),
}

FAILED = {
    "photogpt": ("images.generation", {"status": "OK", "result": {"jobId": "7", "status": "failed", "error": "WORDS"}}),
    "dreambooth": ("text2img", {"status": "failed", "message": "WORDS"}),
    "nextry": ("generate_image", {"status": "error", "error": "WORDS"}),
    "cyberphotobooth": ("generate", {"status": "failed", "error": "WORDS"}),
}


def answered(body: Any, words: str) -> Answer:
    """An answer in which the provider says this."""
    return Answer(200, {}, json.dumps(body).replace("WORDS", words).encode())


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize(
    ("words", "code"), [("Prompt violates our content policy", "moderated"), ("no such style", "rejected")]
)
def test_each_provider_s_refusal_of_a_submit(name: str, words: str, code: str) -> None:
    """A moderated request is refused for good, and pauses no account."""
    operation, body = REFUSED[name]
    outcome = find(name).submit_outcome(
        answered(body, words), Submission("a", operation, {"prompt": "a fox"}), Account(BASE, "key")
    )
    assert isinstance(outcome, Refused)
    assert (outcome.code, outcome.again, outcome.whole_account) == (code, False, False)


def test_what_is_quoted_of_a_prompt_is_no_moderation() -> None:
    """The provider names the prompt that it could not read."""
    operation, body = REFUSED["photogpt"]
    words = "can't parse nsfw test card"
    submission = Submission("a", operation, {"prompt": "an nsfw test card"})
    outcome = find("photogpt").submit_outcome(answered(body, words), submission, Account(BASE, "key"))
    assert isinstance(outcome, Refused)
    assert outcome.code == "rejected"


@pytest.mark.parametrize("status", [429, 503])
def test_a_code_that_says_come_back_stands(status: int) -> None:
    """A moderation that is overloaded has refused nothing."""
    answer = Answer(status, {}, b'{"message": "content filter is not available"}')
    submission = Submission("a", "images.generation", {"prompt": "x"})
    outcome = find("photogpt").submit_outcome(answer, submission, Account(BASE, "key"))
    assert isinstance(outcome, Refused)
    assert (outcome.code, outcome.again) == ("rejected", True)


@pytest.mark.parametrize("name", FAILED)
def test_each_provider_s_failed_job(name: str) -> None:
    """By the words of its reason."""
    operation, body = FAILED[name]
    for words, cause in (("flagged as NSFW", "moderated"), ("out of memory", None)):
        outcome = find(name).poll_outcome(answered(body, words), Ticket(operation, "7"), Account(BASE, "key"))
        assert isinstance(outcome, Failed)
        assert outcome.cause == cause


def test_a_bulk_replay_leaves_moderated_rows_out() -> None:
    """Unless their code is named."""
    assert not _is_wanted("moderated", ())
    assert _is_wanted("moderated", ("moderated",))
    assert _is_wanted("generation_failed", ())
