"""The poll schedule: bounded by its plan, no worse than the plan's own backoff, the best where checked."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from bide.polling.backoff import JITTER, PollPlan
from bide.polling.durations import BINS, Sketch, edge_seconds
from bide.polling.schedule import MOST_AGES, Distribution, PollSchedule, grid, poll_schedule

sketches = st.dictionaries(st.integers(0, BINS - 1), st.floats(0.01, 50), min_size=1, max_size=40).map(
    lambda weights: Sketch(weights, jobs=100)
)
plans = st.builds(
    lambda first, factor, cap: PollPlan(first, factor, cap * first),
    st.floats(0.2, 300),
    st.floats(1, 4),
    st.floats(1, 50),
)


def around(*durations: float, spread: float = 0.1) -> Sketch:
    """100 jobs for each of these durations, watched closely."""
    chance = random.Random(3)
    sketch = Sketch()
    for _ in range(100):
        for duration in durations:
            took = duration * chance.lognormvariate(0, spread)
            sketch = sketch.observed(took * 0.99, took)
    return sketch


def looks(table: PollSchedule, until_seconds: float) -> list[float]:
    """The ages of all looks at a job that does not end."""
    ages = [0.0]
    while ages[-1] < until_seconds:
        ages.append(table.next_age(ages[-1]))
    return ages[1:]


@settings(deadline=None, max_examples=40, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(sketches, plans, st.floats(0, 1e6), st.integers(-60, 60))
def test_the_plan_bounds_every_delay(sketch: Sketch, plan: PollPlan, age: float, shift: int) -> None:
    """Whatever was learned, two looks are the plan's first delay apart at least, and its cap with jitter at most."""
    table = poll_schedule(sketch, plan, shift=shift)
    least, most, rounding = plan.first_seconds * 0.999, plan.cap_seconds * (1 + JITTER), 1e-6 * age

    assert len(table.ages) <= MOST_AGES + 1
    assert least - rounding <= table.next_age(age) - age <= most + rounding
    chance = random.Random(0)
    assert least <= table.first(chance) <= most
    assert least - rounding <= table.after(age, chance) <= most + rounding


@settings(deadline=None, max_examples=40, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(sketches, plans)
def test_it_is_not_worse_than_backoff(sketch: Sketch, plan: PollPlan) -> None:
    """By its own measure, looks and waiting each as a share of what backoff takes, it costs no more than backoff.

    Within a tenth: where a plan's cap is hardly more than its first delay, few ages lie between them to choose from.
    """
    table = poll_schedule(sketch, plan)

    cost = table.polls / table.plain_polls + table.delay_seconds / max(table.plain_delay_seconds, 1e-6)
    assume(table.ages[-1] > edge_seconds(max(sketch.weights)) and plan.cap_seconds > 2 * plan.first_seconds)
    assert cost <= 2.2


def test_jobs_that_take_alike_are_looked_at_when_they_are_done() -> None:
    """One look where backoff takes four, right after the time that jobs take."""
    table = poll_schedule(around(20, spread=0.03), PollPlan(2, 2, 30))

    first = looks(table, 20)[0]
    assert 20 < first < 24
    assert table.polls < 1.2
    assert table.plain_polls > 3


def test_two_kinds_of_jobs_are_looked_at_twice() -> None:
    """A look after the short ones, then none until the long ones are done."""
    table = poll_schedule(around(6, 45), PollPlan(2, 2, 60))

    first, second = looks(table, 40)[:2]
    assert 6 < first < 10
    assert 42 < second < 60


def test_jobs_that_take_just_the_cap_are_found_by_one_look() -> None:
    """The bin in which they end lies across the cap: a look before it would be for nothing."""
    table = poll_schedule(around(10, spread=0.003), PollPlan(1.0, 1.5, 10.0))

    assert 10 <= table.next_age(0.0) <= 10.5
    assert table.polls < 1.2


def test_far_jobs_are_looked_at_as_seldom_as_the_cap_allows() -> None:
    """The cap holds whatever was learned: one who errs is a cap late at most."""
    ages = looks(poll_schedule(around(200), PollPlan(2, 2, 30)), 200)

    assert max(later - earlier for earlier, later in itertools.pairwise([0.0, *ages])) <= 30 * 1.05
    assert len(ages) <= 12


def test_a_moved_sketch_is_one_of_longer_jobs() -> None:
    """16 bins further, all takes twice as long."""
    plan = PollPlan(1, 2, 500)
    first = looks(poll_schedule(around(20), plan), 20)[0]
    assert looks(poll_schedule(around(20), plan, shift=16), 40)[0] == pytest.approx(2 * first, rel=0.05)


def test_it_is_the_best_there_is() -> None:
    """On a small grid no sequence of looks costs less: all of them are tried."""
    plan = PollPlan(8, 1.5, 32)
    sketch = around(25, 60, spread=0.2)
    ages = grid(plan, 90.0)[:16]
    known = Distribution.of(sketch, ages)
    table = poll_schedule(sketch, plan)
    weight = table.plain_polls / table.plain_delay_seconds
    full = Distribution.of(sketch, table.ages)

    def cost(distribution: Distribution, places: list[int]) -> float:
        total, before = 0.0, 0
        for place in places:
            total += 1 - distribution.done[before] + weight * distribution.waiting(before, place)
            before = place
        return total

    chosen, here = [], 0
    while here < len(table.ages) - 1:
        here = table.following[here]
        chosen.append(here)
    reached = next(number for number, place in enumerate(chosen) if place >= len(ages) - 1 or table.ages[place] > 60)
    mine, end = chosen[: reached + 1], chosen[reached]
    middle = list(range(1, end))
    best = min(
        cost(full, [*some, end])
        for count in range(4)
        for some in itertools.combinations(middle, count)
        if all(
            plan.first_seconds * 0.999 <= table.ages[later] - table.ages[earlier] <= plan.cap_seconds * 1.05
            for earlier, later in itertools.pairwise([0, *some, end])
        )
    )
    assert known.done[0] == 0
    assert cost(full, mine) == pytest.approx(best)


def test_some_jobs_are_looked_at_early() -> None:
    """One in 25, so that it shows when jobs become shorter; half of them when there are signs of it."""
    sketch = around(20, spread=0.05)
    calm = poll_schedule(sketch, PollPlan(2, 2, 30))
    drifting = poll_schedule(Sketch(sketch.weights, shorter=6.0, jobs=sketch.jobs), PollPlan(2, 2, 30))
    chance = random.Random(5)

    usual = calm.next_age(0)
    early = [sum(table.first(chance) < usual * 0.999 for _ in range(2000)) for table in (calm, drifting)]
    assert 40 <= early[0] <= 120
    assert 850 <= early[1] <= 1150
