"""`bide callbacks`, on a Redis in memory behind the command's own connection."""

from __future__ import annotations

import json

import pytest

from bide.ledger.callbacks import CallbackScripts, Outcome
from tests.contract.ledger_contract_callbacks import CALLED
from tests.contract.ledger_stage import ACCOUNT, Stage
from tests.unit.command import Command


@pytest.fixture
def run(stage: Stage) -> Command:
    """`bide` over that ledger."""
    return Command(stage)


@pytest.fixture
def callbacks(stage: Stage) -> CallbackScripts:
    """One callback that was given up, one that is tried again, and one that was delivered."""
    callbacks = stage.ledger.callbacks
    for name, outcome in {"gone": Outcome.FAILED, "later": Outcome.AGAIN, "done": Outcome.DELIVERED}.items():
        stage.finished(name, **CALLED)
        [owed] = callbacks.claim(ACCOUNT, most=10, seconds=600)
        callbacks.tried(owed, outcome, seconds=3600, note=f"HTTP 5{len(name)}0")
    return callbacks


@pytest.mark.usefixtures("callbacks")
def test_list_tells_what_was_not_delivered(run: Command) -> None:
    """The given up first; `--failed` shows nothing else; `--json` is for programs."""
    gone, later = run("callbacks", "list").output.splitlines()
    assert gone.startswith("gone  photogpt/default  succeeded  given up 2023-11-14")
    assert gone.endswith("1 tries  HTTP 540")
    assert later.startswith("later  photogpt/default  succeeded  next try ")
    assert run("callbacks", "list", "--failed").output.splitlines() == [gone]
    assert [one["job_id"] for one in json.loads(run("callbacks", "list", "--json").output)] == ["gone", "later"]


def test_list_of_nothing(run: Command) -> None:
    """Says so."""
    assert run("callbacks", "list").output == "no callback waits or failed\n"


def test_replay_of_all_takes_the_given_up(callbacks: CallbackScripts, run: Command) -> None:
    """And no other."""
    assert run("callbacks", "replay", "--all").output == "1 callback will be sent within seconds\n"
    assert [one.failed for one in callbacks.unfinished(ACCOUNT)] == [False, False]


def test_replay_of_one(stage: Stage, callbacks: CallbackScripts, run: Command) -> None:
    """Also of one that was delivered; a job that has nothing to tell is named."""
    assert run("callbacks", "replay", "done").exit_code == 0
    assert {one.job_id for one in callbacks.unfinished(ACCOUNT)} == {"gone", "later", "done"}
    stage.finished("silent")
    for job_id in ("silent", "nobody"):
        refused = run("callbacks", "replay", job_id)
        assert (refused.exit_code, f"job {job_id} has no end to tell" in refused.stderr) == (1, True)


@pytest.mark.parametrize("arguments", [(), ("a", "--all")])
def test_replay_wants_to_know_what(arguments: tuple[str, ...], run: Command) -> None:
    """Jobs by name, or all."""
    assert "name jobs, or say --all" in run("callbacks", "replay", *arguments).stderr
