"""When to poll a job whose durations are known: the fewest polls for the least waiting.

Polls at ages t1 < t2 < ... of a job that ends at T cost one each, up to the first at or after T, and `weight` for each
second between T and that poll. For a known distribution the best sequence is a shortest path over a grid of ages.
Pure functions: no clock, no I/O.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from bide.polling.backoff import PollPlan
from bide.polling.durations import BINS, FAR, Sketch, edge_seconds

#: A part of an unknown job, added to those that are known: it may take anything [jobs].
STRANGERS = 0.5

#: The most ages that a poll schedule is made over. Older jobs are polled as seldom as the plan allows.
MOST_AGES = 160

#: Share of the jobs that get one more poll, earlier than the others: without it shorter jobs would go unnoticed.
#: The second share holds while there are signs that jobs have become shorter.
PROBES, DRIFT_PROBES = 0.04, 0.5

#: The earliest of these polls, as a part of the first one's age.
_EARLIEST_PROBE = 1 / 6

#: The most that a poll is put off by chance, as a share of its delay, so that jobs do not march in step.
_LATER = 0.02

#: How far a poll may lie beyond the plan's cap: a bin, so that jobs that take just as long are found by one poll. With
#: what is put off by chance it is still less than backoff's own jitter adds.
_BEYOND = 1.05

#: A step of the grid is no finer than this share of the plan's first delay, and no wider than this share of its cap.
_FINEST, _WIDEST = 0.25, 0.25


@dataclass(frozen=True)
class Distribution:
    """At a grid of ages: the share of jobs done by then, and the sum of their durations as a share [seconds]."""

    ages: Sequence[float]
    done: Sequence[float]
    spent: Sequence[float]

    @classmethod
    def of(cls, sketch: Sketch, ages: Sequence[float], *, shift: int = 0) -> Distribution:
        """The distribution of a sketch, its bins shifted by `shift`, with `STRANGERS` added."""
        weights = _with_strangers(sketch, shift)
        first, last = min(weights), max(weights)
        total = sum(weights.values())
        shares = [weights.get(place, 0.0) / total for place in range(first, last + 1)]
        edges = [edge_seconds(place) for place in range(first, last + 2)]
        middles = [(low + high) / 2 for low, high in pairwise(edges)]
        done = [0.0, *accumulate(shares)]
        spent = [0.0, *accumulate(share * middle for share, middle in zip(shares, middles, strict=True))]
        read = [_between(edges, done, spent, age) for age in ages]
        return cls(ages, [each[0] for each in read], [each[1] for each in read])

    def waiting(self, since: int, until: int) -> float:
        """The expected seconds for which jobs that end between two ages wait for the later poll."""
        return self.ages[until] * (self.done[until] - self.done[since]) - (self.spent[until] - self.spent[since])


def _with_strangers(sketch: Sketch, shift: int) -> dict[int, float]:
    known = {min(max(place + shift, 0), BINS - 1): weight for place, weight in sketch.weights.items()}
    low, high = max(min(known) - FAR, 0), min(max(known) + FAR, BINS - 1)
    each = STRANGERS / (high + 1 - low)
    return {place: known.get(place, 0.0) + each for place in range(low, high + 1)}


def _between(edges: list[float], done: list[float], spent: list[float], age: float) -> tuple[float, float]:
    place = bisect_right(edges, age) - 1
    if place < 0:
        return 0.0, 0.0
    if place >= len(edges) - 1:
        return done[-1], spent[-1]
    low, high = edges[place], edges[place + 1]
    part = (age - low) / (high - low)
    share = (done[place + 1] - done[place]) * part
    return done[place] + share, spent[place] + share * (low + age) / 2


def grid(plan: PollPlan, horizon_seconds: float) -> list[float]:
    """The ages at which a schedule may poll: the edges of the bins, thinned out where fine, filled up where wide."""
    ages = [0.0, plan.first_seconds]
    for place in range(1, BINS):
        age = edge_seconds(place)
        while age - ages[-1] > plan.cap_seconds * _WIDEST and len(ages) < MOST_AGES:
            ages.append(ages[-1] + plan.cap_seconds * _WIDEST)
        if age - ages[-1] >= plan.first_seconds * _FINEST:
            ages.append(age)
        if age > horizon_seconds or len(ages) >= MOST_AGES:
            break
    return ages


@dataclass(frozen=True)
class PollSchedule:
    """The next poll for each age, what it is expected to cost, and what the plan's own backoff would cost."""

    plan: PollPlan
    ages: Sequence[float]
    following: Sequence[int]
    polls: float
    delay_seconds: float
    plain_polls: float
    plain_delay_seconds: float
    drifting: bool = False

    def first(self, random_: random.Random | None = None) -> float:
        """Delay before the first poll [seconds]."""
        chance = random_.random if random_ else random.random
        wanted = self.next_age(0.0)
        if chance() < (DRIFT_PROBES if self.drifting else PROBES):
            wanted = max(wanted * _EARLIEST_PROBE ** chance(), self.plan.first_seconds)
        return wanted * (1 + _LATER * chance())

    def after(self, age_seconds: float, random_: random.Random | None = None) -> float:
        """Delay after a poll that found a job of this age still running [seconds]."""
        chance = random_.random if random_ else random.random
        return (self.next_age(age_seconds) - age_seconds) * (1 + _LATER * chance())

    def next_age(self, age_seconds: float) -> float:
        """The age of the next poll, at least the plan's first delay away and at most its cap and a bin."""
        place = bisect_right(self.ages, age_seconds) - 1
        wanted = self.ages[self.following[place]]
        least, cap = self.plan.first_seconds, self.plan.cap_seconds
        if place == len(self.ages) - 1:
            return age_seconds + cap
        return min(max(wanted, age_seconds + least), age_seconds + cap * _BEYOND)


def poll_schedule(sketch: Sketch, plan: PollPlan, *, shift: int = 0) -> PollSchedule:
    """The best poll schedule for what a sketch knows, within the bounds of a plan.

    Polls and waiting are weighed against each other as the plan does it: a tenth of the polls that its own backoff
    would take counts as much as a tenth of its delay. `shift` shifts the sketch by so many bins.
    """
    horizon = edge_seconds(max(sketch.weights) + shift + FAR)
    ages = grid(plan, horizon)
    known = Distribution.of(sketch, ages, shift=shift)
    plain = _cost(known, _plain(plan, ages))
    weight = plain[0] / max(plain[1], 1e-9)
    following = _best(known, plan, weight)
    polls, delay = _cost(known, list(_path(following)))
    return PollSchedule(plan, ages, following, polls, delay, *plain, drifting=sketch.drifting)


def _best(known: Distribution, plan: PollPlan, weight: float) -> list[int]:
    """For each age of the grid the index of the best next one: a shortest path, solved from its end."""
    ages, done, spent = known.ages, known.done, known.spent
    last = len(ages) - 1
    following = [last] * (last + 1)
    # What is still to pay at an age, plus what does not depend on where one comes from; the rest is a line in `done`.
    ahead = [0.0] * (last + 1)
    ahead[last] = _base(weight, known, last, (1 - done[last]) * (1 + weight * plan.cap_seconds / 2))
    for here in range(last - 1, -1, -1):
        low = bisect_right(ages, ages[here] + plan.first_seconds * 0.999, here + 1)
        high = max(bisect_right(ages, ages[here] + plan.cap_seconds * _BEYOND, here + 1), low + 1)
        low, high = min(low, last), min(high, last + 1)
        slope = weight * done[here]
        costs = [rest - slope * age for rest, age in zip(ahead[low:high], ages[low:high], strict=True)]
        cheapest = min(costs)
        following[here] = low + costs.index(cheapest)
        ahead[here] = _base(weight, known, here, cheapest + weight * spent[here] + 1 - done[here])
    return following


def _base(weight: float, known: Distribution, place: int, rest: float) -> float:
    return weight * (known.ages[place] * known.done[place] - known.spent[place]) + rest


def _path(following: Sequence[int]) -> Iterator[int]:
    here = 0
    while here < len(following) - 1:
        here = following[here]
        yield here


def _plain(plan: PollPlan, ages: Sequence[float]) -> list[int]:
    """The plan's own backoff, on the grid."""
    places, age, delay = [], 0.0, plan.first_seconds
    while (age := age + delay) < ages[-1]:
        places.append(bisect_right(ages, age) - 1)
        delay = min(delay * plan.factor, plan.cap_seconds)
    return [*places, len(ages) - 1]


def _cost(known: Distribution, places: Sequence[int]) -> tuple[float, float]:
    """Expected polls and expected delay [seconds] of polling at these places of the grid."""
    polls, delay, before = 0.0, 0.0, 0
    for place in places:
        polls += 1 - known.done[before]
        delay += known.waiting(before, place)
        before = place
    return polls, delay
