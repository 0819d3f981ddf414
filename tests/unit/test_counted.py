"""Numbers agree with their nouns."""

from __future__ import annotations

from collections import Counter

import fakeredis
import pytest

from bide.bulk.intake import Intake, Problem, take_in
from bide.bulk.rates import Estimate
from bide.bulk.reading import RawRow
from bide.bulk.record import Failures, Options
from bide.errors import InvalidRequestError
from bide.printable import counted
from tests.unit.bulk_world import World, row


@pytest.mark.parametrize(
    ("number", "words", "text"),
    [
        (0, ("row",), "0 rows"),
        (1, ("row",), "1 row"),
        (2, ("row",), "2 rows"),
        (1, ("row is", "rows are"), "1 row is"),
        (3, ("row is", "rows are"), "3 rows are"),
    ],
)
def test_a_number_has_its_noun(number: int, words: tuple[str, ...], text: str) -> None:
    """Also where the plural is not made by an s."""
    assert counted(number, *words) == text


@pytest.mark.parametrize(
    ("rows", "jobs", "line"),
    [
        (1, 1, "1 row, 1 job"),
        (2, 1, "2 rows, 1 job (1 row repeats another)"),
        (5, 2, "5 rows, 2 jobs (3 rows repeat others)"),
    ],
)
def test_an_estimate_counts(rows: int, jobs: int, line: str) -> None:
    """What a dry run prints first."""
    assert Estimate(rows, jobs, Counter(), None, {}).lines()[0] == line


@pytest.mark.parametrize(("wrong", "begins"), [(1, "1 row can't be bought"), (2, "2 rows can't be bought")])
def test_a_wrong_file_counts(wrong: int, begins: str) -> None:
    """What stops a run."""
    intake: Intake = take_in(RawRow(at, problem="is not JSON") for at in range(1, wrong + 1))
    try:
        assert intake.problems[0] == Problem(1, "is not JSON")
        with pytest.raises(InvalidRequestError, match=f"^{begins}, so none was"):
            intake.check()
    finally:
        intake.close()


def test_a_run_that_pauses_itself_counts() -> None:
    """Its first row failed, and one is too many."""
    world = World(fakeredis.FakeRedis(decode_responses=True, version=(7,)))
    world.begin([row("a fox"), row("a crow")], Options(window=1, max_failures=Failures(count=0)))
    for _ in range(4):
        world.feed()
        world.finish_jobs("fox")
    run = world.runs.read("r")
    assert run is not None
    assert run.text("note") == "1 of 1 row failed, more than --max-failures 0 allows"
