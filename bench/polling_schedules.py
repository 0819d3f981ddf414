"""Schedules that learn nothing, tuned by one who knows all durations beforehand, and the best that there can be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from bench.polling_durations import Array, Durations

#: What is tried as the first delay, the factor, and the cap as a multiple of the first delay.
FIRSTS, FACTORS, CAPS = 250, (1.0, 1.1, 1.25, 1.5, 2.0, 3.0), (4.0, 16.0, 1e9)

#: No schedule with more polls than this for the longest job is tried.
MOST_POLLS = 3000

#: Weights of a second of delay for which the optimum is computed [polls], and the jobs it is computed from.
WEIGHTS, OPTIMUM_JOBS = np.geomspace(3e-4, 30, 40), 1500


class Cost(NamedTuple):
    """Means over all jobs."""

    polls: float
    delay_seconds: float


@dataclass(frozen=True)
class Tuned:
    """One schedule, and what it costs."""

    first_seconds: float
    factor: float
    cap_seconds: float
    cost: Cost

    def __str__(self) -> str:
        if self.factor == 1:
            return f"every {self.first_seconds:.3g} s"
        cap = f" up to {self.cap_seconds:.3g} s" if self.cap_seconds < 1e6 else ""
        return f"{self.first_seconds:.3g} s times {self.factor:g}{cap}"


def cost_of(durations: Array, *, first_seconds: float, factor: float = 1.0, cap_seconds: float = 1e12) -> Cost:
    """What a fixed or exponential schedule costs."""
    polls = _polls(float(durations.max()), first_seconds, factor, cap_seconds)
    place = np.searchsorted(polls, durations)
    return Cost(float((place + 1).mean()), float((polls[place] - durations).mean()))


def _polls(longest_seconds: float, first_seconds: float, factor: float, cap_seconds: float) -> Array:
    polls, delay = [first_seconds], first_seconds
    while polls[-1] < longest_seconds:
        delay = min(delay * factor, cap_seconds)
        polls.append(polls[-1] + delay)
    return np.asarray(polls)


def all_tuned(durations: Array) -> list[Tuned]:
    """Every fixed and exponential schedule on a fine grid of parameters."""
    return list(_all_tuned(durations))


def _all_tuned(durations: Array) -> Iterator[Tuned]:
    longest = float(durations.max())
    for first in map(float, np.geomspace(0.25, longest, FIRSTS)):
        for factor in FACTORS:
            if factor == 1 and longest / first > MOST_POLLS:
                continue
            for cap in CAPS if factor > 1 else (1.0,):
                cost = cost_of(durations, first_seconds=first, factor=factor, cap_seconds=first * cap)
                yield Tuned(first, factor, first * cap, cost)


def best_of(tuned: list[Tuned], delay_seconds: float) -> Tuned:
    """The fewest polls among schedules that are no slower than this."""
    fast = [each for each in tuned if each.cost.delay_seconds <= delay_seconds]
    return min(fast or tuned, key=lambda each: each.cost.polls if fast else each.cost.delay_seconds)


def optimum(durations: Durations) -> list[Cost]:
    """The least polls for each mean delay, by delay: the bound that no schedule passes, whatever it learns.

    Polls are best placed at the very moments at which jobs end, so those are the grid; each weight of delay gives one
    point of the convex hull. An oracle knows which regime rules.
    """
    groups = [durations.seconds[durations.regimes == regime] for regime in np.unique(durations.regimes)]
    points = []
    for weight in map(float, WEIGHTS):
        costs = [_optimum(group[:OPTIMUM_JOBS], weight) for group in groups]
        shares = [len(group) / len(durations.seconds) for group in groups]
        polls = sum(share * cost.polls for share, cost in zip(shares, costs, strict=True))
        points.append(Cost(polls, sum(share * cost.delay_seconds for share, cost in zip(shares, costs, strict=True))))
    return sorted(points, key=lambda cost: cost.delay_seconds)


def least_polls(hull: list[Cost], delay_seconds: float) -> float:
    """The bound at a mean delay."""
    return float(np.interp(delay_seconds, [cost.delay_seconds for cost in hull], [cost.polls for cost in hull]))


def _optimum(seconds: Array, weight: float) -> Cost:
    """The schedule that minimises polls plus `weight` times delay: a shortest path, solved from its end."""
    ordered = np.sort(seconds)
    ages = np.unique(np.concatenate([[0.0], ordered]))
    ended = np.searchsorted(ordered, ages, side="right")
    done = ended / len(seconds)
    spent = np.concatenate([[0.0], np.cumsum(ordered)])[ended] / len(seconds)
    last = len(ages) - 1
    ahead, following = weight * (ages * done - spent), np.zeros(last + 1, np.int64)
    for here in range(last - 1, -1, -1):
        costs = ahead[here + 1 :] - weight * done[here] * ages[here + 1 :]
        place = int(costs.argmin())
        following[here] = here + 1 + place
        ahead[here] += costs[place] + weight * spent[here] + 1 - done[here]
    polls = delay = 0.0
    here = 0
    while here < last:
        there = int(following[here])
        polls += 1 - done[here]
        delay += ages[there] * (done[there] - done[here]) - (spent[there] - spent[here])
        here = there
    return Cost(float(polls), float(delay))
