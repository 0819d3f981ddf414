"""The figures as a page: a markdown table, and its place between two lines of docs/performance.md."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version

from bench import proc
from bench.figures import Figures, Spread
from bench.film import Film

#: What is written stands between these lines.
BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"

_LIBRARIES = ("celery", "kombu", "redis", "aiohttp", "httpx", "boto3")


def table(contenders: Sequence[Figures]) -> str:
    """A column for each contender; the first is what the others are compared with."""
    first = contenders[0]

    def ratio(one: Figures) -> str:
        return f"{one.cpu_seconds / first.cpu_seconds:.2f}" if first.cpu_seconds else "-"

    rows: list[tuple[str, Callable[[Figures], str]]] = [
        ("CPU-seconds per 1,000 jobs", lambda one: f"{one.cpu_seconds_per_1000:.2f}"),
        (f"the same, as a multiple of {first.name}", ratio),
        ("Redis's CPU-seconds per 1,000 jobs", lambda one: f"{1000 * one.redis_cpu_seconds / one.jobs:.2f}"),
        ("wall seconds", lambda one: f"{one.wall_seconds:.1f}"),
        ("polls per job", lambda one: f"{one.polls / one.jobs:.2f}"),
        ("polls late by, p50 / p95 / max [s]", lambda one: _spread(one.late, with_max=True)),
        ("done until known, p50 / p95 [s]", lambda one: _spread(one.detection, with_max=False)),
        ("Redis per waiting job [kB]", lambda one: _kilobytes(one.redis_bytes_per_waiting)),
        ("memory grown per waiting job, at most [kB]", lambda one: _kilobytes(one.resident_bytes_per_waiting)),
        ("jobs lost", lambda one: str(one.lost)),
        ("jobs bought twice", lambda one: str(one.bought_twice)),
    ]
    lines = [["", *(one.name for one in contenders)], ["---", *("---:" for _ in contenders)]]
    lines += [[label, *map(tell, contenders)] for label, tell in rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def report(contenders: Sequence[Figures], film: Film | None, *, latency_seconds: float, result_bytes: int) -> str:
    """The whole text of one run."""
    head = (
        f"{contenders[0].jobs:,} jobs at once, each {latency_seconds:g} s at the provider (within 30 %), results of "
        f"{result_bytes / 1000:g} kB. {proc.machine()}. Python {platform.python_version()}, "
        f"{', '.join(f'{name} {version(name)}' for name in _LIBRARIES)}. {datetime.now(UTC):%Y-%m-%d}."
    )
    parts = [head, table(contenders)]
    if film:
        parts.append(_told(film))
    return "\n\n".join(parts)


def written(page: str, text: str) -> str:
    """`page` with `text` between its two lines; raises `ValueError` where a line is missing."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the page has no lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"


def _told(film: Film) -> str:
    what = "arrived whole" if film.arrived else "did not arrive"
    return (
        f"A video of {film.film_bytes / 1e6:,.0f} MB {what}; the worker held {film.peak_bytes / 1e6:.0f} MB at most, "
        "all of Python included."
    )


def _spread(spread: Spread | None, *, with_max: bool) -> str:
    if spread is None:
        return "-"
    shown = [spread.p50, spread.p95, *([spread.max] if with_max else [])]
    return " / ".join(f"{value:.2f}" for value in shown)


def _kilobytes(size: float | None) -> str:
    return "-" if size is None else f"{size / 1000:.2f}"
