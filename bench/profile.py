"""`python -m bench.profile`: where the time of a busy worker goes, or of a busy poller, by py-spy.

The worker is sampled during two bursts: in the first only threads that hold the interpreter's lock are counted, in
the second all that run. The poller is sampled during one of bench's flights, by who holds the lock.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import click

from bench import in_flight
from bench.contenders import Bide
from bench.profile_areas import shares
from bench.report import TRIED
from bench.sizes import FEW, ONE_POLLER, SIZES, TWO_POLLERS
from bench.stage import bide
from bench.table import written
from bench.waves import await_all, names_of

#: Samples a second; py-spy stops the worker for each of them, so that the worker is slower than it is.
RATE = 50

#: Jobs that are not profiled.
WARM_JOBS = 100

#: How long py-spy may take to write [seconds].
_PATIENCE_SECONDS = 30.0


def of_burst(one: Bide, jobs: int, wave: str, *options: str) -> dict[str, float]:
    """The shares of the areas in the worker during a burst."""
    names = names_of(one, wave, jobs)
    with _spied(one.worker_pid, *options) as found:
        one.submit(names)
        await_all(one, names)
    return found


def of_flight(variant: str) -> dict[str, float]:
    """The shares of the areas in the (first) poller during a flight, and what it measured."""
    flight = dict(SIZES["full"].flights)[variant]
    with (
        bide(latency_seconds=flight.latency_seconds, environment=in_flight.environment_of(flight)) as one,
        _spied(one.poller_pid, "--gil") as found,
    ):
        in_flight.measure(one, flight=flight)
    return found


@contextmanager
def _spied(pid: int, *options: str) -> Iterator[dict[str, float]]:
    """The shares of the areas during the block, once it is over."""
    found = dict[str, float]()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "stacks.txt"
        spy = _spy(pid, file, *options)
        yield found
        spy.send_signal(signal.SIGINT)  # it writes what it has when it is interrupted
        trouble, _ = spy.communicate(timeout=_PATIENCE_SECONDS)
        if not file.exists():
            raise click.ClickException(f"py-spy wrote nothing: {trouble.strip()[-500:]}")
        found.update(shares(file.read_text().splitlines()))


def _spy(pid: int, file: Path, *options: str) -> subprocess.Popen[str]:
    program = Path(sys.executable).parent / "py-spy"
    if not program.exists():
        raise click.ClickException("py-spy is not installed; it comes with the dependency group bench")
    sampling = ["--pid", str(pid), "--rate", str(RATE), "--format", "raw", "--output", str(file), "--full-filenames"]
    return subprocess.Popen(
        [program, "record", *sampling, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def table(columns: Mapping[str, Mapping[str, float]], *, of: str) -> str:
    """The shares of each area, the largest of the first column first."""
    lines = [f"| {of} | {' | '.join(columns)} |", f"| --- |{' ---: |' * len(columns)}"]
    first = next(iter(columns.values()))
    areas = sorted({area for shares in columns.values() for area in shares}, key=lambda area: -first.get(area, 0.0))
    rows = ((area, *(f"{shares.get(area, 0.0):.0%}" for shares in columns.values())) for area in areas)
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


@click.command(context_settings={"show_default": True})
@click.option("--jobs", default=1000, help="Jobs of each of the two bursts.")
@click.option("--latency", "latency_seconds", default=10.0, help="Mean time of a job at the provider [seconds].")
@click.option("--flight", type=click.Choice([FEW, ONE_POLLER, TWO_POLLERS]), help="Of a poller, during this flight.")
@click.option("--write", "to_page", is_flag=True, help="Put the table into docs/performance-tried.md.")
def main(*, jobs: int, latency_seconds: float, flight: str | None, to_page: bool) -> None:
    """Profile bide's worker; needs the right to trace another process (root, or ptrace_scope 0)."""
    if flight:
        name, text = "poller's profile", table({flight: of_flight(flight)}, of="a poller's time, holding the lock")
    else:
        name, text = "profile", _worker(jobs, latency_seconds)
    click.echo(text)
    if to_page:
        TRIED.write_text(written(TRIED.read_text(), text, name=name))


def _worker(jobs: int, latency_seconds: float) -> str:
    with bide(latency_seconds=latency_seconds) as one:
        warm = names_of(one, "warm", WARM_JOBS)
        one.submit(warm)
        await_all(one, warm)
        held = of_burst(one, jobs, "held", "--gil")
        running = of_burst(one, jobs, "running")
    return table({"holding the lock": held, "running": running}, of="a busy worker's time")


if __name__ == "__main__":
    main()
