"""Nothing that others wrote reaches a terminal as it is: no escape, no bell, no turned line and no forged one."""

from __future__ import annotations

import json
import re
from typing import Any

import click
import pytest
from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st

from bide.bulk.names import RUNS_KEY, run_prefix
from bide.cli import unconfirmed
from bide.cli.output import echo, echo_json, redraw
from bide.contract import Failure, FailureCode, JobState
from bide.errors import InvalidRequestError, JobFailed
from bide.ledger import Polled
from bide.ledger.callbacks import Outcome
from bide.printable import printable, printable_json
from tests.contract.ledger_stage import ACCOUNT, Stage
from tests.unit.command import Command
from workers.catalog import _table
from workers.doctor.__main__ import _print
from workers.doctor.findings import warning

#: A new title, a bell, a cleared screen, red by C1, a line turned round, and a line that nobody printed.
NASTY = "\x1b]0;owned\x07\x1b[2J\x9b31m\x7f\u202eevil\u2066\u200f\u2028\x85\r\nforged  succeeded"

_ACTS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2028\u2029\u2066-\u2069\ufeff]")


def assert_quiet(text: str) -> None:
    """A terminal would only show it, and no line of it is a stranger's."""
    assert not _ACTS.search(text), ascii(text)
    assert not [line for line in text.splitlines() if line.startswith("forged")]


class QuietCommand(Command):
    """`bide`, whose output must be quiet."""

    def __call__(self, *arguments: str, typed: str | None = None) -> Result:
        result = super().__call__(*arguments, typed=typed)
        assert_quiet(result.stdout)
        assert_quiet(result.stderr)
        return result


@pytest.fixture
def run(stage: Stage) -> Command:
    """`bide` over that ledger."""
    return QuietCommand(stage)


def nasty_request() -> dict[str, Any]:
    """A request whose free texts are all nasty."""
    return {
        "params": {"modelID": "m1", "prompt": NASTY},
        "metadata": {NASTY: NASTY, "order": NASTY},
        "callback_url": "https://example.com/hook",
    }


def fail(stage: Stage, job_id: str, state: JobState = JobState.FAILED) -> None:
    """A job whose failure quotes a provider."""
    record, token, _ = stage.submitting(job_id, **nasty_request())
    code = FailureCode.REJECTED if state is JobState.FAILED else FailureCode.SUBMISSION_UNKNOWN
    error = Failure(code=code, message=NASTY, job_id=job_id).model_dump_json()
    assert stage.ledger.jobs.conclude(record, token, state, error=error)
    stage.ledger.jobs.answered(ACCOUNT, job_id)


#: What shows jobs.
COMMANDS = (
    "explain r",
    "explain f",
    "explain u",
    "jobs",
    "jobs --state all",
    "failed list",
    "unconfirmed list",
    "callbacks list",
)


@pytest.mark.parametrize("as_json", [[], ["--json"]], ids=["text", "json"])
def test_every_listing_of_jobs_is_quiet(stage: Stage, as_json: list[str], run: Command) -> None:
    """Prompts, metadata, the provider's words, notes and failures; JSON stays JSON with the same values."""
    stage.running("r", **nasty_request())
    stage.clock.advance(3)
    stage.ledger.polls.record(ACCOUNT, [Polled("r", "running", 3.0, note=NASTY)])
    fail(stage, "f")
    fail(stage, "u", JobState.UNCONFIRMED)
    kept = stage.ledger.callbacks
    for owed in kept.claim(ACCOUNT, most=10, seconds=5):
        kept.tried(owed, Outcome.FAILED, note=NASTY)

    shown = {command: run(*command.split(), *as_json) for command in COMMANDS}

    for command, result in shown.items():
        assert result.exit_code == 0, result.output
        if as_json:
            assert NASTY in str(json.loads(result.stdout)) or "forged" in str(json.loads(result.stdout)), command
        else:
            assert "\\x1b" in result.stdout, command


@pytest.mark.parametrize("as_json", [[], ["--json"]], ids=["text", "json"])
def test_a_run_is_shown_quietly(stage: Stage, run: Command, as_json: list[str]) -> None:
    """Its name, its source, its note and its trouble."""
    texts = dict.fromkeys(("note", "source", "replay_of", "trouble", "state"), NASTY)
    numbers = dict.fromkeys(("rows", "succeeded", "in_line", "in_flight", "spent", "reserved", "budget", "rate"), 1)
    fields: dict[Any, Any] = {**numbers, **texts, "created": 1.0, "finished": 2.0}
    stage.server.hset(f"{run_prefix(NASTY)}record", mapping=fields)
    stage.server.zadd(RUNS_KEY, {NASTY: 0})

    for command in ("status", "list"):
        named = [NASTY] if command == "status" else []
        result = run("bulk", command, *named, *as_json, "--broker", "redis://127.0.0.1:1/0")
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout) if as_json else "\\x1b" in result.stdout


def test_a_run_on_a_terminal_is_redrawn_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """The one escape there is ours."""
    redraw(NASTY, last=True)
    printed = capsys.readouterr().out
    assert printed.startswith("\r")  # click leaves the escape out where there is no terminal
    assert_quiet(printed.removeprefix("\r"))


@pytest.mark.parametrize(
    "arguments",
    [
        ("explain", NASTY),
        ("unconfirmed", "attach", NASTY, NASTY),
        ("failed", "replay", NASTY, "--yes"),
        ("failed", "list", "--code", NASTY),
        ("jobs", "--older-than", NASTY),
        ("jobs", f"--{NASTY}"),
        (f"--{NASTY}",),
        (NASTY,),
        ("pause", NASTY, "--broker", NASTY),
    ],
    ids=str,
)
def test_errors_are_quiet(arguments: tuple[str, ...], run: Command) -> None:
    """Also those of click itself, about arguments that came from somewhere else."""
    assert run(*arguments).exit_code != 0


@pytest.mark.parametrize(
    "error",
    [
        InvalidRequestError(NASTY.partition("\r")[0]),
        JobFailed(NASTY),
        JobFailed(Failure(code=FailureCode.REJECTED, message=NASTY, job_id="a").model_dump_json()),
        click.ClickException(NASTY.partition("\r")[0]),
    ],
    ids=["ours", "unreadable failure", "failure", "click's"],
)
def test_errors_on_the_way_are_quiet(error: Exception) -> None:
    """Errors that quote a provider, or a file."""
    assert QuietCommand(Stage.in_memory(), error=error)("explain", "a").exit_code == 1


def test_findings_catalogs_and_candidates_are_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    """What the deployment's own programs print."""
    _print(warning(NASTY, NASTY, NASTY))
    echo(*_table([{"name": NASTY, NASTY: NASTY}]))
    candidate = {"provider_job_id": NASTY, "seconds_after_submit": 1.0, "status": NASTY, "about": NASTY}
    shown = {"job_id": "a", "provider": "p", "account": "a", "what": NASTY, "reason": NASTY, "remarks": [NASTY]}
    unconfirmed.show([{**shown, "submitted_at": None, "candidates": [candidate]}], as_json=False)
    nasty = {**candidate, "prompt": NASTY}
    unconfirmed.show([{**shown, "submitted_at": None, "candidates": [nasty], "prompt": "a fox"}], as_json=False)
    unconfirmed.show([{**shown, "submitted_at": None, "candidates": None, "why_none": NASTY}], as_json=False)
    printed = capsys.readouterr()
    assert_quiet(click.unstyle(printed.out))
    assert_quiet(printed.err)


@given(st.text() | st.text(st.characters(max_codepoint=0x2100)))
def test_any_text_is_printed_in_one_line(text: str) -> None:
    """And any JSON with its values."""
    assert len(printable(text).splitlines()) <= 1
    assert_quiet(printable(text).replace("forged", ""))
    assert json.loads(printable_json(json.dumps({text: text}, ensure_ascii=False))) == {text: text}


def test_other_letters_stay(capsys: pytest.CaptureFixture[str]) -> None:
    """Text is not to be punished: accents, other scripts, emoji and their joiners."""
    words = "F\u00fcchse \u72d0\u3000\u05e9\u05d5\u05e2\u05dc \U0001f468\u200d\U0001f469\u200d\U0001f466 a\u00a0b"
    echo(words)
    echo_json({"words": words}, indent=None)
    assert capsys.readouterr().out == f'{words}\n{{"words": "{words}"}}\n'
