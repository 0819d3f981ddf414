"""`bide explain` says which process a job waits for, and that a worker's object store refuses."""

from __future__ import annotations

import json

import pytest

from bide.cli.advice import STATE_ADVICE
from bide.contract import JobState
from bide.ledger.processes import PROCESSES_KEY, RunningProcess, forget, note, running
from tests.contract.ledger_stage import Stage
from tests.unit.command import POLLER, WORKER, Command, attended_stage


@pytest.fixture
def stage() -> Stage:
    """The ledger of the command, beside which a worker and a poller run."""
    return attended_stage()


@pytest.fixture
def run(stage: Stage) -> Command:
    """`bide` over that ledger."""
    return Command(stage)


@pytest.mark.parametrize(
    ("gone", "words"),
    [
        ([WORKER], "start a worker (the line worker of the Procfile): none runs"),
        ([POLLER], "start a poller (the line poller of the Procfile): none runs"),
        ([WORKER, POLLER], "start a worker and a poller (these lines of the Procfile): none runs"),
    ],
    ids=["no worker", "no poller", "none"],
)
@pytest.mark.parametrize("state", ["queued", "running"])
def test_explain_says_which_process_is_missing(
    stage: Stage, run: Command, gone: list[RunningProcess], words: str, state: str
) -> None:
    """What a live job needs to go on, also as the last line of all; a job that is over needs nothing."""
    stage.finished("over")
    stage.running("a") if state == "running" else stage.open("a")
    for process in gone:
        forget(stage.server, process)

    lines = run("explain", "a").output.splitlines()
    assert f"  to do      {words}" in lines
    assert lines[-1] == f"to do: {words}"
    assert json.loads(run("explain", "a", "--json").output)["to_do"] == words
    assert json.loads(run("explain", "over", "--json").output)["to_do"] == "nothing"


def test_explain_misses_no_poller_for_a_result_that_is_stored(stage: Stage, run: Command) -> None:
    """From there on a worker alone has something to do; so it has for an answer that its caller does not have."""
    stage.storing("a")
    forget(stage.server, POLLER)
    assert json.loads(run("explain", "a", "--json").output)["to_do"] == STATE_ADVICE[JobState.STORING]
    forget(stage.server, WORKER)
    assert json.loads(run("explain", "a", "--json").output)["to_do"].startswith("start a worker (")


def test_explain_says_that_the_store_refuses(stage: Stage, run: Command) -> None:
    """As the worker has found it, which may have other keys than the one who asks."""
    refusing = RunningProcess(WORKER.node, WORKER.queues, "an object in one piece: AccessDenied, HTTP 403")
    note(stage.server, refusing, before=WORKER)
    assert running(stage.server) == [POLLER, refusing]
    for begin in (stage.open, stage.running, stage.storing):
        begin(begin.__name__)
        story = json.loads(run("explain", begin.__name__, "--json").output)
        assert story["to_do"].startswith("mend the object store, as `bide doctor` says: an object in one piece: Access")
        assert story["to_do"].endswith("(worker-1@here)")
    stage.finished("over")
    assert json.loads(run("explain", "over", "--json").output)["to_do"] == "nothing"


def test_a_note_of_a_process_ends_by_itself(stage: Stage) -> None:
    """One that was killed takes nothing away; its note has an end, and so has the key."""
    stage.server.zadd(PROCESSES_KEY, {RunningProcess("worker-9@there", ("bide.submit",)).to_json(): 1})
    assert [process.node for process in running(stage.server)] == [POLLER.node, WORKER.node]
    note(stage.server, POLLER)
    assert stage.server.zcard(PROCESSES_KEY) == 2
    assert 0 < stage.server.ttl(PROCESSES_KEY) <= 60
