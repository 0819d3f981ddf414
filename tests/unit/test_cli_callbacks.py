"""`bide callbacks`, on a Redis in memory behind the command's own connection."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import fakeredis
import pytest
import redis
from click.testing import CliRunner, Result

from bide.cli import callbacks as section
from bide.cli.main import main
from bide.ledger import Ledger
from bide.ledger.callbacks import Callbacks, Outcome
from tests.contract.ledger_contract_callbacks import CALLED
from tests.contract.ledger_stage import ACCOUNT, Clock, Stage


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    """A ledger that the command finds in place of a deployment's."""
    server: redis.Redis = fakeredis.FakeRedis(decode_responses=True, version=(7,))

    @contextmanager
    def ledger_at(_: str | None) -> Iterator[Ledger]:
        yield Ledger(server)

    monkeypatch.setattr(section, "ledger_at", ledger_at)
    return Stage(server, Clock())


@pytest.fixture
def callbacks(stage: Stage) -> Callbacks:
    """One callback that was given up, one that is tried again, and one that was delivered."""
    callbacks = Callbacks(stage.server, clock=stage.clock)
    for name, outcome in {"gone": Outcome.FAILED, "later": Outcome.AGAIN, "done": Outcome.DELIVERED}.items():
        stage.finished(name, **CALLED)
        [owed] = callbacks.claim(ACCOUNT, most=10, seconds=600)
        callbacks.tried(owed, outcome, seconds=3600, note=f"HTTP 5{len(name)}0")
    return callbacks


def run(*arguments: str) -> Result:
    """`bide callbacks` with these arguments."""
    return CliRunner().invoke(main, ["callbacks", *arguments])


@pytest.mark.usefixtures("callbacks")
def test_list_tells_what_was_not_delivered() -> None:
    """The given up first; `--failed` shows nothing else; `--json` is for programs."""
    gone, later = run("list").output.splitlines()
    assert gone.startswith("gone  photogpt/default  succeeded  given up 2023-11-14")
    assert gone.endswith("1 tries  HTTP 540")
    assert later.startswith("later  photogpt/default  succeeded  next try ")
    assert run("list", "--failed").output.splitlines() == [gone]
    assert [one["job_id"] for one in json.loads(run("list", "--json").output)] == ["gone", "later"]


@pytest.mark.usefixtures("stage")
def test_list_of_nothing() -> None:
    """Says so."""
    assert run("list").output == "no callback waits or failed\n"


def test_replay_of_all_takes_the_given_up(callbacks: Callbacks) -> None:
    """And no other."""
    assert run("replay", "--all").output == "1 callback will be sent within seconds\n"
    assert [one.failed for one in callbacks.standing(ACCOUNT)] == [False, False]


def test_replay_of_one(stage: Stage, callbacks: Callbacks) -> None:
    """Also of one that was delivered; a job that has nothing to tell is named."""
    assert run("replay", "done").exit_code == 0
    assert {one.job_id for one in callbacks.standing(ACCOUNT)} == {"gone", "later", "done"}
    stage.finished("silent")
    for job_id in ("silent", "nobody"):
        refused = run("replay", job_id)
        assert (refused.exit_code, f"job {job_id} has no end to tell" in refused.stderr) == (1, True)


@pytest.mark.parametrize("arguments", [(), ("a", "--all")])
def test_replay_wants_to_know_what(arguments: tuple[str, ...]) -> None:
    """Jobs by name, or all."""
    assert "name jobs, or say --all" in run("replay", *arguments).stderr
