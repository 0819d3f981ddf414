"""DurationModel: estimates are believed when they have proved right, and what the ledger holds may be anything."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bide.polling.backoff import PollPlan
from bide.polling.duration_model import HONEST, DurationModel
from bide.polling.durations import Sketch, edge_seconds
from bide.polling.schedule import poll_schedule


def lived(jobs: int, *, honest: bool) -> DurationModel:
    """After jobs of 5 to 80 s, whose estimates are right within a tenth, or mean nothing."""
    chance = random.Random(11)
    duration_model = DurationModel()
    for _ in range(jobs):
        took, guess = 5 * 16 ** chance.random(), 5 * 16 ** chance.random()
        estimate = took * chance.uniform(0.9, 1.1) if honest else guess
        duration_model = duration_model.observed(took * 0.8, took * 1.1, estimate_seconds=estimate)
    return duration_model


def test_honest_estimates_are_gone_by() -> None:
    """Each job is then looked at when its own estimate says, although jobs take anything from 5 to 80 s."""
    duration_model = lived(100, honest=True)

    assert duration_model.honesty >= HONEST
    for estimate in (6.0, 20.0, 70.0):
        found = duration_model.about(estimate)
        assert found is not None
        sketch, shift = found
        middle = sketch.quantiles_seconds(0.5)[0] * 2 ** (shift / 16)
        assert middle == pytest.approx(estimate, rel=0.2)
        first = poll_schedule(sketch, PollPlan(1, 2, 100), shift=shift).next_age(0)
        assert 0.9 * estimate < first < 1.7 * estimate


def test_estimates_that_mean_nothing_are_not() -> None:
    """Durations alone predict better."""
    duration_model = lived(100, honest=False)

    assert duration_model.honesty < HONEST
    assert duration_model.about(6.0) == (duration_model.durations, 0) == duration_model.about()


def test_nothing_is_gone_by_before_it_is_known() -> None:
    """Seven jobs are too few, ten are enough."""
    assert lived(7, honest=True).about(6.0) is None
    assert lived(10, honest=True).about() is not None


@given(
    st.lists(st.tuples(st.floats(0, 1e5), st.floats(0, 1e5), st.none() | st.floats(0, 1e6)), max_size=30),
)
def test_it_can_be_written_and_read(jobs: list[tuple[float, float, float | None]]) -> None:
    """What is read stands for the same jobs, and writing it again gives the same text."""
    duration_model = DurationModel()
    for after, more, estimate in jobs:
        duration_model = duration_model.observed(after, after + more, estimate_seconds=estimate)

    again = DurationModel.from_text(duration_model.to_text())
    assert again.durations.weights == pytest.approx(duration_model.durations.weights, rel=0.01)
    assert (again.durations.jobs, again.multiples.jobs) == (
        duration_model.durations.jobs,
        duration_model.multiples.jobs,
    )
    assert again.to_text() == duration_model.to_text()
    assert len(again.to_text()) < 8000


@given(st.text(alphabet="0123456789|: .-einfa", max_size=60))
@pytest.mark.parametrize("start", ["", "1|", "1|0|3 0 0 ", "2|0|1 0 0 5:1|0 0 0"])
def test_what_cannot_be_read_is_no_experience(start: str, rest: str) -> None:
    """Nothing that stands in the ledger breaks a poll or a submit: it is understood, or as if it were not there."""
    duration_model = DurationModel.from_text(start + rest)

    found = duration_model.about(10.0)
    assert found is None or poll_schedule(found[0], PollPlan(2, 2, 30), shift=found[1]).next_age(0) > 0


def test_a_later_version_is_not_misread() -> None:
    """It counts as nothing known."""
    text = lived(50, honest=True).to_text()
    assert DurationModel.from_text("2" + text[1:]) == DurationModel()
    assert DurationModel.from_text(text) != DurationModel()


def test_edges() -> None:
    """Estimates of nothing, of nearly nothing or of years are none."""
    one = DurationModel(Sketch({10: 20.0}), Sketch({10: 20.0}), honesty=9.0)
    for estimate in (None, 0.0, -3.0, 0.01, 1e9, float("nan"), float("inf")):
        assert one.about(estimate) == (one.durations, 0)
    assert edge_seconds(10) > 0
