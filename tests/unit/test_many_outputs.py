"""An answer with outputs without end: what a job has room for is stored, and the result says that it is not all."""

from __future__ import annotations

from typing import Any

import pytest

from bide.ledger import Record
from bide.ledger.records import MAX_ADDRESSES_BYTES, decode_media, encode_media
from bide.providers.base import MAX_FALLBACKS, Media
from tasks.steps.home import MAX_OUTPUTS
from tasks.steps.outcome import Answer, Caller
from tasks.steps.store import store
from tests.contract.ledger_stage import ACCOUNT, CREATED, Stage
from tests.unit.store_hands import Hands
from workers.telemetry.step_log import StepLog


def media(count: int, *, url: str = "https://example.com/{}.png", copies: int = 0) -> tuple[Media, ...]:
    """So many outputs."""
    fallbacks = tuple(f"https://copy.example/{n}" for n in range(copies))
    return tuple(Media("image", url=url.format(n), fallback_urls=fallbacks) for n in range(count))


def test_as_many_addresses_as_a_record_holds_are_recorded_whole() -> None:
    """And read as they were."""
    assert decode_media(encode_media(media(3, copies=2))) == media(3, copies=2)


@pytest.mark.parametrize(
    "outputs",
    [
        media(100_000),
        media(1, url="https://example.com/" + "a" * 1_000_000),
        media(4, url="https://e/{}" + "a" * 70_000),
    ],
    ids=["many", "long", "some of them long"],
)
def test_more_than_a_record_holds_is_asked_for_again(outputs: tuple[Media, ...]) -> None:
    """As inline results are: Redis is no place for them."""
    assert encode_media(outputs) == ""


def test_what_can_not_be_asked_for_again_is_recorded_as_far_as_there_is_room() -> None:
    """The first ones; one in any case, since a paid result is not given up."""
    recorded = encode_media(media(100_000), can_ask=False)
    assert len(recorded) <= MAX_ADDRESSES_BYTES + 2
    kept = decode_media(recorded)
    assert kept == media(100_000)[: len(kept)]
    assert len(kept) > MAX_OUTPUTS
    long = media(3, url="https://example.com/{}" + "a" * 1_000_000)
    assert decode_media(encode_media(long, can_ask=False)) == long[:1]


def test_copies_without_end_are_not_remembered() -> None:
    """Of each output there are a few."""
    [kept] = decode_media(encode_media(media(1, copies=100_000)))
    assert len(kept.fallback_urls) == MAX_FALLBACKS


def stored(outputs: str, again: list[str] = []) -> tuple[dict[str, Any], Record, StepLog]:  # noqa: B006 - only read
    """What the store step makes of a job that is done: its result, its record afterwards, its line."""
    stage = Stage.in_memory()
    record, token, attempt = stage.submitting("a")
    stage.ledger.submits.submitted(record, token, attempt=attempt, provider_job_id="p", outputs=outputs)
    step = stage.resume("a", token="s")
    tools: Any = Hands(stage, again=again)
    with StepLog("job.step") as line:
        outcome = store(tools, step.record or record, "s", now=stage.clock.now)
    assert isinstance(outcome, Answer)
    assert outcome.caller == Caller(ACCOUNT, "a", created=CREATED)
    after = stage.ledger.jobs.read(ACCOUNT, "a")
    assert after is not None
    return outcome.result, after, line


@pytest.mark.parametrize("recorded", [True, False], ids=["recorded", "asked for again"])
def test_more_outputs_than_a_job_has_room_for(recorded: bool) -> None:
    """The first are stored and the job succeeds; its note and its line say how many there are besides."""
    outputs = media(MAX_OUTPUTS + 7)
    result, record, line = stored(encode_media(outputs) if recorded else "", [each.url for each in outputs])
    assert len(result["outputs"]) == MAX_OUTPUTS
    assert record.text("state") == "succeeded"
    assert record.text("note") == "the provider named 1007 outputs: the first 1000 are stored, 7 are not"
    assert (line.level, line.facts["outputs_left_out"], line.facts["objects"]) == ("warning", 7, MAX_OUTPUTS)


def test_a_whole_result_says_nothing_of_the_kind() -> None:
    """Nor does its line."""
    result, record, line = stored(encode_media(media(MAX_OUTPUTS)))
    assert len(result["outputs"]) == MAX_OUTPUTS
    assert record.text("note") == ""
    assert (line.level, "outputs_left_out" in line.facts) == ("info", False)
