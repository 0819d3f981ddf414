"""The sketch of durations: it stays small, forgets, adds up, and notices when it no longer holds."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bide.polling.durations import ALARM, BINS, HALF_LIFE_JOBS, KNOWN_JOBS, Sketch, bin_of, edge_seconds, merged

ages = st.floats(0, 1e7, allow_nan=False)
intervals = st.tuples(ages, ages).map(lambda pair: (min(pair), max(pair)))


def sketch_of(*intervals: tuple[float, float]) -> Sketch:
    """What is known after these jobs."""
    sketch = Sketch()
    for after, by in intervals:
        sketch = sketch.observed(after, by)
    return sketch


def exact(*durations: float) -> Sketch:
    """What is known after jobs that were watched closely."""
    return sketch_of(*((duration * 0.999, duration) for duration in durations))


@given(st.lists(intervals, max_size=60))
def test_whatever_is_observed_the_sketch_is_small_and_sound(observed: list[tuple[float, float]]) -> None:
    """No weight is negative, no bin outside the range, and it stands for no more jobs than there were."""
    sketch = sketch_of(*observed)

    assert all(0 <= place < BINS and weight > 0 for place, weight in sketch.weights.items())
    assert len(sketch.weights) <= BINS
    assert sketch.weight <= len(observed) + 1e-9
    assert sketch.jobs == len(observed)
    assert 0 <= sketch.shorter < ALARM
    assert 0 <= sketch.longer < ALARM


@given(st.floats(0.3, 1e6))
def test_a_bin_holds_its_durations(seconds: float) -> None:
    """A duration lies between the edges of its bin, which are 5 % apart at most."""
    place = bin_of(seconds)

    assert edge_seconds(place) <= seconds * (1 + 1e-9)
    if place < BINS - 1:
        assert seconds <= edge_seconds(place + 1) * (1 + 1e-9)
        assert place == 0 or edge_seconds(place + 1) / edge_seconds(place) < 1.05


@given(st.lists(st.floats(0.5, 1e5), min_size=1, max_size=40), st.lists(st.floats(0, 1), min_size=2, max_size=8))
def test_quantiles_rise(durations: list[float], shares: list[float]) -> None:
    """A larger share takes no less time, and all lie among what was seen."""
    found = exact(*durations).quantiles_seconds(*sorted(shares))

    assert found == sorted(found)
    assert found[-1] <= max(durations) * 1.1


def test_quantiles_are_near_the_truth() -> None:
    """200 log-normal jobs, each known only to within a poll, give median and spread within a tenth or two."""
    chance = random.Random(7)
    sketch = Sketch()
    for _ in range(200):
        duration, poll, before = 20 * chance.lognormvariate(0, 0.3), 0.0, 0.0
        while poll < duration:
            before, poll = poll, poll + chance.uniform(3, 6)
        sketch = sketch.observed(before, poll)

    tenth, half, most = sketch.quantiles_seconds(0.1, 0.5, 0.9)
    assert half == pytest.approx(20, rel=0.1)
    assert tenth == pytest.approx(20 * 0.68, rel=0.2)
    assert most == pytest.approx(20 * 1.47, rel=0.2)


def test_censored_jobs_sharpen_each_other() -> None:
    """Two overlapping intervals, seen often, mean that jobs end where they overlap."""
    sketch = sketch_of(*[(6.0, 12.0), (9.0, 15.0)] * 40)

    inside = sum(weight for place, weight in sketch.weights.items() if bin_of(9) <= place <= bin_of(12))
    assert inside / sketch.weight > 0.85


def test_old_jobs_count_less() -> None:
    """After one half-life as much is left of the old as the name says, and in the end nothing."""
    old = exact(*[10.0] * HALF_LIFE_JOBS)
    place = bin_of(10 * 0.9995)
    # Jobs within what was known, so that this is forgetting and no shift.
    young = old
    for _ in range(HALF_LIFE_JOBS):
        young = young.discounted(1000).observed(9.0, 9.01)

    assert young.weights[place] == pytest.approx(old.weights[place] / 2, rel=0.02)
    for _ in range(20 * HALF_LIFE_JOBS):
        young = young.discounted(1000).observed(9.0, 9.01)
    assert place not in young.weights


@given(st.lists(intervals, max_size=20), st.lists(intervals, max_size=20))
def test_sketches_add_up(some: list[tuple[float, float]], others: list[tuple[float, float]]) -> None:
    """Merging adds the weights, in either order, and nothing merged is nothing known."""
    one, other = sketch_of(*some), sketch_of(*others)

    assert merged([one, other]).weights == pytest.approx(merged([other, one]).weights)
    assert merged([one, other]).weight == pytest.approx(one.weight + other.weight)
    assert merged([]) == Sketch()


@pytest.mark.parametrize("factor", [0.3, 4.0], ids=["shorter", "longer"])
def test_a_shift_is_noticed(factor: float) -> None:
    """When jobs take a third or four times as long, what was known is given up within ten of them."""
    chance = random.Random(1)
    sketch = exact(*(10 * chance.lognormvariate(0, 0.2) for _ in range(200)))
    assert sketch.known

    given_up = 0
    for number in range(1, 11):
        duration = 10 * factor * chance.lognormvariate(0, 0.2)
        sketch = sketch.observed(duration * 0.8, duration * 1.1)
        if not sketch.known:
            given_up = number
            break

    assert 0 < given_up <= 10
    assert sketch.weight < KNOWN_JOBS


def test_what_holds_is_not_given_up() -> None:
    """2,000 jobs of one distribution raise no alarm, whether they are watched closely or not."""
    chance = random.Random(2)
    sketch = Sketch()
    for number in range(2000):
        duration = 20 * chance.lognormvariate(0, 0.5)
        sketch = sketch.observed(duration * chance.uniform(0, 1), duration * chance.uniform(1, 1.5))
        assert number < KNOWN_JOBS * 2 or sketch.known


def test_nothing_known() -> None:
    """An empty sketch answers all the same."""
    assert Sketch().quantiles_seconds(0.5) == [0.0]
    assert not Sketch().known
    assert 0 < Sketch().likelihood(1, 2) <= 1
