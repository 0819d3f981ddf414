"""From what was noted to the figures of the tables: pure functions."""

from __future__ import annotations

import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bide.percentiles import percentiles

Polls = Sequence[tuple[float, bool]]

#: The figures of one turn by their names; None: does not apply, or could not be measured.
Values = dict[str, float | None]


@dataclass(frozen=True)
class Spread:
    """How some times are distributed [seconds]."""

    p50: float
    p95: float
    p99: float
    max: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread | None:
        """None where there are no values."""
        if not values:
            return None
        middle, slow, slowest = percentiles(values, 50, 95, 99)
        return cls(middle, slow, slowest, max(values))


def spread(name: str, values: Sequence[float]) -> Values:
    """The spread of some times as figures `{name}_p50` and so on [seconds], and their mean."""
    found = Spread.of(values)
    mean = sum(values) / len(values) if values else None
    quantiles = {part: getattr(found, part) if found else None for part in ("p50", "p95", "p99", "max")}
    return {**{f"{name}_{part}": value for part, value in quantiles.items()}, f"{name}_mean": mean}


def lateness(dues: Mapping[str, Sequence[float]], polls: Mapping[str, Polls]) -> list[float]:
    """How long after it was due each poll reached the provider [seconds].

    A poll belongs to the last due time before it that is later than the poll before; one without any is left out.
    """
    late: list[float] = []
    for job, asked in polls.items():
        planned, before = sorted(dues.get(job, ())), float("-inf")
        for arrived, _ in asked:
            at = bisect.bisect_right(planned, arrived) - 1
            if at >= 0 and planned[at] > before:
                late.append(arrived - planned[at])
            before = arrived
    return late


def detection(done: Mapping[str, float], polls: Mapping[str, Polls]) -> list[float]:
    """For each job of the provider, from its end until the first poll whose answer had its result [seconds]."""
    found = {job: next((arrived for arrived, success in asked if success), None) for job, asked in polls.items()}
    return [moment - done[job] for job, moment in found.items() if moment is not None and job in done]


def most_at_once(spans: Sequence[tuple[float, float]]) -> int:
    """How many of these spans of time lay over each other at most."""
    most = now = 0
    for _, change in sorted([(begin, 1) for begin, _ in spans] + [(end, -1) for _, end in spans]):
        now += change
        most = max(most, now)
    return most
