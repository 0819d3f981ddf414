"""What polling is compared with: costs by hand, and an optimum that nothing beats."""

from __future__ import annotations

import numpy as np
import pytest

from bench.polling_durations import Durations, synthetic
from bench.polling_learned import Learned
from bench.polling_schedules import all_tuned, best_of, cost_of, least_polls, optimum
from bide.polling.backoff import PollPlan


def some(name: str, count: int = 400) -> Durations:
    """The first jobs of a distribution."""
    found = next(each for each in synthetic(seed=5) if each.name.startswith(name))
    estimates = None if found.estimates is None else found.estimates[:count]
    return Durations(found.name, found.seconds[:count], found.regimes[:count], estimates)


def test_costs_by_hand() -> None:
    """Jobs of 3 and 10 s: every 4 s they take 1 and 3 polls and wait 1 and 2 s; 2-4-8 finds them at 6 and 14 s."""
    jobs = np.asarray([3.0, 10.0])

    assert cost_of(jobs, first_seconds=4.0) == (2.0, 1.5)
    assert cost_of(jobs, first_seconds=2.0, factor=2.0) == (2.5, 3.5)
    assert cost_of(jobs, first_seconds=2.0, factor=2.0, cap_seconds=4.0) == (2.5, 1.5)


@pytest.mark.parametrize("name", ["uniform", "log-normal, 20 s, sigma 0.5", "bimodal"])
def test_nothing_beats_the_optimum(name: str) -> None:
    """No tuned schedule takes fewer polls at its mean delay."""
    durations = some(name)
    hull = optimum(durations)

    for each in all_tuned(durations.seconds):
        if hull[0].delay_seconds <= each.cost.delay_seconds <= hull[-1].delay_seconds:
            assert each.cost.polls >= least_polls(hull, each.cost.delay_seconds) * 0.999


def test_the_best_tuned_is_no_slower() -> None:
    """Of those that are fast enough, the one with the fewest polls."""
    tuned = all_tuned(some("uniform").seconds)
    best = best_of(tuned, 2.0)

    assert best.cost.delay_seconds <= 2.0
    assert best.cost.polls == min(each.cost.polls for each in tuned if each.cost.delay_seconds <= 2.0)


@pytest.mark.parametrize("name", ["bimodal", "log-normal, 20 s, sigma 0.3", "5 to 80 s, estimates within"])
def test_learning_pays(name: str) -> None:
    """Once something is known, both polls and delay are well below those of plain backoff."""
    durations, plan = some(name, 800), PollPlan(2.0, 2.0, 60.0)
    learned = Learned(durations, plan).cost(since=200)
    plain = cost_of(durations.seconds, first_seconds=2.0, factor=2.0, cap_seconds=60.0)

    assert learned.polls < 0.65 * plain.polls
    assert learned.delay_seconds < 0.65 * plain.delay_seconds


def test_a_shift_is_lived_through() -> None:
    """200 jobs after a shift polls and delay are again what they were."""
    seconds = np.concatenate(
        [some("log-normal, 20 s, sigma 0.3").seconds, some("log-normal, 20 s, sigma 0.3").seconds / 4]
    )
    run = Learned(Durations("a shift", seconds, np.zeros(len(seconds), np.int64)), PollPlan(1.0, 2.0, 60.0))

    assert [shift for shift in run.shifts if 400 <= shift < 600]
    assert run.cost(since=600).delay_seconds < 3
    assert run.cost(since=600).polls < 2.5
