"""How bulk runs look on a terminal."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from bide.cli.output import echo, redraw

if TYPE_CHECKING:
    from bide.bulk.record import Run

#: Between two looks at a run's record [seconds].
LOOK_SECONDS = 0.5

#: Where nobody watches a terminal, a line this often [seconds].
LINE_SECONDS = 10.0

BAR_CHARACTERS = 24


def line(told: Mapping[str, Any]) -> str:
    """A run's progress in one line."""
    rows, done = told["rows"], told["done"]
    filled = BAR_CHARACTERS * done // max(rows, 1)
    parts = [
        f"{'█' * filled}{'░' * (BAR_CHARACTERS - filled)} {done:,}/{rows:,}",
        f"{told['failed']:,} failed",
        *([f"{told['unconfirmed']:,} unconfirmed"] if told["unconfirmed"] else []),
        f"{told['in_flight']:,} in flight",
        f"{told['rate_per_second']:.1f}/s",
        *([f"{duration(told['seconds_left'])} left"] if told["seconds_left"] is not None and done < rows else []),
        *([f"{told['spent']:g} spent, {told['at_risk']:g} at risk"] if told["spent"] or told["at_risk"] else []),
        *([told["state"]] if told["state"] != "running" else []),
    ]
    return "  ".join(parts)


def table(told: Mapping[str, Any]) -> list[str]:
    """All that is known of a run, a line for each thing."""
    seconds = told["seconds_left"]
    rows = {
        "run": told["run"],
        "state": told["state"],
        "why": told["note"],
        "rows": f"{told['done']:,} of {told['rows']:,} done",
        **{
            name: f"{told[name]:,}"
            for name in ("succeeded", "failed", "unconfirmed", "canceled", "skipped")
            if told[name]
        },
        "in line": told["in_line"],
        "in flight": told["in_flight"],
        "rate": f"{told['rate_per_second']:.1f} rows/s"
        + (f", {duration(seconds)} left" if seconds is not None else ""),
        "spent": f"{told['spent']:g}" if told["spent"] or told["budget"] else "",
        "at risk": f"{told['at_risk']:g}" if told["at_risk"] else "",
        "budget": f"{told['budget']:g}" if told["budget"] is not None else "",
        "source": told["source"],
        "replay of": told["replay_of"],
        "trouble": told["trouble"],
        "began": told["created"],
        "ended": told["finished"],
    }
    return [f"{name:12} {value}" for name, value in rows.items() if value]


def duration(seconds: float) -> str:
    """As a person says it: 40 s, 12 min, 3.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def watch(read: Callable[[], Run]) -> Run:
    """Show a run's progress until it is over or paused with nothing under way; Ctrl-C leaves it going on."""
    shown_at, live = 0.0, sys.stdout.isatty()
    while True:
        run = read()
        told = run.progress()
        rests = run.over or (run.state == "paused" and not told["in_flight"])
        if live:
            width = shutil.get_terminal_size().columns
            redraw(line(told)[: width - 1], last=rests)
        elif rests or time.monotonic() - shown_at >= LINE_SECONDS:
            echo(line(told))
            shown_at = time.monotonic()
        if rests:
            return run
        time.sleep(LOOK_SECONDS)
