"""Rows that a lost ledger had bought, and that their run comes to later, or has counted: each is bought once."""

from __future__ import annotations

import time
from typing import Any

import fakeredis
import pytest

from bide.bulk.record import Options
from bide.contract import Charged, Failure, FailureCode, GenerateRequest, JobState
from bide.ledger.keys import prefix
from bide.ledger.recovery import Lost, new_fields
from tests.unit.bulk_world import ACCOUNT, PRICES, World, some_rows
from tests.unit.lost_run import SECOND, LostRun, ends_well, forget_objects
from tests.unit.paid_run import ROW, WHOLE, pictures


def went_back(*, budget: int = 2 * WHOLE, rows: int = 12, **options: Any) -> LostRun:
    """Four rows are under way in the backup; since then all rows of the run were bought. They are taken up."""
    world = LostRun()
    world.begin_with(pictures(rows), budget=budget, **{"window": 4, **options})
    world.feed()
    world.begin_purchases()
    backup = world.back_up()
    while len(world.submits) < min(rows, options.get("max_jobs", rows)):
        world.come_home()
        world.feed()
        world.begin_purchases()
    world.go_back(backup)
    assert "taken" in {one.what for one in world.recover().values()}
    return world


def expire(world: LostRun) -> set[str]:
    """All is forgotten that Redis keeps for a time; the jobs of which a record was."""
    gone = {str(key) for key in world.server.scan_iter("bide:{*}:*") if world.server.ttl(key) > 0}
    for key in gone:
        world.server.delete(key)
    return {key.rpartition(":")[2] for key in gone if ":job:" in key}


def nothing_stays(world: LostRun) -> bool:
    """Whether all that Redis has of a run that is over, and of its rows, goes in time."""
    keys = [*world.server.scan_iter("bide:run:*"), *world.server.scan_iter("bide:{*}:job:*")]
    return all(world.server.ttl(key) > 0 for key in keys)


def fail_in_line(world: LostRun, job_id: str) -> None:
    """A row fails before its submit, as by settings of its account, and its run writes that into the results."""
    world.ledger.accounts.admit(ACCOUNT)
    record = world.ledger.jobs.step(job_id, ACCOUNT, token="t").record
    assert record
    failure = Failure(code=FailureCode.INVALID_REQUEST, message="no credentials", job_id=job_id)
    world.ledger.jobs.conclude(record, "t", JobState.FAILED, error=failure.model_dump_json(), final=True)
    world.ledger.jobs.answered(ACCOUNT, job_id)
    world.runs.note("r", ready_since=1)
    world.feed()
    assert [line["row"] for line in world.lines()] == [1]


@pytest.mark.parametrize("whole", [False, True])
def test_a_row_that_failed_in_line_was_bought(whole: bool) -> None:
    """The run has counted the failure: the purchase is brought home as a job of its own."""
    world = LostRun()
    world.begin_with(pictures(6), budget=2 * WHOLE)
    backup = world.back_up()
    world.feed()
    world.begin_purchases()
    world.go_back({} if whole else backup)
    if whole:
        forget_objects(world)
        world.begin_with(pictures(6), budget=2 * WHOLE)
    world.feed()
    fail_in_line(world, "r.1")
    assert {one.what for one in world.recover().values()} == {"taken"}
    record = world.ledger.jobs.read(ACCOUNT, "r.1")
    assert record
    assert (record.state, record.text("pid"), record.text("run")) == (JobState.RUNNING, "p-r.1", "")
    world.to_its_end()
    assert world.states() == ["failed", *["succeeded"] * 5]
    assert set(world.submits.values()) == {1}
    assert "r.1" in world.stored


def test_an_exact_budget_has_room_for_what_is_paid() -> None:
    """The purchases of rows to come stand in it already: nothing more is asked for them, and the run ends."""
    ends_well(went_back(budget=12 * ROW), rows=12)


def test_a_paused_run_collects_them() -> None:
    """Their records are kept for a week; the run is resumed after that."""
    world = went_back()
    world.runs.pause("r", why="holidays")
    for _ in range(4):
        world.feed()
        world.begin_purchases()
        world.come_home()
    assert expire(world) == set()
    assert (world.run.state, world.run.number("row"), world.run.number("succeeded")) == ("paused", 5, 12)
    assert {one.what for one in world.recover().values()} == {"run"}
    world.runs.resume("r")
    ends_well(world, rows=12)
    assert nothing_stays(world)


def test_no_feeder_ran_until_their_records_were_gone() -> None:
    """They were bought, so that they are not bought again, whatever became of them."""
    world = went_back()
    world.begin_purchases()
    assert expire(world) == {f"r.{row}" for row in range(5, 9)}
    world.to_its_end()
    assert world.states() == [*["succeeded"] * 4, *["failed"] * 4, *["succeeded"] * 4]
    assert {line["error"]["code"] for line in world.lines()[4:8]} == {"lost"}
    assert set(world.submits.values()) == {1}


@pytest.mark.parametrize("first", ["canceled", "taken up"])
def test_a_run_that_is_canceled_reports_them_as_they_are(first: str) -> None:
    """Only rows that were not bought are canceled."""
    world = LostRun()
    world.begin_with(pictures(12), budget=2 * WHOLE)
    backup = world.back_up()
    world.feed()
    world.begin_purchases()
    world.go_back(backup)
    if first == "canceled":
        world.runs.cancel("r")
    world.recover()
    if first == "taken up":
        world.runs.cancel("r")
    world.to_its_end()
    assert (world.run.state, world.states()) == ("canceled", [*["succeeded"] * 8, *["canceled"] * 4])
    assert (world.run.number("spent"), world.run.number("reserved")) == (8 * ROW, 0)
    assert {line["spent"] for line in world.lines()[:8]} == {ROW / WHOLE}
    assert nothing_stays(world)


def test_a_canceled_run_whose_input_is_gone_ends() -> None:
    """Nothing can be compared: the jobs go on as jobs of their own, and Redis forgets them in time."""
    world = LostRun()
    world.begin_with(pictures(12), budget=2 * WHOLE)
    backup = world.back_up()
    world.feed()
    world.begin_purchases()
    world.go_back(backup)
    world.recover()
    forget_objects(world)
    world.runs.cancel("r")
    world.feed()
    assert world.run.state == "canceled"
    world.come_home()
    assert not world.server.exists("bide:run:r:bought", "bide:run:r:ahead")


def test_a_run_of_other_rows_has_the_name_since() -> None:
    """No purchase becomes a row that asked for something else, neither one that is claimed nor one to come."""
    world = LostRun()
    world.begin_with(pictures(6), budget=2 * WHOLE)
    world.feed()
    world.begin_purchases()
    world.go_back({})
    forget_objects(world)
    world.begin_with(pictures(6, metadata={"other": 1}), budget=2 * WHOLE, window=3)
    assert world.die_at(2, after=False)
    assert {live.kind for live in world.runs.live("r")} == {"c"}
    world.recover()
    world.to_its_end()
    assert world.states() == ["failed"] * 6
    assert {line["error"]["message"] for line in world.lines()} == {
        "its job id belongs to another job: give the run another name"
    }
    assert set(world.submits.values()) == {1}


def test_they_count_as_jobs_of_the_run() -> None:
    """`--max-jobs` holds: what was bought ahead is not bought besides."""
    world = went_back(max_jobs=8)
    world.to_its_end()
    assert world.states() == [*["succeeded"] * 8, *["skipped"] * 4]
    assert (world.run.number("jobs"), len(world.submits)) == (8, 8)


def test_one_that_goes_on_at_its_fallback_is_found_there() -> None:
    """It moves before its run's feeder has seen that it was taken up."""
    world = LostRun()
    fallback = {**SECOND._asdict(), "operation": "images.generation"}
    rows = [{**each, "fallbacks": [{**fallback, "params": each["params"]}]} for each in pictures(2)]
    world.begin_with(rows, budget=WHOLE)
    backup = world.back_up()
    world.feed()
    assert world.begin_purchases() == ["r.1", "r.2"]
    world.go_back(backup)
    world.recover()
    record = world.ledger.jobs.read(ACCOUNT, "r.1")
    assert record
    failure = Failure(code=FailureCode.GENERATION_FAILED, message="no", job_id="r.1", charged=Charged.NO)
    world.server.hset(f"{prefix(ACCOUNT)}job:r.1", "token", "p")  # a poller has it
    world.ledger.jobs.conclude(record, "p", JobState.FAILED, error=failure.model_dump_json())
    assert world.ledger.jobs.read(SECOND, "r.1")
    world.feed()
    assert {live.row: live.account for live in world.runs.live("r")} == {1: SECOND, 2: ACCOUNT}


def test_a_budget_of_an_earlier_release_counts_them() -> None:
    """It has no currency: the price of each row is reserved as the row becomes live, and spent with its result."""
    world = World(fakeredis.FakeRedis(decode_responses=True, version=(7,)))
    world.begin(some_rows(6), Options(window=2, budget=6_000_000, prices=PRICES))
    for row in (5, 6):
        request = GenerateRequest.model_validate({**some_rows(row)[-1], "priority": "bulk"})
        fields = new_fields(request, lane="", created=time.time(), deadline_seconds=900)
        lost = Lost(f"r.{row}", ACCOUNT, JobState.RUNNING, fields, request, 1, accepted=True, provider_job_id=f"p{row}")
        assert world.ledger.recovery.take_up(lost).what == "taken"
    world.feed()
    run = world.runs.read("r")
    assert run
    assert (run.number("reserved"), run.number("jobs")) == (2_000_000, 2)
    for row in (5, 6):
        world._finish(prefix(ACCOUNT), "due", f"r.{row}", "")
    world.run_to_its_end()
    run = world.runs.read("r")
    assert run
    assert (run.number("reserved"), run.number("spent"), run.number("succeeded")) == (0, 6_000_000, 6)
    assert set(world.bought.values()) == {1}


def test_a_feeder_of_an_earlier_release_was_first() -> None:
    """It passes the notes by, and finds the jobs when it comes to their rows: none of them is counted again."""
    world = went_back()
    noted: dict[Any, Any] = world.runs.bought("r")
    world.server.delete("bide:run:r:bought")
    for _ in range(3):
        world.come_home()
        world.feed()
    assert world.run.number("row") > 5
    world.server.hset("bide:run:r:bought", mapping=noted)
    ends_well(world, rows=12)
    assert nothing_stays(world)
