"""What is known of the jobs of one operation: how long they take, and whether the provider's estimates are honest.

It is kept in the ledger as a short text. Pure functions: no clock, no I/O.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from bide.polling.durations import BINS, BINS_PER_OCTAVE, Sketch, bin_of

#: Version of the text.
VERSION = "1"

#: A duration that is as long as its estimate stands in the sketch of estimates where this many seconds stand.
AS_ESTIMATED_SECONDS = 64.0

#: Estimates outside of these are none [seconds].
LEAST_ESTIMATE_SECONDS, MOST_ESTIMATE_SECONDS = 0.5, 7 * 24 * 3600.0

#: Log-likelihood by which estimates must have predicted lately better than durations alone, and how far it is counted.
HONEST, _MOST_HONEST = 3.0, 10.0

#: The most that one job counts for or against its estimate (log-likelihood).
_MOST_EVIDENCE = 2.0


@dataclass(frozen=True)
class DurationModel:
    """Durations, durations as multiples of their estimates, and which of both predicts better."""

    durations: Sketch = field(default_factory=Sketch)
    multiples: Sketch = field(default_factory=Sketch)
    honesty: float = 0.0

    def observed(
        self, after_seconds: float, by_seconds: float, *, estimate_seconds: float | None = None
    ) -> DurationModel:
        """One more job, running at the age `after_seconds` and done at `by_seconds`."""
        durations = self.durations.observed(after_seconds, by_seconds)
        scale = _scale(estimate_seconds)
        if not scale:
            return DurationModel(durations, self.multiples, self.honesty)
        after, by = after_seconds / scale, by_seconds / scale
        return DurationModel(durations, self.multiples.observed(after, by), self._judged(after, by, scale))

    def _judged(self, after: float, by: float, scale: float) -> float:
        if not (self.durations.known and self.multiples.known):
            return 0.0
        likely = self.multiples.likelihood(after, by), self.durations.likelihood(after * scale, by * scale)
        evidence = math.log(max(likely[0], 1e-3) / max(likely[1], 1e-3))
        honesty = self.honesty + max(-_MOST_EVIDENCE, min(evidence, _MOST_EVIDENCE))
        return max(-_MOST_HONEST, min(honesty, _MOST_HONEST))

    def about(self, estimate_seconds: float | None = None) -> tuple[Sketch, int] | None:
        """The sketch to go by for a job, and by how many bins it is shifted; None while nothing is known."""
        scale = _scale(estimate_seconds)
        if scale and self.multiples.known and self.honesty >= HONEST:
            return self.multiples, round(BINS_PER_OCTAVE * math.log2(scale))
        return (self.durations, 0) if self.durations.known else None

    def to_text(self) -> str:
        """A few hundred bytes: version, honesty, and each sketch as jobs, evidence and bin:weight pairs."""
        return "|".join((VERSION, f"{self.honesty:.3g}", _text_of(self.durations), _text_of(self.multiples)))

    @classmethod
    def from_text(cls, text: str) -> DurationModel:
        """Read the text of `to_text`; a text that can't be read gives an empty model."""
        try:
            version, honesty, durations, multiples = text.split("|")
            if version != VERSION or not math.isfinite(float(honesty)):
                return cls()
            return cls(_sketch_of(durations), _sketch_of(multiples), float(honesty))
        except (ValueError, OverflowError):
            return cls()


def _scale(estimate_seconds: float | None) -> float:
    """What a job's ages are divided by, as exactly as bins are; 0 where its estimate is of no use."""
    if not estimate_seconds or not LEAST_ESTIMATE_SECONDS <= estimate_seconds <= MOST_ESTIMATE_SECONDS:
        return 0.0
    shift: int = bin_of(estimate_seconds) - bin_of(AS_ESTIMATED_SECONDS)
    return float(2.0 ** (shift / BINS_PER_OCTAVE))


def _text_of(sketch: Sketch) -> str:
    weights = (f"{place}:{weight:.3g}" for place, weight in sorted(sketch.weights.items()))
    return " ".join((f"{sketch.jobs}", f"{sketch.shorter:.3g}", f"{sketch.longer:.3g}", *weights))


def _sketch_of(text: str) -> Sketch:
    jobs, shorter, longer, *pairs = text.split(" ")
    weights = {int(place): float(weight) for place, weight in (pair.split(":") for pair in pairs)}
    numbers = (float(shorter), float(longer), *weights.values())
    if not all(math.isfinite(number) and number >= 0 for number in numbers):
        raise ValueError("a weight that is none")
    if not all(0 <= place < BINS for place in weights):
        raise ValueError("a bin that there is not")
    return Sketch(weights, float(shorter), float(longer), int(jobs))
