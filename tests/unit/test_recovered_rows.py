"""Rows of a bulk run were bought, and its ledger went back or was lost: each is counted once, and none bought again."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from bide.contract import JobState
from bide.money.book import Sums
from tests.unit.bulk_world import ACCOUNT
from tests.unit.lost_run import SECOND, LostRun, ends_well, forget_objects
from tests.unit.paid_run import ROW, WHOLE, pictures


@pytest.fixture
def world() -> LostRun:
    """Twenty rows, eight of them alive at once."""
    world = LostRun()
    world.begin_with(pictures(20), budget=2 * WHOLE)
    return world


@pytest.mark.parametrize("first", ["nothing", "rows in line", "rows bought", "rows collected"])
def test_the_ledger_went_back(world: LostRun, first: str) -> None:
    """The backup has the run where it was; since then it has fed and bought further rows."""
    if first != "nothing":
        world.feed()
    if first in ("rows bought", "rows collected"):
        world.begin_purchases()
    if first == "rows collected":
        world.come_home()
        world.feed()
        world.feed()
    backup = world.back_up()
    for _ in range(4):
        world.feed()
        world.begin_purchases()
        world.come_home()
    world.feed()
    bought = set(world.begin_purchases()) | set(world.submits)
    assert len(bought) > 8
    world.go_back(backup)
    taken = {job_id for job_id, one in world.recover().items() if one.what == "taken"}
    assert taken
    ends_well(world)


def test_a_statement_had_the_purchases(world: LostRun) -> None:
    """The book has them by that; the budget of the run that went back has them as well, each once."""
    world.feed()
    world.begin_purchases()
    backup = world.back_up()
    world.come_home()
    world.feed()
    world.begin_purchases()
    world.go_back(backup)
    world.recover(reaches=time.time() + 60)
    assert (world.run.number("spent"), world.run.number("reserved")) == (len(world.submits) * ROW, 0)
    ends_well(world)


def test_rows_that_were_claimed_and_not_opened(world: LostRun) -> None:
    """A feeder had died in between when the backup was made."""
    assert world.die_at(2, after=False)
    assert {live.kind for live in world.runs.live("r")} == {"c"}
    backup = world.back_up()
    world.feed()
    world.begin_purchases()
    world.go_back(backup)
    assert {one.what for one in world.recover().values()} == {"taken"}
    assert "o" in {live.kind for live in world.runs.live("r")}
    ends_well(world)


@pytest.mark.parametrize("fed", [False, True])
def test_rows_that_were_bought_at_their_fallback(fed: bool) -> None:
    """The run finds them there, also the rows that it had not come to."""
    world = LostRun()
    fallback = {**SECOND._asdict(), "operation": "images.generation"}
    rows = [{**each, "fallbacks": [{**fallback, "params": each["params"]}]} for each in pictures(6)]
    world.begin_with(rows, budget=WHOLE)
    world.ledger.accounts.pause(ACCOUNT, reason="no credit", by="bide")
    if fed:
        world.feed()
    backup = world.back_up()
    world.feed()
    world.ledger.accounts.sweep(ACCOUNT)
    bought = world.begin_purchases(SECOND)
    assert len(bought) == 6
    world.go_back(backup)
    assert {one.what for one in world.recover().values()} == {"taken"}
    world.ledger.accounts.resume(ACCOUNT)
    ends_well(world, rows=6)


def test_a_run_that_was_canceled_meanwhile(world: LostRun) -> None:
    """An operator canceled the run that went back: what was bought is brought home as jobs of their own."""
    backup = world.back_up()
    world.feed()
    bought = world.begin_purchases()
    world.go_back(backup)
    world.runs.cancel("r")
    for _ in range(5):
        world.feed()
    assert world.run.over
    assert {one.what for one in world.recover().values()} == {"taken"}
    for job_id in bought:
        record = world.ledger.jobs.read(ACCOUNT, job_id)
        assert record
        assert (record.state, record.text("run"), record.text("pid")) == (JobState.RUNNING, "", f"p-{job_id}")
        assert "run:" not in record.text("booked")
    assert world.run.number("spent") == 0
    assert {one.what for one in world.recover().values()} == {"known"}


def test_the_run_is_lost_too(world: LostRun) -> None:
    """Its rows are jobs of their own, and give nothing back to a run of its name that begins later."""
    world.feed()
    bought = world.begin_purchases()
    world.go_back({})
    assert {one.what for one in world.recover().values()} == {"taken"}
    forget_objects(world)
    world.begin_with(pictures(2, metadata={"again": 1}), budget=WHOLE)
    for job_id in bought:
        record = world.ledger.jobs.read(ACCOUNT, job_id)
        assert record
        assert record.text("run") == ""
        assert "run:" not in record.text("booked")
    world.come_home()
    assert (world.run.number("spent"), world.run.number("reserved")) == (0, 0)
    assert sum(world.ledger.books.day(ACCOUNT, datetime.now(UTC).date()).values(), Sums()).spent == len(bought) * ROW


def test_the_run_was_begun_again_before_the_recovery(world: LostRun) -> None:
    """Its caller came again after the loss: the rows that were bought leave the line, and are the run's."""
    world.feed()
    world.begin_purchases()
    world.go_back({})
    forget_objects(world)
    world.begin_with(pictures(20), budget=2 * WHOLE)
    world.feed()
    assert {one.what for one in world.recover().values()} == {"taken"}
    ends_well(world)
