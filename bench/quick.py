"""bench's burst in under a minute, small, with the script and with bide, and what has become of the ratios."""

from __future__ import annotations

import time
from collections.abc import Callable

import click

from bench.figures import Values
from bench.plan import Turn

#: What is compared, and how it is written.
RATIOS = (
    ("CPU per job", "cpu_per_1000", 1.0, "ms"),
    ("wall seconds", "wall_seconds", 1.0, "s"),
    ("polls per job", "polls_per_job", 1.0, ""),
    ("peak memory", "peak_bytes", 1e-6, "MB"),
    ("done until known, p50", "detection_p50", 1.0, "s"),
)


def quick(take: Callable[[Turn], dict[str, Values]]) -> None:
    """Print the ratios; exits with 1 where a job was lost or bought twice."""
    began = time.monotonic()
    found = {name: take(Turn("burst", name, 30.0)).get("burst") for name in ("plain", "bide")}
    plain, bide = found["plain"], found["bide"]
    if plain is None or bide is None:
        raise SystemExit(1)
    click.echo(f"{'':24}{'plain':>12}{'bide':>12}{'bide / plain':>14}")
    for label, name, scale, unit in RATIOS:
        click.echo(_line(label, plain.get(name), bide.get(name), scale, unit))
    late = bide.get("late_p95")
    click.echo(f"polls of bide late by, p95: {'-' if late is None else f'{late:.2f}'} s")
    click.echo(f"jobs lost: {bide['lost']:.0f}, bought twice: {bide['bought_twice']:.0f}")
    click.echo(f"{time.monotonic() - began:.0f} s; compare with docs/performance.md, on the same machine")
    if bide["lost"] or bide["bought_twice"]:
        raise SystemExit(1)


def _line(label: str, plain: float | None, bide: float | None, scale: float, unit: str) -> str:
    if plain is None or bide is None:
        return f"{label:24}{'-':>12}{'-':>12}{'-':>14}"
    ratio = f"{bide / plain:.2f}" if plain else "-"
    return f"{label:24}{_figure(plain * scale, unit):>12}{_figure(bide * scale, unit):>12}{ratio:>14}"


def _figure(value: float, unit: str) -> str:
    return f"{value:.2f} {unit}".strip()
