"""Percentiles of measured values, interpolated between the two nearest ones."""

from __future__ import annotations

from collections.abc import Collection
from statistics import quantiles


def percentiles(values: Collection[float], *wanted: int) -> list[float]:
    """The percentiles of some values, each from 1 to 99, in the order in which they are wanted; none of no values."""
    if len(values) < 2:
        return [value for _ in wanted for value in values]
    found = quantiles(values, n=100, method="inclusive")
    return [found[each - 1] for each in wanted]
