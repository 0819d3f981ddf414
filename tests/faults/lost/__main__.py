"""`python -m tests.faults.lost`: loses the ledger with jobs under way, counts, and leaves files for the report."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import click

from tests.faults.circumstances import MachineLoad, circumstances
from tests.faults.lost.run import Count, run
from tests.faults.lost.scenes import SCENES
from tests.faults.lost.stage import WAYS
from tests.integration.processes import ROOT

RESULTS = ROOT / "build" / "reliability"


@click.command(context_settings={"show_default": True})
@click.option("--scene", "scenes", multiple=True, type=click.Choice(list(SCENES)), help="Only these; default: all.")
@click.option("--way", "ways", multiple=True, type=click.Choice(list(WAYS)), help="Only these; default: a scene's own.")
@click.option("--receipts", default="s3", type=click.Choice(["s3", "off"]), help="BIDE_LEDGER__RECEIPTS.")
@click.option("--jobs", type=click.IntRange(min=6), show_default="1000 plain ones, fewer in other scenes")
def main(scenes: tuple[str, ...], ways: tuple[str, ...], *, receipts: str, jobs: int | None) -> None:
    """Lose ledgers; the exit code says whether with receipts no purchase is lost, and none made twice."""
    broken = False
    for scene in scenes or SCENES:
        for way in ways or SCENES[scene].ways:
            load = MachineLoad()
            count = run(way, jobs=jobs or SCENES[scene].jobs, receipts=receipts, scene=scene)
            RESULTS.mkdir(parents=True, exist_ok=True)
            result = {**circumstances(), **load.figures(), **asdict(count)}
            name = "-".join(["lost", *([scene] if scene != "plain" else []), way, receipts])
            (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1))
            broken = broken or (receipts == "s3" and count.broken)
            click.echo(f"{scene}, {way}, receipts {receipts}: {_words(count)}")
    sys.exit(1 if broken else 0)


def _words(count: Count) -> str:
    ends = ", ".join(f"{number} {end}" for end, number in sorted(count.ends.items()))
    touched = f", {count.touched} of another deployment taken up" if count.touched else ""
    touched += f", {count.taken_again} taken up by a second recovery" if count.taken_again else ""
    return (
        f"{count.bought} bought, {count.stored} stored when it was lost; then {count.home} stored, "
        f"{count.listed} on the list, {count.lost} lost; in the end {ends}, {count.bought_twice} bought twice{touched}"
    )


if __name__ == "__main__":
    main()
