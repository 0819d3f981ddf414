"""Outcomes in a line, and answers that become samples."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bide.contract import Charged, FailureCause, FailureCode
from bide.errors import PollFailedError
from bide.providers.base import (
    Account,
    Answer,
    Cost,
    Failed,
    FetchNow,
    Media,
    Progress,
    Refused,
    Running,
    Submitted,
    Succeeded,
    Ticket,
)
from bide.providers.declared.recording import Recorder
from bide.providers.declared.samples import MADE_UP, described, read
from bide.providers.declared.summary import in_a_line

KEY = 'planted"key\\0123456789'
ACCOUNT = Account("https://api.inkwell.example/v1", KEY)

OUTCOMES = [
    (Submitted("7", estimate_seconds=8, handle={"a": 1, "b": 2}), "Submitted: 7 (handle a, b, takes 8 s)"),
    (Running("drying"), "Running: drying"),
    (
        Running("drying", progress=Progress(0.4, 7, 12.5, "mixing"), after_seconds=9, cost=Cost(Decimal(3), "credits")),
        "Running: drying (40% done, 7 before it, 12.5 s left, mixing, after 9 s, cost 3 credits)",
    ),
    (FetchNow("result"), "FetchNow: result"),
    (Failed("no ink", FailureCause.MODERATED, Charged.NO), "Failed: no ink (cause moderated, charged: no)"),
    (
        Refused(FailureCode.UNAUTHORIZED, "HTTP 401", whole_account=True),
        "Refused: HTTP 401 (code unauthorized, the account is paused)",
    ),
    (
        Refused(FailureCode.REJECTED, "HTTP 429", again=True, after_seconds=3),
        "Refused: HTTP 429 (code rejected, is tried again, after 3 s)",
    ),
    (
        Succeeded((Media("image", "https://x.example/1.png"), Media("video", content=b"abc")), "one is missing"),
        "Succeeded: image https://x.example/1.png, video 4 characters of base64 (partial one is missing)",
    ),
]


@pytest.mark.parametrize(("outcome", "line"), OUTCOMES)
def test_an_outcome_in_a_line(outcome: object, line: str) -> None:
    """What is there, and nothing of what is not."""
    assert in_a_line(described(lambda: outcome)) == line


def test_an_error_and_a_list_in_a_line() -> None:
    """A poll that says nothing, and a catalog."""

    def fails() -> None:
        raise PollFailedError("HTTP 503", after_seconds=4)

    assert in_a_line(described(fails)) == "PollFailedError: HTTP 503 (after 4 s)"
    assert in_a_line({"entries": [1, 2]}) == "2 entries"


def answer(**body: Any) -> Answer:
    """An answer with a header that decides nothing."""
    headers = {"content-type": "application/json", "set-cookie": "session=1"}
    return Answer(200, headers, json.dumps(body).encode())


def test_answers_become_samples_without_secrets(tmp_path: Path) -> None:
    """One of each kind and state: over made-up ones, over no others."""
    recorder = Recorder(tmp_path, "draw", ACCOUNT)
    made_up, own = tmp_path / "draw--poll-running.json", tmp_path / "draw--submit.json"
    made_up.write_text(json.dumps({"about": MADE_UP, "answer": {"status": 200, "body": {}}}), encoding="utf-8")
    own.write_text(json.dumps({"about": "mine", "answer": {"status": 200, "body": {}}}), encoding="utf-8")
    ticket = Ticket("draw", "7", cursor="result", handle={"url": f"https://x.example/{KEY}"})

    assert recorder.keep(answer(id=7), described(lambda: Submitted("7"))) is None
    assert read(own).about == "mine"
    assert recorder.keep(answer(state="wet", key=KEY), described(lambda: Running("Wet paint")), ticket) == made_up
    detail = tmp_path / "draw--poll-running--dry_ing.json"
    assert recorder.keep(answer(), described(lambda: Running("dry/ing"))) == detail
    assert recorder.keep(answer(), described(lambda: Running("dry/ing"))) is None
    assert recorder.keep(answer(), {"is": "KeyTaken"}) is None

    sample, text = read(made_up), made_up.read_text(encoding="utf-8")
    assert (sample.cursor, sample.expect) == ("result", {"is": "Running", "status": "Wet paint"})
    assert sample.body == {"state": "wet", "key": "***"}
    assert "0123456789" not in text
    assert "session=1" not in text


def test_a_body_that_is_no_json_is_kept_as_text(tmp_path: Path) -> None:
    """In a folder that is not there yet; a file that is no sample is not written over."""
    folder = tmp_path / "new"
    recorder = Recorder(folder, "draw", ACCOUNT)

    def fails() -> None:
        raise PollFailedError("HTTP 502")

    file = recorder.keep(Answer(502, {}, b"<html>\xff"), described(fails))
    assert file is not None
    assert read(file).answer.body.decode() == "<html>\ufffd"
    assert read(file).expect == {"raises": "PollFailedError"}
    (folder / "draw--submit.json").write_text("{", encoding="utf-8")
    assert recorder.keep(answer(id=7), described(lambda: Submitted("7"))) is None
