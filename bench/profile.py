"""`python -m bench.profile`: where a busy worker's time goes, by py-spy.

Two bursts: in the first only threads that hold the interpreter's lock are counted, in the second all that run.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import click

from bench.contenders import Bide
from bench.profile_areas import shares
from bench.report import PAGE
from bench.stage import bide
from bench.table import written
from bench.waves import await_all, names_of

#: Samples a second; py-spy stops the worker for each of them, so that the worker is slower than it is.
RATE = 50

#: Jobs that are not profiled.
WARM_JOBS = 100

#: How long py-spy may take to write [seconds].
_PATIENCE_SECONDS = 30.0


def profile(one: Bide, jobs: int, wave: str, *options: str) -> dict[str, float]:
    """The shares of the areas during one burst."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "stacks.txt"
        spy = _spy(one.worker_pid, file, *options)
        names = names_of(one, wave, jobs)
        one.submit(names)
        await_all(one, names)
        spy.send_signal(signal.SIGINT)  # it writes what it has when it is interrupted
        trouble, _ = spy.communicate(timeout=_PATIENCE_SECONDS)
        if not file.exists():
            raise click.ClickException(f"py-spy wrote nothing: {trouble.strip()[-500:]}")
        return shares(file.read_text().splitlines())


def _spy(pid: int, file: Path, *options: str) -> subprocess.Popen[str]:
    program = Path(sys.executable).parent / "py-spy"
    if not program.exists():
        raise click.ClickException("py-spy is not installed; it comes with the dependency group bench")
    told = ["--pid", str(pid), "--rate", str(RATE), "--format", "raw", "--output", str(file), "--full-filenames"]
    return subprocess.Popen(
        [program, "record", *told, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def table(held: dict[str, float], running: dict[str, float]) -> str:
    """Both shares of each area."""
    lines = ["| a busy worker's time | holding the lock | running |", "| --- | ---: | ---: |"]
    areas = sorted({*held, *running}, key=lambda area: -held.get(area, 0.0))
    lines += [f"| {area} | {held.get(area, 0.0):.0%} | {running.get(area, 0.0):.0%} |" for area in areas]
    return "\n".join(lines)


@click.command(context_settings={"show_default": True})
@click.option("--jobs", default=1000, help="Jobs of each of the two bursts.")
@click.option("--latency", "latency_seconds", default=10.0, help="Mean time of a job at the provider [seconds].")
@click.option("--write", "to_page", is_flag=True, help="Put the table into docs/performance.md.")
def main(*, jobs: int, latency_seconds: float, to_page: bool) -> None:
    """Profile bide's worker; needs the right to look into another process (root, or ptrace_scope 0)."""
    with bide(latency_seconds=latency_seconds) as one:
        warm = names_of(one, "warm", WARM_JOBS)
        one.submit(warm)
        await_all(one, warm)
        held = profile(one, jobs, "held", "--gil")
        running = profile(one, jobs, "running")
    text = table(held, running)
    click.echo(text)
    if to_page:
        PAGE.write_text(written(PAGE.read_text(), text, name="profile"))


if __name__ == "__main__":
    main()
