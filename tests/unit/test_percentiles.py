"""Percentiles agree with the standard library's, for few values and for many."""

from __future__ import annotations

from array import array
from statistics import median, quantiles

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.figures import spread as figures_of
from bide.bulk.summary import Tally
from bide.percentiles import percentiles
from tests.faults.chaos.verdict import spread

SECONDS = st.lists(st.floats(0, 1e6), min_size=2, max_size=300)


@given(SECONDS)
def test_they_are_those_of_the_standard_library(values: list[float]) -> None:
    """In any order, from a list or an array; the 50th is the median."""
    wanted = (1, 50, 90, 95, 99)
    by_library = quantiles(values, n=100, method="inclusive")
    assert percentiles(array("d", values), *wanted) == [by_library[each - 1] for each in wanted]
    assert percentiles(values, 50) == pytest.approx([median(values)])


@pytest.mark.parametrize(
    ("values", "expected"), [([], []), ([7.0], [7.0, 7.0]), ([1.0, 3.0], [2.0, 2.9]), ([2.0, 1.0, 3.0], [2.0, 2.9])]
)
def test_few_values(values: list[float], expected: list[float]) -> None:
    """Two values are no reason to report the smaller one alone."""
    assert percentiles(values, 50, 95) == pytest.approx(expected)


def test_a_summary_of_two_rows() -> None:
    """Its percentiles lie between the two."""
    tally = Tally(2)
    for row, second in ((1, 1), (2, 3)):
        line = {"row": row, "state": "succeeded", "error": None, "polls": 1, "outputs": []}
        line |= {"submitted_at": "2026-11-30T00:00:00+00:00", "finished_at": f"2026-11-30T00:00:0{second}+00:00"}
        tally.add(line)
    assert tally.percentiles() == {"p50": 2.0, "p90": 2.8, "p95": 2.9, "p99": 2.98}
    assert Tally(0).percentiles() == {}


def test_the_tables_of_benches_and_of_the_proof() -> None:
    """They count in the same way."""
    assert spread([3.0, 1.0]) == [2.0, 2.9, 3.0]
    assert spread([]) == []
    found = figures_of("late", [3.0, 1.0])
    assert (found["late_p50"], found["late_p95"], found["late_max"]) == pytest.approx((2.0, 2.9, 3.0))
