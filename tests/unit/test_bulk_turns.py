"""How rows of runs share an account: by turns, behind interactive jobs, never all of its places."""

from __future__ import annotations

import pytest

from bide.bulk.names import job_id, run_prefix
from bide.bulk.runs import Runs
from bide.bulk.scripts import OpenedRow
from bide.ledger import Limits
from tests.contract.ledger_stage import ACCOUNT, Stage, request_of


@pytest.fixture
def stage(stage: Stage) -> Stage:
    """A ledger in memory that goes by its server's clock, as the scripts of runs do."""
    stage.clock.now = float(stage.server.time()[0])
    return stage


#: What a run notes of a row that is claimed.
CLAIMED = "c 0 1 0 photogpt/default"


def open_rows(stage: Stage, run_id: str, *rows: int) -> int:
    """Rows of a run, claimed and then put in line; how many were."""
    for row in rows:
        stage.server.hset(f"{run_prefix(run_id)}live", str(row), CLAIMED)
    return open_claimed(stage, run_id, *rows)


def open_claimed(stage: Stage, run_id: str, *rows: int) -> int:
    """Put rows in line that a feeder takes for claimed."""
    request = request_of(priority="bulk")
    opened = [
        OpenedRow(
            row=str(row),
            live=CLAIMED,
            id=job_id(run_id, row),
            request=request.to_json(),
            signature="{}",
            operation=request.operation,
            allowed_seconds="600",
            fingerprint=request.fingerprint(),
        )
        for row in rows
    ]
    return Runs(stage.server).open(run_id, ACCOUNT, opened)


def let_in(stage: Stage, most: int = 200) -> list[str]:
    """The jobs whose hints are under way."""
    return [hint.job_id for hint in stage.ledger.accounts.admit(ACCOUNT, most=most).hints]


def test_runs_take_turns(stage: Stage) -> None:
    """A run that comes later does not wait for all rows of the first, and the first goes on meanwhile."""
    open_rows(stage, "large", *range(1, 9))
    assert let_in(stage, most=2) == ["large.1", "large.2"]
    open_rows(stage, "small", 1, 2)
    open_rows(stage, "large", 9)

    assert set(let_in(stage, most=4)) == {"large.3", "large.4", "small.1", "small.2"}
    assert let_in(stage) == [f"large.{row}" for row in range(5, 10)]


def test_rows_leave_places_to_interactive_jobs(stage: Stage) -> None:
    """Of ten places one; an interactive job gets it at once, and more rows do not."""
    stage.limits[ACCOUNT] = Limits(max_in_flight=10)
    open_rows(stage, "r", *range(1, 20))
    assert len(let_in(stage)) == 9

    stage.open("interactive")
    assert let_in(stage) == ["interactive"]


def test_an_account_with_few_places_keeps_none_back(stage: Stage) -> None:
    """Of two places none: half of the account would idle."""
    stage.limits[ACCOUNT] = Limits(max_in_flight=2)
    open_rows(stage, "r", 1, 2, 3)
    assert let_in(stage) == ["r.1", "r.2"]


def test_a_row_that_went_calls_up_others(stage: Stage) -> None:
    """Sixteen hints are sent at once; once a job is at the provider more follow, without the feeder."""
    open_rows(stage, "r", *range(1, 40))
    first, *others = let_in(stage)
    assert len(others) == 15

    step = stage.resume(first, token="t")
    assert step.record is not None
    attempt = stage.ledger.submits.intend(step.record, "t")
    messages = stage.ledger.submits.submitted(
        step.record, "t", attempt=attempt, provider_job_id="p", first_poll_seconds=2
    )
    assert [hint.job_id for hint in messages.hints] == ["r.17"]


def test_a_row_is_opened_once(stage: Stage) -> None:
    """The note that it was opened is written with its record: a feeder whose lease has passed on does nothing."""
    assert open_rows(stage, "r", 1) == 1
    assert open_claimed(stage, "r", 1) == 0
    assert stage.server.hget(f"{run_prefix('r')}live", "1") == "o 0 1 0 photogpt/default"


def test_a_row_whose_id_is_taken_gets_no_job(stage: Stage) -> None:
    """Another caller's job of that name is left alone."""
    stage.open("r.1")
    assert open_rows(stage, "r", 1, 2) == 1
    assert stage.server.hget(f"{run_prefix('r')}live", "1") == "x 0 1 0 photogpt/default"
