"""Unconfirmed jobs that end after their run: a refresh brings them into its results."""

from __future__ import annotations

import pytest

from bide.bulk.record import Options
from bide.bulk.refresh import refresh
from bide.bulk.replay import failed_rows
from bide.contract import Failure, FailureCode, JobState
from bide.errors import InvalidRequestError
from bide.ledger import Verb
from tests.unit.bulk_world import ACCOUNT, World, row, some_rows


@pytest.fixture(name="world")
def _world(world: World) -> World:
    """A run of four rows whose first is unconfirmed, and whose last repeats it; nothing else is under way."""
    world.begin([*some_rows(3), row("fox 1")], Options(window=10))
    world.feed()
    lose_answer(world, "r.1")
    return world


def lose_answer(world: World, job_id: str) -> None:
    """Its submit gets no answer."""
    step = world.ledger.jobs.step(job_id, ACCOUNT, token="t")
    assert step.verb is Verb.SUBMIT
    assert step.record is not None
    world.ledger.submits.intend(step.record, "t")
    failure = Failure(code=FailureCode.SUBMISSION_UNKNOWN, message="no answer", job_id=job_id)
    assert world.ledger.jobs.conclude(step.record, "t", JobState.UNCONFIRMED, error=failure.model_dump_json())
    world.ledger.jobs.answered(ACCOUNT, job_id)


def test_a_settled_row_replaces_its_line_and_its_copies(world: World) -> None:
    """One line for each row, as before; summary and record agree, and nothing is without an end."""
    world.run_to_its_end()
    assert world.states() == ["unconfirmed", "succeeded", "succeeded", "unconfirmed"]
    before = world.summary()
    world.ledger.unconfirmed.give_up(ACCOUNT, "r.1")

    assert refresh(world.runs, world.ledger, world.storage, "r") == {"failed": 2}
    assert refresh(world.runs, world.ledger, world.storage, "r") == {}

    assert world.states() == ["failed", "succeeded", "succeeded", "failed"]
    first, *_, last = world.lines()
    assert "given up" in first["error"]["message"]
    assert last == {**first, "row": 4, "copy_of": 1}
    assert world.summary() == {**before, "unconfirmed": 0, "failed": 2}
    run = world.runs.read("r")
    assert run is not None
    assert run.ended == {"succeeded": 2, "failed": 2, "unconfirmed": 0, "canceled": 0, "skipped": 0}
    assert world.server.ttl("bide:run:r:record") > 0


def test_what_was_given_up_is_not_replayed(world: World) -> None:
    """It may have been bought: it takes more than a replay to buy it again."""
    world.run_to_its_end()
    world.ledger.unconfirmed.give_up(ACCOUNT, "r.1")
    refresh(world.runs, world.ledger, world.storage, "r")

    assert failed_rows(world.storage, "r") == []


def test_an_unconfirmed_row_without_an_end_stays(world: World) -> None:
    """The line of an unconfirmed row stays while its job is attached, and where job or run are forgotten."""
    world.run_to_its_end()
    for change in (
        lambda: None,
        lambda: world.ledger.unconfirmed.attach(ACCOUNT, "r.1", "p-1"),
        lambda: world.server.delete("bide:run:r:record"),
        world.server.flushall,
    ):
        change()
        assert refresh(world.runs, world.ledger, world.storage, "r") == {}
        assert world.states() == ["unconfirmed", "succeeded", "succeeded", "unconfirmed"]
    assert list(world.server.scan_iter("bide:run:*")) == []


def test_a_run_that_goes_on_is_left_alone(world: World) -> None:
    """Its feeder writes its results; so is one that never was."""
    for name in ("r", "nobody"):
        with pytest.raises(InvalidRequestError, match="goes on, or never was"):
            refresh(world.runs, world.ledger, world.storage, name)
