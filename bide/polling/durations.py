"""How long jobs take: a small sketch that forgets, learned from what polls tell, and notices when it no longer holds.

A poll never says when a job ended, only that it ran at one poll and was done at the next. Such a job counts for
all the times between, each as much as the sketch so far makes it likely (the self-consistent estimate of Turnbull,
one step of EM for each job). All functions are pure: no clock, no I/O.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import accumulate

#: Bins are log-spaced, so that a sketch is equally sharp at seconds and at hours: each is 4.4 % wide.
BINS_PER_OCTAVE = 16

#: Where the first bin, which begins at 0, would begin [seconds], and how many there are: the last ends after 12 days.
LEAST_SECONDS, BINS = 0.25, 22 * BINS_PER_OCTAVE

_EDGES: tuple[float, ...] = (0.0, *(LEAST_SECONDS * 2.0 ** (place / BINS_PER_OCTAVE) for place in range(1, BINS + 1)))

#: How far from the middle a job may still end of which nothing is known, in bins: a factor of 16.
FAR = 4 * BINS_PER_OCTAVE

#: After so many jobs one counts for half.
HALF_LIFE_JOBS = 64
_DECAY = 0.5 ** (1 / HALF_LIFE_JOBS)

#: Less weight than this is forgotten whole [jobs].
_NOTHING = 1e-3

#: What is believed of durations before any is known: one job, spread evenly over all bins [jobs].
_PRIOR = 1.0 / BINS

#: From how many jobs on (in weight) a sketch is worth a poll schedule, and how many of one that no longer holds stay.
KNOWN_JOBS, SHIFTED_JOBS = 8.0, 1.0

#: Log-likelihood by which "shorter" or "longer than they were" must explain the jobs better than the sketch does. By
#: Wald's bound a sketch that holds is given up once in e^8 = 3,000 jobs or more seldom.
ALARM = 8.0

#: The most that one job may say about a shift, and what each says against it (log-likelihood).
_MOST_SURPRISE, _DRIFT = 3.0, 0.05

#: What a prediction allows for jobs unlike the known ones, and how many known ones make it half trusted [jobs].
_STRANGERS, _TRUST_JOBS = 2.0, 20.0


@dataclass(frozen=True)
class Sketch:
    """Weights of jobs by bin, and how well they were predicted lately."""

    weights: Mapping[int, float] = field(default_factory=dict)
    #: Evidence (CUSUM of log-likelihood ratios) that jobs have become shorter, and longer, than the weights say.
    shorter: float = 0.0
    longer: float = 0.0
    #: Jobs ever observed.
    jobs: int = 0

    @cached_property
    def weight(self) -> float:
        """How many jobs it stands for, old ones counted less."""
        return sum(self.weights.values())

    @property
    def known(self) -> bool:
        return self.weight >= KNOWN_JOBS

    @property
    def drifting(self) -> bool:
        """Whether jobs may have become shorter, so that earlier polls are worth more."""
        return self.shorter > ALARM / 2

    def quantiles_seconds(self, *shares: float) -> list[float]:
        """The times within which these shares of the jobs are done; 0 where nothing is known."""
        places = sorted(self.weights)
        sums = list(accumulate(self.weights[place] for place in places))
        return [_quantile_seconds(places, sums, share) for share in shares]

    def likelihood(self, after_seconds: float, by_seconds: float) -> float:
        """How likely the sketch finds it that a job ends between two ages; a little of it goes to the unheard-of."""
        parts = dict(_parts(after_seconds, by_seconds))
        return self._likelihood(parts, sum(self._believed(parts).values()))

    def observed(self, after_seconds: float, by_seconds: float) -> Sketch:
        """The sketch after one more job, which was running at the age `after_seconds` and done at `by_seconds`."""
        parts = dict(_parts(after_seconds, by_seconds))
        believed = self._believed(parts)
        judged = self._judged(parts, self._likelihood(parts, sum(believed.values())))
        if max(judged.shorter, judged.longer) >= ALARM:
            judged = judged.discounted(SHIFTED_JOBS)
        return judged._with(believed)

    def discounted(self, jobs: float) -> Sketch:
        """A sketch of this shape that counts for `jobs` at most, with no evidence against it."""
        factor = min(jobs / self.weight, 1.0) if self.weight else 1.0
        return Sketch({place: weight * factor for place, weight in self.weights.items()}, jobs=self.jobs)

    def _believed(self, parts: Mapping[int, float]) -> dict[int, float]:
        return {place: part * (self.weights.get(place, 0.0) + _PRIOR) for place, part in parts.items()}

    def _likelihood(self, parts: Mapping[int, float], believed: float) -> float:
        strangers = _STRANGERS * min(sum(parts.values()) / (2 * FAR), 1.0)
        return min((believed + strangers) / (self.weight + _STRANGERS), 1.0)

    def _with(self, believed: Mapping[int, float]) -> Sketch:
        """One job spread over its bins, all others counted a little less."""
        weights = {place: kept for place, weight in self.weights.items() if (kept := weight * _DECAY) > _NOTHING}
        whole = sum(believed.values())
        for place, belief in believed.items():
            if (share := belief / whole) > _NOTHING:
                weights[place] = weights.get(place, 0.0) + share
        return replace(self, weights=weights, jobs=self.jobs + 1)

    def _judged(self, parts: Mapping[int, float], likely: float) -> Sketch:
        """Two others try to explain the job: anything below the 90th percentile, and anything above the 10th."""
        if not self.known:
            return self
        low, middle, high = map(bin_of, self.quantiles_seconds(0.1, 0.5, 0.9))
        trust = self.weight / (self.weight + _TRUST_JOBS)
        shorter = trust * _surprise(parts, max(middle - FAR, 0), high, likely)
        longer = trust * _surprise(parts, low, middle + FAR, likely)
        return replace(
            self,
            shorter=max(self.shorter + shorter - _DRIFT, 0.0),
            longer=max(self.longer + longer - _DRIFT, 0.0),
        )


def merged(sketches: Iterable[Sketch]) -> Sketch:
    """What several sketches know together."""
    weights: dict[int, float] = {}
    jobs = 0
    for sketch in sketches:
        jobs += sketch.jobs
        for place, weight in sketch.weights.items():
            weights[place] = weights.get(place, 0.0) + weight
    return Sketch(weights, jobs=jobs)


def bin_of(seconds: float) -> int:
    """The bin that holds a duration."""
    if not seconds > LEAST_SECONDS:
        return 0
    return min(int(BINS_PER_OCTAVE * math.log2(seconds / LEAST_SECONDS)), BINS - 1)


def edge_seconds(place: int) -> float:
    """Where a bin begins; `BINS` is where the last one ends."""
    return _EDGES[min(max(place, 0), BINS)]


def _parts(after_seconds: float, by_seconds: float) -> Iterator[tuple[int, float]]:
    """The bins between two ages, and how much of each lies between."""
    by = max(by_seconds, after_seconds, 0.0)
    for place in range(bin_of(after_seconds), bin_of(by) + 1):
        low, high = edge_seconds(place), edge_seconds(place + 1)
        inside = min(high, by) - max(low, after_seconds)
        yield place, min(max(inside / (high - low), 0.01), 1.0)


def _surprise(parts: Mapping[int, float], first: int, last: int, likely: float) -> float:
    """How much better than the sketch a job is explained where all bins from `first` to `last` are equally likely."""
    alike = sum(part for place, part in parts.items() if first <= place <= last) / (last + 1 - first)
    surprise = math.log(max(alike, 1e-3) / max(likely, 1e-3))
    return max(-_MOST_SURPRISE, min(surprise, _MOST_SURPRISE))


def _quantile_seconds(places: list[int], sums: list[float], share: float) -> float:
    wanted, before = share * (sums[-1] if sums else 0.0), 0.0
    for place, upto in zip(places, sums, strict=True):
        if wanted <= upto:
            low = edge_seconds(place)
            return low + (edge_seconds(place + 1) - low) * (wanted - before) / (upto - before)
        before = upto
    return edge_seconds(places[-1] + 1) if places else 0.0
