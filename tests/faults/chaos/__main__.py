"""`python -m tests.faults.chaos`: one run, its verdict, and a file for the report."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from tests.faults.chaos.contenders import CONTENDERS
from tests.faults.chaos.hosts import why_not
from tests.faults.chaos.plan import GAP_SECONDS, KINDS
from tests.faults.chaos.run import Options, Run, run
from tests.faults.circumstances import MachineLoad, circumstances
from tests.integration.processes import ROOT

#: Where the report finds what runs came to.
RESULTS = ROOT / "build" / "reliability"


@click.command(context_settings={"show_default": True})
@click.option("--seed", default=1, help="Draws the plan and the jobs.")
@click.option("--jobs", default=2000, help="Jobs, submitted evenly over the time.")
@click.option("--seconds", default=150.0, help="How long things go wrong.")
@click.option("--contender", default="bide", type=click.Choice(list(CONTENDERS)), help="Who does the jobs.")
@click.option("--common", "common_only", is_flag=True, help="Only what plain Celery meets in any deployment, too.")
@click.option("--kinds", multiple=True, type=click.Choice(list(KINDS)), help="Only these kinds of events.")
@click.option("--gap", "gap_seconds", default=GAP_SECONDS, help="Mean time from one event to the next.")
@click.option("--fsync", default="always", type=click.Choice(["always", "everysec"]), help="Redis's appendfsync.")
@click.option("--hosts", default=0, help="Network namespaces for the processes, cut off and healed; 0: none.")
@click.option("--contracts", is_flag=True, help="Jobs over providers of all idempotency contracts, and liars.")
@click.option("--keep", type=click.Path(path_type=Path), help="A new folder for logs and data, which stays.")
def main(**values: object) -> None:
    """Run it; the exit code says whether everything that must be zero is."""
    options = Options(**values)  # type: ignore[arg-type]  # click has checked them
    if options.hosts and (reason := why_not()):
        click.echo(f"skipped: {reason}")
        _write(options, {"skipped": reason})
        return
    load = MachineLoad()
    came = run(options, say=lambda text: click.echo(text, err=True))
    plan = [asdict(event) for event in came.plan]
    _write(options, {"plan": plan, "notes": came.notes, **load.figures(), **asdict(came.verdict)})
    click.echo(_summary(came))
    if _promised(options) and (came.verdict.broken or came.verdict.slow):
        sys.exit(1)


def _promised(options: Options) -> bool:
    """Whether anything was: not by plain Celery, nor for a host of Redis that crashes without `always`."""
    return options.contender == "bide" and not ("power_cut" in options.kinds and options.fsync == "everysec")


def _summary(came: Run) -> str:
    shown = asdict(came.verdict)
    return "\n".join([*(f"{name}: {value}" for name, value in shown.items()), *came.notes])


def _write(options: Options, result: dict[str, object]) -> None:
    RESULTS.mkdir(parents=True, exist_ok=True)
    parts = [
        options.contender,
        "common" * options.common_only,
        "contracts" * options.contracts,
        "hosts" * bool(options.hosts),
        *options.kinds,
        options.fsync,
    ]
    name = "-".join(["chaos", *filter(None, parts), str(options.seed)])
    named = {name: value for name, value in asdict(options).items() if name != "keep"}
    text = json.dumps({**circumstances(), "options": named, **result}, indent=1)
    (RESULTS / f"{name}.json").write_text(text)


if __name__ == "__main__":
    main()
