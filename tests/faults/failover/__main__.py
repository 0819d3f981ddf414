"""`python -m tests.faults.failover`: one run of a scene, its count, and a file for the report."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from tests.faults.circumstances import MachineLoad, circumstances
from tests.faults.failover.run import Count, run
from tests.faults.failover.scenes import SCENES
from tests.faults.failover.setup import PLAIN
from tests.integration.processes import ROOT

RESULTS = ROOT / "build" / "reliability"


@click.command(context_settings={"show_default": True})
@click.option("--scene", "scenes", multiple=True, type=click.Choice(list(SCENES)), help="Only these; default: all.")
@click.option(
    "--safe",
    default="replica",
    type=click.Choice(["disk", "replica", PLAIN]),
    help=f"BIDE_LEDGER__SAFE; {PLAIN}: plain Celery does the same jobs instead.",
)
@click.option("--seed", default=1, help="Draws when things happen.")
@click.option("--jobs", default=200, help="Jobs, submitted over twelve seconds.")
@click.option("--keep", type=click.Path(path_type=Path), help="A folder for logs and data, which stays.")
def main(scenes: tuple[str, ...], *, safe: str, seed: int, jobs: int, keep: Path | None) -> None:
    """Play scenes; the exit code says whether nothing is lost and nothing bought twice with `replica`."""
    broken = False
    for scene in scenes or SCENES:
        load = MachineLoad()
        count = run(scene, safe=safe, seed=seed, jobs=jobs, keep=keep)
        _write(scene, safe, seed, {**circumstances(), **load.figures(), **asdict(count)})
        broken = broken or (safe == "replica" and bool(count.lost or count.bought_twice))
        click.echo(f"{scene}, {safe}, seed {seed}: {_words(count)}")
    sys.exit(1 if broken else 0)


def _words(count: Count) -> str:
    ends = ", ".join(f"{number} {end}" for end, number in sorted(count.ends.items()))
    lost = f"{count.lost} lost {count.lost_in or ''}".rstrip()
    return f"{count.accepted} of {count.jobs} accepted; {ends}; {lost}, {count.bought_twice} bought twice"


def _write(scene: str, safe: str, seed: int, result: dict[str, object]) -> None:
    RESULTS.mkdir(parents=True, exist_ok=True)
    named = {"scene": scene, "safe": safe, "seed": seed}
    (RESULTS / f"failover-{scene}-{safe}-{seed}.json").write_text(json.dumps({**named, **result}, indent=1))


if __name__ == "__main__":
    main()
