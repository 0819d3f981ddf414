"""Paid results that are not as they should be: stored where they can't be judged, findable where they are refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from bide.contract import FailureCode
from bide.ledger import Record, Verb
from bide.ledger.records import encode_media
from bide.providers.base import Media
from tasks.steps.outcome import Answer, Fail, Suspend
from tasks.steps.store import BAD_MEDIA_TRIES, store
from tests.contract.ledger_stage import ACCOUNT, Stage, taken
from tests.contract.media_fetch import PNG
from tests.media import picture
from tests.unit.command import Command
from tests.unit.store_hands import Hands
from tests.unit.test_many_outputs import media
from workers.io.media import Fetched, from_bytes
from workers.telemetry.step_log import StepLog

UNKNOWN = bytes(range(256))
FRESH = "https://example.com/fresh.tiff?sig=1"


class Deliveries(Hands):
    """A toolbox whose addresses lead to these files in turn."""

    def __init__(self, stage: Stage, contents: Sequence[bytes], again: Sequence[str] = ()) -> None:
        super().__init__(stage, again=again)
        self.contents = list(contents)

    def output(self, one: Media, *_: Any) -> Fetched:
        """The next file, whatever address is asked for."""
        return from_bytes(self.contents.pop(0), max_bytes=1_000_000)


def storing(stage: Stage, outputs: str) -> None:
    """A job that the provider has done."""
    record, token, attempt = stage.submitting("a")
    stage.ledger.submits.submitted(record, token, attempt=attempt, provider_job_id="p", outputs=outputs)


def step_of(stage: Stage, tools: Any) -> tuple[Any, StepLog]:
    """What one store step comes to, and its line."""
    token = stage.token()
    record = taken(stage.resume("a", token=token), Verb.STORE)
    with StepLog("job.step") as line:
        return store(tools, record, token, now=stage.clock.now), line


def read(stage: Stage) -> Record:
    """The job's record."""
    record = stage.ledger.jobs.read(ACCOUNT, "a")
    assert record is not None
    return record


def test_what_can_not_be_judged_is_stored_with_a_warning(stage: Stage) -> None:
    """The job succeeds, without a size; record, log line and `bide explain` say which output, and why."""
    storing(stage, encode_media(media(3)))
    outcome, line = step_of(stage, Deliveries(stage, [PNG, UNKNOWN, PNG]))
    assert isinstance(outcome, Answer)
    first, second, _ = outcome.result["outputs"]
    assert (first["content_type"], first["width"]) == ("image/png", 40)
    assert (second["content_type"], second["width"], second["height"]) == ("application/octet-stream", None, None)
    assert second["key"].endswith("/1.bin")
    remark = "output 1: the file of an unknown format (it starts with 00 01 02 03 04 05 06 07) could not be checked"
    assert read(stage).text("note").startswith(f"not checked: {remark}")
    assert (line.level, line.facts["outputs_unchecked"]) == ("warning", 1)
    assert line.facts["reason"].startswith(remark)
    [*_, end] = json.loads(Command(stage)("explain", "a", "--json").output)["timeline"]
    assert remark in end["detail"]


def test_a_warning_outlives_the_step_that_stored_the_file(stage: Stage) -> None:
    """What is stored stays stored while another output is fetched anew, and is still unchecked at the end."""
    storing(stage, encode_media(media(2)))
    outcome, _ = step_of(stage, Deliveries(stage, [UNKNOWN, b"<html>busy</html>"]))
    assert isinstance(outcome, Suspend)
    stage.clock.advance(60)
    outcome, line = step_of(stage, Deliveries(stage, [PNG], [each.url for each in media(2)]))
    assert isinstance(outcome, Answer)
    assert line.facts["outputs_unchecked"] == 1
    assert read(stage).remark.startswith("not checked: output 0: the file of an unknown format")


def test_a_whole_result_says_nothing_of_the_kind(stage: Stage) -> None:
    """Also where an earlier note stands in its record."""
    storing(stage, encode_media(media(1)))
    outcome, _ = step_of(stage, Deliveries(stage, [b"<html>busy</html>"]))
    assert isinstance(outcome, Suspend)
    stage.clock.advance(60)
    outcome, line = step_of(stage, Deliveries(stage, [PNG], ["https://example.com/again.png"]))
    assert isinstance(outcome, Answer)
    assert read(stage).remark == ""
    assert (line.level, "outputs_unchecked" in line.facts, "reason" in line.facts) == ("info", False, False)
    [*_, end] = json.loads(Command(stage)("explain", "a", "--json").output)["timeline"]
    assert "HTML" not in end["detail"]


def test_a_refused_result_can_be_found(stage: Stage) -> None:
    """The record keeps the last addresses and the provider's id; `bide explain` shows both, the failure has the id."""
    storing(stage, encode_media(media(1)))
    outcome: Any = None
    for _ in range(BAD_MEDIA_TRIES + 1):
        outcome, _ = step_of(stage, Deliveries(stage, [picture("TIFF")], [FRESH]))
        stage.clock.advance(100)
    assert isinstance(outcome, Fail)
    assert (outcome.failure.code, outcome.failure.provider_job_id) == (FailureCode.BAD_MEDIA, "p")
    assert "TIFF" in outcome.failure.message
    assert FRESH not in outcome.failure.message
    assert [output.url for output in read(stage).outputs] == [FRESH]
    command = Command(stage)
    assert json.loads(command("explain", "a", "--json").output)["not_stored"] == [FRESH]
    shown = command("explain", "a").output
    assert f"not stored {FRESH}" in shown
    assert "bought, as p" in shown


def test_many_addresses_are_shown_in_part(stage: Stage) -> None:
    """A person sees the first of them, a program all."""
    storing(stage, encode_media(media(9)))
    for _ in range(BAD_MEDIA_TRIES + 1):
        step_of(stage, Deliveries(stage, [b""] * 9, [each.url for each in media(9)]))
        stage.clock.advance(100)
    command = Command(stage)
    assert len(json.loads(command("explain", "a", "--json").output)["not_stored"]) == 9
    assert "3.png and 5 more (--json)" in command("explain", "a").output
