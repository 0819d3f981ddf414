"""Limits of runs: budgets, numbers of jobs and failures, which a run never passes, and money, which is exact."""

from __future__ import annotations

import pytest

from bide.bulk.record import Failures, Options
from bide.errors import InvalidRequestError
from bide.ledger.keys import prefix
from bide.money.amounts import millionths
from tests.unit.bulk_world import ACCOUNT, PRICES, World, row, some_rows

WHOLE = 1_000_000


def test_a_budget_is_never_passed_and_a_larger_one_goes_on(world: World) -> None:
    """What is reserved counts; the run says why it pauses."""
    world.begin(some_rows(10), Options(window=8, budget=5 * WHOLE, prices=PRICES))
    for _ in range(8):
        world.feed()
        world.finish_jobs()
    paused = world.runs.read("r")
    assert paused is not None
    assert (paused.state, len(world.bought), paused.number("spent")) == ("paused", 5, 5 * WHOLE)
    assert "budget of 5" in paused.text("note")

    assert world.runs.resume("r", Options(budget=20 * WHOLE))
    world.run_to_its_end()
    assert world.states() == ["succeeded"] * 10


def test_what_was_not_bought_is_given_back_to_the_budget(world: World) -> None:
    """A refused row costs nothing, so that another can be bought."""
    world.begin([row("a", on_unknown="resubmit"), *some_rows(3)], Options(budget=3 * WHOLE, prices=PRICES))
    world.feed()
    run = world.runs.read("r")
    assert run is not None
    assert run.number("reserved") == 3 * WHOLE  # the first row may be bought twice
    world.run_to_its_end_or_pause()
    assert len(world.bought) == 3


def test_max_jobs_leaves_the_rest_out(world: World) -> None:
    """Rows beyond it end as skipped, with the reason."""
    world.begin(some_rows(9), Options(window=4, max_jobs=5))
    world.run_to_its_end()

    assert world.states() == ["succeeded"] * 5 + ["skipped"] * 4
    assert "max-jobs" in world.lines()[-1]["error"]["message"]
    assert world.summary()["skipped"] == 4


def test_too_many_failures_pause_a_run_which_says_why(world: World) -> None:
    """Rows in line are taken back; when it is resumed it goes on as far again."""
    world.begin(some_rows(30), Options(window=10, max_failures=Failures.parse("3")))
    for _ in range(4):
        world.feed()
        world.finish_jobs(fails="fox", most=4)
    run = world.runs.read("r")
    assert run is not None
    assert run.state == "paused"
    assert "--max-failures 3" in run.text("note")
    assert len(world.bought) < 12
    assert {live.kind for live in world.runs.live("r")} <= {"c", "o"}
    assert not world.server.zcard(f"{prefix(ACCOUNT)}queued")

    assert world.runs.resume("r")
    world.run_to_its_end()
    assert sum(state == "failed" for state in world.states()) <= 12


@pytest.mark.parametrize(
    ("text", "passed", "kept"), [("3", (4, 9), (3, 9)), ("5%", (3, 50), (2, 50)), ("0", (1, 1), (0, 1))]
)
def test_limits_of_failures(text: str, passed: tuple[int, int], kept: tuple[int, int]) -> None:
    """A count, or a share of what is done, from twenty rows on."""
    limit = Failures.parse(text)
    assert str(limit) == text
    assert limit.passed_by(*passed)
    assert not limit.passed_by(*kept)
    assert not Failures.parse("5%").passed_by(19, 19)


@pytest.mark.parametrize("text", ["", "-1", "x", "5 %%", "101%", "1.5"])
def test_what_is_no_limit_is_refused(text: str) -> None:
    """With what would be one."""
    with pytest.raises(InvalidRequestError, match="max failures"):
        Failures.parse(text)


def test_money_is_exact() -> None:
    """Ten times a tenth is one."""
    assert 10 * millionths("0.1", what="price") == WHOLE
    for wrong in ("x", "-1", "nan", "1e99", None):
        with pytest.raises(InvalidRequestError, match="price"):
            millionths(wrong, what="price")
