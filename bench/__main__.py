"""`python -m bench`: all contenders in one run, on the same servers, and one table."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import click

from bench.burst import measure
from bench.contenders import Bide, Contender, Naive, PinnedBide, Plain
from bench.figures import Figures
from bench.film import Film, show
from bench.servers import ROOT, World, world
from bench.table import report, written

PAGE = ROOT / "docs" / "performance.md"

CONTENDERS: dict[str, type[Contender]] = {"plain": Plain, "bide": Bide, "pinned": PinnedBide, "naive": Naive}

RESULT_BYTES = 100_000

#: Jobs and their latency [seconds] in a quick run.
QUICK_JOBS, QUICK_LATENCY_SECONDS = 300, 3.0

#: Sizes of the video [bytes].
QUICK_FILM, USUAL_FILM, FULL_FILM = 50_000_000, 200_000_000, 1_000_000_000


@click.command(context_settings={"show_default": True})
@click.option("--jobs", default=2000, help="Jobs of the burst.")
@click.option("--latency", "latency_seconds", default=10.0, help="Mean time of a job at the provider [seconds].")
@click.option("--quick", is_flag=True, help="A look in under a minute: 300 jobs of 3 s, a small video.")
@click.option("--full", is_flag=True, help="With a video of 1 GB.")
@click.option("--only", multiple=True, type=click.Choice(list(CONTENDERS)), help="Only these contenders.")
@click.option("--write", is_flag=True, help="Put the table into docs/performance.md.")
def main(*, jobs: int, latency_seconds: float, quick: bool, full: bool, only: tuple[str, ...], write: bool) -> None:
    """Measure what a job costs: CPU, memory, Redis, lateness."""
    if quick:
        jobs, latency_seconds = QUICK_JOBS, QUICK_LATENCY_SECONDS
    film_bytes = FULL_FILM if full else QUICK_FILM if quick else USUAL_FILM
    with (
        tempfile.TemporaryDirectory(prefix="bide-bench-", ignore_cleanup_errors=True) as folder,
        world(Path(folder), latency_seconds=latency_seconds, result_bytes=RESULT_BYTES) as servers,
    ):
        os.environ.update(servers.environment)
        figures, film = _run(servers, only or tuple(CONTENDERS), jobs, film_bytes)
    text = report(figures, film, latency_seconds=latency_seconds, result_bytes=RESULT_BYTES)
    click.echo(text)
    if write:
        PAGE.write_text(written(PAGE.read_text(), text))


def _run(servers: World, names: tuple[str, ...], jobs: int, film_bytes: int) -> tuple[list[Figures], Film | None]:
    figures, film = [], None
    for name in names:
        click.echo(f"{name}: {jobs:,} jobs ...", err=True)
        with CONTENDERS[name](servers) as contender:
            figures.append(measure(contender, jobs))
            if type(contender) is Bide:
                film = show(contender, film_bytes)
    return figures, film


if __name__ == "__main__":
    main()
