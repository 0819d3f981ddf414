"""Bulk runs on a terminal: a line of progress, a table, a bar that is drawn until the run is over."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from bide.cli.output import echo, redraw

if TYPE_CHECKING:
    from bide.bulk.record import Run
    from bide.storage import Storage

#: Time between two reads of a run's record [seconds].
READ_SECONDS = 0.5

#: Time between two lines where the output is no terminal [seconds].
LINE_SECONDS = 10.0

BAR_CHARACTERS = 24

#: How long the signed address of a contact sheet is good [seconds].
SIGNED_SECONDS = 24 * 3600


def line(progress: Mapping[str, Any]) -> str:
    """A run's progress in one line."""
    rows, done, unit = progress["rows"], progress["done"], _unit(progress)
    filled = BAR_CHARACTERS * done // max(rows, 1)
    parts = [
        f"{'█' * filled}{'░' * (BAR_CHARACTERS - filled)} {done:,}/{rows:,}",
        f"{progress['failed']:,} failed",
        *([f"{progress['unconfirmed']:,} unconfirmed"] if progress["unconfirmed"] else []),
        f"{progress['in_flight']:,} in flight",
        f"{progress['rate_per_second']:.1f}/s",
        *(
            [f"{duration(progress['seconds_left'])} left"]
            if progress["seconds_left"] is not None and done < rows
            else []
        ),
        *(
            [f"{progress['spent']:g}{unit} spent, {progress['at_risk']:g} at risk"]
            if progress["spent"] or progress["at_risk"]
            else []
        ),
        *([progress["state"]] if progress["state"] != "running" else []),
    ]
    return "  ".join(parts)


def table(progress: Mapping[str, Any]) -> list[str]:
    """A run's progress in full, a line for each value."""
    seconds, unit, waiting = progress["seconds_left"], _unit(progress), progress["waiting_for_budget"]
    rows = {
        "run": progress["run"],
        "ledger": progress.get("ledger"),
        "state": progress["state"],
        "why": progress["note"],
        "rows": f"{progress['done']:,} of {progress['rows']:,} done",
        **{
            name: f"{progress[name]:,}"
            for name in ("succeeded", "failed", "unconfirmed", "canceled", "skipped")
            if progress[name]
        },
        "in line": f"{progress['in_line']}, {waiting:,} over the budget" if waiting else progress["in_line"],
        "in flight": progress["in_flight"],
        "rate": f"{progress['rate_per_second']:.1f} rows/s"
        + (f", {duration(seconds)} left" if seconds is not None else ""),
        "spent": f"{progress['spent']:g}{unit}" if progress["spent"] or progress["budget"] else "",
        "at risk": f"{progress['at_risk']:g}{unit}" if progress["at_risk"] else "",
        "budget": f"{progress['budget']:g}{unit}" if progress["budget"] is not None else "",
        "source": progress["source"],
        "replay of": progress["replay_of"],
        "trouble": progress["trouble"],
        "began": progress["created"],
        "ended": progress["finished"],
    }
    return [f"{name:12} {value}" for name, value in rows.items() if value]


def _unit(progress: Mapping[str, Any]) -> str:
    return f" {progress['currency']}" if progress["currency"] else ""


def sheet_lines(storage: Storage, run_id: str, environment: Mapping[str, str]) -> list[str]:
    """Where a run's contact sheet is opened: by the pages, where they are known, else by a signed address."""
    from bide.bulk.names import sheet_key  # noqa: PLC0415 - takes a while, and --help does not need it
    from bide.errors import StorageError  # noqa: PLC0415 - slow to import, and --help does not need it

    key = sheet_key(run_id)
    try:
        if not storage.exists(key):
            return ["it has no contact sheet"]
        if pages := environment.get("BIDE_PAGES__URL"):
            return [f"contact sheet: {pages.rstrip('/')}/objects/{key}"]
        signed = storage.presign(storage.uri(key), expires_seconds=SIGNED_SECONDS)
    except StorageError:
        return [f"contact sheet: {storage.uri(key)}"]
    return [
        f"contact sheet: {storage.uri(key)}",
        f"for a browser, good for {SIGNED_SECONDS // 3600} h: {signed}",
        "its pictures lead to their originals at `bide pages`: set BIDE_PAGES__URL",
    ]


def duration(seconds: float) -> str:
    """Seconds in a person's units: 40 s, 12 min, 3.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def watch(read: Callable[[], Run]) -> Run:
    """Show a run's progress until it is over, or paused with nothing under way; Ctrl-C does not end the run."""
    shown_at, live = 0.0, sys.stdout.isatty()
    while True:
        run = read()
        progress = run.progress()
        rests = run.over or (run.state == "paused" and not progress["in_flight"])
        if live:
            redraw(line(progress), last=rests)
        elif rests or time.monotonic() - shown_at >= LINE_SECONDS:
            echo(line(progress))
            shown_at = time.monotonic()
        if rests:
            return run
        time.sleep(READ_SECONDS)
