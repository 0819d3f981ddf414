"""The figures as plots: SVG that can be read on white and on black."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.records import Summary
from bench.sizes import FEW, ONE_POLLER, TWO_POLLERS

#: Between black and white, for letters and lines; and colours that stand out from both.
GREY, RED, BLUE, SAND = "#7a7a7a", "#d1495b", "#3f88c5", "#c9a227"

_STYLE: Any = {  # matplotlib's stubs know a type of its own for each key
    "svg.hashsalt": "bide",  # the same bytes for the same figures
    "svg.fonttype": "none",
    "text.color": GREY,
    "axes.labelcolor": GREY,
    "axes.edgecolor": GREY,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "axes.titlecolor": GREY,
}
_METADATA: dict[str, Any] = {"Date": None, "Creator": None}


def costs(path: Path, burst: Mapping[str, Summary]) -> None:
    """CPU of a thousand jobs, a bar for each contender, with the least and the most of its runs."""
    known = {name: cpu for name, one in burst.items() if (cpu := one.median("cpu_per_1000")) is not None}

    def draw(axes: Axes) -> None:
        names = sorted(known, key=lambda name: -known[name])
        spans = [burst[name].span("cpu_per_1000") or (known[name], known[name]) for name in names]
        below = [known[name] - least for name, (least, _) in zip(names, spans, strict=True)]
        above = [most - known[name] for name, (_, most) in zip(names, spans, strict=True)]
        colors = [RED if name == "bide" else BLUE for name in names]
        axes.barh(names, [known[name] for name in names], xerr=[below, above], color=colors, ecolor=GREY)
        axes.set(xlabel="CPU-seconds per 1,000 jobs")

    _save(path, draw, height=0.6 + 0.32 * len(known))


def lateness(path: Path, burst: Mapping[str, Summary]) -> None:
    """How late polls are, the middle and the 95th percentile, for each contender."""

    def draw(axes: Axes) -> None:
        names = [name for name, one in burst.items() if one.median("late_p95") is not None][::-1]
        for part, color in (("p95", SAND), ("p50", BLUE)):
            values = [max(burst[name].median(f"late_{part}") or 0.0, 0.001) for name in names]
            axes.plot(values, names, "o", color=color, label=part)
        axes.axvline(1.0, color=GREY, lw=0.8, ls=":")
        axes.set(xscale="log", xlabel="polls late by [s]")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.margins(y=0.15)
        axes.legend(frameon=False, fontsize=8, loc="upper right")

    _save(path, draw, height=0.8 + 0.32 * len(burst))


#: The flights of pollers that have learned, and have the machine for themselves.
LEARNED = (FEW, ONE_POLLER, TWO_POLLERS)


def flights(path: Path, found: Mapping[str, Summary]) -> None:
    """What a thousand polls cost the pollers, and how late polls are, against the jobs in flight."""
    alone = [one for name in LEARNED if (one := found.get(name)) and one.median("in_flight_most")]
    ordered = sorted(alone, key=lambda one: one.median("in_flight_most") or 0.0)

    def draw(axes: Axes) -> None:
        at_once = [one.median("in_flight_most") or 0.0 for one in ordered]
        cost = [one.median("cpu_per_1000_polls") or 0.0 for one in ordered]
        late = [one.median("late_p95") or 0.0 for one in ordered]
        axes.plot(at_once, cost, "o-", color=RED, label="CPU-seconds per 1,000 polls")
        axes.plot(at_once, late, "s--", color=BLUE, label="polls late by, p95 [s]")
        axes.set(xscale="log", ylim=(0, None), xlabel="jobs in flight")
        axes.set_xticks(at_once, [f"{jobs:,.0f}" for jobs in at_once])
        axes.set_xticks([], minor=True)
        axes.legend(frameon=False, fontsize=8, loc="upper left")

    _save(path, draw, height=2.6)


def _save(path: Path, draw: Callable[[Axes], None], *, height: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(rc=_STYLE):
        figure = Figure(figsize=(7, height), layout="constrained")
        axes = figure.add_subplot()
        axes.spines[["top", "right"]].set_visible(False)
        draw(axes)
        axes.patch.set_alpha(0)
        figure.savefig(path, format="svg", metadata=_METADATA, transparent=True)
