"""`python -m bench`: every contender in every scenario, several runs, each turn kept as it ends; then the page."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import click

from bench import records
from bench.contenders import CONTENDERS
from bench.figures import Values
from bench.plan import ALONGSIDE, EXTRA, Turn, expected_seconds, plan
from bench.quick import quick
from bench.report import write
from bench.servers import ROOT
from bench.sizes import SIZES
from bench.turn import SAYS

SCENARIOS = ("burst", "start", "in flight", "waiting", "film", "paced", "kill", "held")

#: A turn that takes so many times as long as expected, and this beside, is given up [seconds].
PATIENCE, MORE_PATIENCE_SECONDS = 4, 300

#: How often a turn is taken while the machine's host disturbs it; the least disturbed one counts.
TRIES = 2


@click.command(context_settings={"show_default": True})
@click.option("--runs", default=3, help="How often each turn is taken; medians are shown.")
@click.option("--resume", is_flag=True, help="Go on with a run that was cut short; disturbed turns are taken again.")
@click.option("--only", multiple=True, type=click.Choice(list(CONTENDERS)), help="Only these contenders.")
@click.option("--scenario", "scenarios", multiple=True, type=click.Choice(SCENARIOS), help="Only these scenarios.")
@click.option("--size", type=click.Choice(list(SIZES)), default="full", help="How large they are.")
@click.option("--file", type=click.Path(path_type=Path), default=records.FILE, help="Where figures are kept.")
@click.option("--quick", "only_quick", is_flag=True, help="The ratios in under a minute; keeps nothing.")
@click.option("--write", "to_page", is_flag=True, help="Put tables and plots into docs/performance.md at the end.")
def main(
    *,
    runs: int,
    resume: bool,
    only: tuple[str, ...],
    scenarios: tuple[str, ...],
    size: str,
    file: Path,
    only_quick: bool,
    to_page: bool,
) -> None:
    """Measure what a job costs: CPU, memory, Redis, lateness, and what a SIGKILL takes along."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the turn that is being taken ends with us
    if only_quick:
        quick(partial(take, size="quick"))
        return
    names = _there(only or tuple(name for name in CONTENDERS if name not in EXTRA))
    turns = plan(names, SIZES[size], scenarios)
    if not resume:
        records.put_aside(file)
    minutes = expected_seconds(turns, runs) / 60
    click.echo(
        f"{len(turns)} turns, {runs} runs: about {minutes:.0f} minutes on an idle machine of two cores", err=True
    )
    for run in range(1, runs + 1):
        _run(turns, run, size, file)
    if to_page:
        write(file)


def _there(names: Sequence[str]) -> list[str]:
    """Those whose libraries are installed; a message names the command that installs the others."""
    missing = {name: how for name in names if (how := CONTENDERS[name].missing())}
    for name, how in missing.items():
        click.echo(f"{name} is left out: its libraries are not installed ({how})", err=True)
    return [name for name in names if name not in missing]


def _run(turns: Sequence[Turn], run: int, size: str, file: Path) -> None:
    known = {record.key for record in records.read(file) if not record.disturbed}
    wanted = [
        turn
        for turn in turns
        if turn.runs_in(run) and not {(scenario, turn.contender, run) for scenario in turn.scenarios} <= known
    ]

    def taken(turn: Turn) -> None:
        for _ in range(TRIES):
            click.echo(f"run {run}: {' and '.join(turn.scenarios)}, {turn.contender} ...", err=True)
            found = [
                records.made(scenario, turn.contender, run, size, values)
                for scenario, values in take(turn, size=size).items()
            ]
            for record in found:
                records.keep(record, file)
            stolen = max((record.stolen for record in found), default=0.0)
            if not any(record.disturbed for record in found):
                return
            click.echo(f"the machine's host kept {stolen:.2f} of a core meanwhile", err=True)

    for turn in wanted:
        if not turn.counts:
            taken(turn)
    with ThreadPoolExecutor(ALONGSIDE) as pool:
        list(pool.map(taken, (turn for turn in wanted if turn.counts)))


def take(turn: Turn, *, size: str) -> dict[str, Values]:
    """Take a turn in a process of its own: the figures of its scenarios, without one that broke, which is printed."""
    command = [sys.executable, "-m", "bench.turn", ",".join(turn.scenarios), turn.contender, "--size", size]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        output, _ = process.communicate(timeout=PATIENCE * turn.seconds + MORE_PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.terminate()
        output, _ = process.communicate()
    except BaseException:
        process.terminate()
        process.wait()
        raise
    lines = [line.removeprefix(SAYS) for line in output.splitlines() if line.startswith(SAYS)]
    found: dict[str, Values] = dict(map(json.loads, lines))
    for scenario in turn.scenarios:
        if scenario not in found:
            click.echo(f"{scenario}, {turn.contender}: gave no figures", err=True)
    return found


if __name__ == "__main__":
    main()
