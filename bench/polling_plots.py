"""The plots of docs/polling.md: polls against delay for each distribution, and one run through a shift."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from bench.polling_schedules import Cost, Tuned

# The same bytes for the same figures.
mpl.rcParams["svg.hashsalt"] = "bide"
_METADATA: dict[str, Any] = {"Date": None, "Creator": None}

#: Jobs over which a run through time is averaged.
WINDOW = 50


def trade_offs(path: Path, panels: Sequence[tuple[str, Sequence[Tuned], Sequence[Cost], Sequence[Cost]]]) -> None:
    """For each distribution: the best tuned schedules and the optimum as lines, what was learned under each plan."""
    columns = 3
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(4 * columns, 3 * rows), layout="constrained")
    for number, (name, tuned, hull, learned) in enumerate(panels):
        axes = figure.add_subplot(rows, columns, number + 1)
        fixed = _least(each.cost for each in tuned if each.factor == 1)
        rising = _least(each.cost for each in tuned if each.factor > 1)
        for costs, color, label in ((rising, "#b0a080", "best exponential"), (fixed, "#7f9fbf", "best fixed")):
            polls = [c.polls for c in costs]
            axes.step([c.delay_seconds for c in costs], polls, where="post", lw=1, color=color, label=label)
        axes.plot([c.delay_seconds for c in hull], [c.polls for c in hull], "-", color="black", lw=1, label="optimum")
        axes.plot([c.delay_seconds for c in learned], [c.polls for c in learned], "o", color="#d1495b", label="bide")
        far = 2.5 * max(c.delay_seconds for c in learned)
        axes.set(title=name, xlim=(0, far), ylim=(0, 6), xlabel="mean delay [s]", ylabel="polls per job")
        if number == 0:
            axes.legend(fontsize=7)
    figure.savefig(path, format="svg", metadata=_METADATA)


def _least(costs: Iterable[Cost]) -> list[Cost]:
    """Those that no faster one beats."""
    kept: list[Cost] = []
    for cost in sorted(costs, key=lambda each: each.delay_seconds):
        if not kept or cost.polls < kept[-1].polls:
            kept.append(cost)
    return kept


def through_time(path: Path, costs: Sequence[Cost], shifts: Sequence[int], *, name: str) -> None:
    """Polls and delay of one run, smoothed; where what was known was given up is marked."""
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    axes = figure.add_subplot()
    window = np.ones(WINDOW) / WINDOW
    for values, color, label in (
        ([cost.polls for cost in costs], "#d1495b", "polls per job"),
        ([cost.delay_seconds for cost in costs], "#30638e", "delay [s]"),
    ):
        smooth = np.convolve(np.asarray(values), window, mode="valid")[::10]
        axes.plot(10 * np.arange(len(smooth)) + WINDOW, smooth, color=color, label=label)
    for shift in shifts:
        axes.axvline(shift, color="#999999", lw=0.8, ls=":")
    axes.set(title=name, xlabel="job", ylim=(0, None))
    axes.legend(fontsize=8)
    figure.savefig(path, format="svg", metadata=_METADATA)
