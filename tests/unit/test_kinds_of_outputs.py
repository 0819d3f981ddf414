"""Outputs of declared kinds come home under their own types, and what is missing of a result is named everywhere."""

from __future__ import annotations

import gzip
import hashlib
import json
from types import SimpleNamespace
from typing import Any

import pytest

from bide.bulk.results import EndedRow
from bide.client.status import status_of
from bide.contract import FailureCode, JobResult, JobState
from bide.providers.base import Account, Answer, Finished, Submission, Succeeded, Ticket
from tasks.steps.outcome import Answer as Stored
from tasks.steps.outcome import Fail, Suspend
from tasks.steps.store import BAD_MEDIA_TRIES
from tests.kinds import ASCII_STL, NOISE, WHOLE, wav, zipped
from tests.media import picture, real
from tests.unit.atelier import ACCOUNT, BASE, KEY
from tests.unit.command import Command
from tests.unit.foundry import WORK, Foundry, FoundryWorld, foundry

__all__ = ["foundry"]

FILES = {"glb": real("box.glb"), "wav": wav(), "txt": b"Hello, world\n", "zip": zipped("a"), "png": picture("PNG")}


def storing(world: FoundryWorld, *files: bytes, **more: Any) -> None:
    """A job whose provider has made these files."""
    world.submit()
    world.reply("GET", WORK, world.made(*files, **more))
    world.poll()


def test_declared_kinds_are_stored_under_their_own_types(foundry: FoundryWorld) -> None:
    """Size, digest, type and ending of each; nothing was left unchecked."""
    storing(foundry, *FILES.values())
    outcome = foundry.store()
    assert isinstance(outcome, Stored)
    types = ("model/gltf-binary", "audio/wav", "text/plain", "application/zip", "image/png")
    for number, (ext, content) in enumerate(FILES.items()):
        output = outcome.result["outputs"][number]
        assert (output["key"].rpartition("/")[2], output["content_type"]) == (f"{number}.{ext}", types[number])
        assert (output["size"], output["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
        assert foundry.storage.client.objects[output["key"]] == content
        assert foundry.storage.about[f"{number}.{ext}"]["content_type"] == types[number]
    assert "outputs_unchecked" not in foundry.line.facts


def test_a_declared_archive_is_stored_packed(foundry: FoundryWorld) -> None:
    """A gzip is unpacked where a picture is wanted, and not where an archive is."""
    packed = gzip.compress(NOISE)
    storing(foundry, packed)
    outcome = foundry.store()
    assert isinstance(outcome, Stored)
    [output] = outcome.result["outputs"]
    assert (output["content_type"], output["size"]) == ("application/gzip", len(packed))


@pytest.mark.parametrize(
    "content", [b"<!DOCTYPE html><html>busy</html>", *(WHOLE[it][1] for it in ("GGUF", "PyTorch"))]
)
def test_what_is_not_declared_is_refused(foundry: FoundryWorld, content: bytes) -> None:
    """After it was fetched a few times, as ever. PyTorch's weights are an archive, and taken as one."""
    storing(foundry, content)
    outcome: Any = Suspend
    for _ in range(BAD_MEDIA_TRIES + 1):
        if foundry.record().state is JobState.STORING:
            outcome = foundry.store()
            foundry.clock.advance(60)
    if content.startswith(b"PK"):
        assert outcome.result["outputs"][0]["content_type"] == "application/zip"
        return
    assert isinstance(outcome, Fail)
    assert outcome.failure.code is FailureCode.BAD_MEDIA
    assert outcome.failure.message.startswith("neither a picture, sound, a 3D model, text nor an archive but ")


def test_inline_outputs_without_an_id_are_kept_as_what_they_are(foundry: FoundryWorld) -> None:
    """They are stored by the step that bought them, and read again by the one that stores: a gzip stays packed."""
    foundry.replies.clear()
    packed = gzip.compress(gzip.compress(NOISE))
    foundry.reply("POST", f"{BASE}/works", foundry.made(packed, ASCII_STL))
    foundry.submit()
    outcome = foundry.store()
    assert isinstance(outcome, Stored)
    types = [(output["content_type"], output["size"]) for output in outcome.result["outputs"]]
    assert types == [("application/gzip", len(packed)), ("model/stl", len(ASCII_STL))]


MISSING = "1 of 2 outputs: the provider gives no content of the others"


def test_what_is_missing_is_named_everywhere(foundry: FoundryWorld) -> None:
    """While it is stored and afterwards: record, result, `job.json`, status, explain, and the row of a run."""
    storing(foundry, FILES["glb"], missing=MISSING)
    assert foundry.record().text("partial") == MISSING
    stage: Any = SimpleNamespace(ledger=foundry.ledger, server=foundry.server, clock=foundry.clock)
    for state in (JobState.STORING, JobState.SUCCEEDED):
        record = foundry.record()
        assert (record.state, record.partial) == (state, MISSING)
        assert status_of(record, "a").partial == MISSING
        explained = Command(stage)("explain", "a").output
        assert f"partial    {MISSING}" in explained
        assert json.loads(Command(stage)("explain", "a", "--json").output)["partial"] == MISSING
        if state is JobState.STORING:
            outcome = foundry.store()
    assert isinstance(outcome, Stored)
    assert outcome.result["partial"] == foundry.document()["partial"] == MISSING
    assert JobResult.model_validate_json(json.dumps(outcome.result)).partial == MISSING
    assert (foundry.line.level, foundry.line.facts["partial"]) == ("warning", MISSING)
    record = foundry.record()
    row = EndedRow("run", 1, "succeeded", "o", record.request_json.encode(), record, ACCOUNT)
    assert row.line()["partial"] == MISSING


def test_addresses_and_what_is_missing_are_recorded_together(foundry: FoundryWorld) -> None:
    """One write, with the state."""
    foundry.submit()
    foundry.reply("GET", WORK, {"state": "done", "outputs": ["https://cdn.example/7.glb"], "missing": MISSING})
    foundry.poll()
    record = foundry.record()
    assert [media.url for media in record.outputs] == ["https://cdn.example/7.glb"]
    assert (record.state, record.text("partial")) == (JobState.STORING, MISSING)


def test_a_submit_that_is_done_at_once_may_be_partial(foundry: FoundryWorld) -> None:
    """With an id, so that the result is asked for again, which may say it anew; and without one."""
    for job_id, provider_job_id in (("a", "7"), ("b", "")):
        answer = foundry.made(FILES["glb"], missing=MISSING, id=provider_job_id)
        foundry.replies.clear()
        foundry.reply("POST", f"{BASE}/works", answer)
        foundry.reply("GET", WORK, answer)
        foundry.submit(job_id)
        assert foundry.record(job_id).partial == MISSING
        outcome = foundry.store(job_id)
        assert isinstance(outcome, Stored)
        assert outcome.result["partial"] == MISSING


def test_a_result_that_is_whole_when_it_is_asked_for_again_is_whole(foundry: FoundryWorld) -> None:
    """The last answer counts."""
    storing(foundry, FILES["glb"], missing=MISSING)
    foundry.replies.clear()
    foundry.reply("GET", WORK, foundry.made(FILES["glb"], FILES["wav"]))
    outcome = foundry.store()
    assert isinstance(outcome, Stored)
    assert "partial" not in outcome.result
    assert foundry.record().partial == ""


def test_a_whole_result_lacks_the_field(foundry: FoundryWorld) -> None:
    """Earlier releases would refuse it."""
    storing(foundry, FILES["glb"])
    outcome = foundry.store()
    assert isinstance(outcome, Stored)
    assert "partial" not in outcome.result
    assert "partial" not in foundry.document()
    assert foundry.record().text("partial") == ""
    assert "partial" not in foundry.line.facts


def test_words_about_what_is_missing_are_short_and_hold_no_secret() -> None:
    """An adapter may pass a provider's own words on."""
    words = f"bad key {KEY}\n" + "x" * 900
    answer = Answer(200, {}, json.dumps({"state": "done", "id": "7", "outputs": ["aGk="], "missing": words}).encode())
    account = Account(BASE, KEY)
    polled = Foundry().poll_outcome(answer, Ticket("paint", "7"), account)
    submitted = Foundry().submit_outcome(answer, Submission("a", "paint", {"motif": "x"}), account)
    assert isinstance(polled, Succeeded)
    assert isinstance(submitted, Finished)
    for partial in (polled.partial, submitted.partial):
        assert partial.startswith("bad key ***")
        assert (len(partial), "\n" in partial) == (300, False)
