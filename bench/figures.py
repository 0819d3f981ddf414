"""From what was noted to the figures of the table: pure functions."""

from __future__ import annotations

import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

Polls = Sequence[tuple[float, bool]]


@dataclass(frozen=True)
class Spread:
    """How some times are distributed [seconds]."""

    p50: float
    p95: float
    max: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread | None:
        """None where there are no values."""
        ordered = sorted(values)
        if not ordered:
            return None
        return cls(median(ordered), ordered[min(int(0.95 * len(ordered)), len(ordered) - 1)], ordered[-1])


@dataclass(frozen=True)
class Figures:
    """One contender in one run; None: does not apply, or could not be measured."""

    name: str
    jobs: int
    cpu_seconds: float
    redis_cpu_seconds: float
    wall_seconds: float
    polls: int
    late: Spread | None
    detection: Spread | None
    redis_bytes_per_waiting: float | None
    resident_bytes_per_waiting: float | None
    lost: int
    bought_twice: int

    @property
    def cpu_seconds_per_1000(self) -> float:
        return 1000 * self.cpu_seconds / self.jobs


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
    """For each job of the provider, from the moment it was done until the first poll that was told so [seconds]."""
    told = {job: next((arrived for arrived, success in asked if success), None) for job, asked in polls.items()}
    return [moment - done[job] for job, moment in told.items() if moment is not None and job in done]
