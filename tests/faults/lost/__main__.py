"""`python -m tests.faults.lost`: loses the ledger with jobs under way, counts, and leaves files for the report."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import click

from tests.faults.circumstances import MachineLoad, circumstances
from tests.faults.lost.run import WAYS, Count, run
from tests.integration.processes import ROOT

RESULTS = ROOT / "build" / "reliability"


@click.command(context_settings={"show_default": True})
@click.option("--way", "ways", multiple=True, type=click.Choice(list(WAYS)), help="Only these; default: all.")
@click.option("--receipts", default="s3", type=click.Choice(["s3", "off"]), help="BIDE_LEDGER__RECEIPTS.")
@click.option("--jobs", default=1000)
def main(ways: tuple[str, ...], *, receipts: str, jobs: int) -> None:
    """Lose ledgers; the exit code says whether with receipts no purchase is lost, and none made twice."""
    broken = False
    for way in ways or WAYS:
        load = MachineLoad()
        count = run(way, jobs=jobs, receipts=receipts)
        RESULTS.mkdir(parents=True, exist_ok=True)
        result = {**circumstances(), **load.figures(), **asdict(count)}
        (RESULTS / f"lost-{way}-{receipts}.json").write_text(json.dumps(result, indent=1))
        broken = broken or (receipts == "s3" and bool(count.lost or count.bought_twice))
        click.echo(f"{way}, receipts {receipts}: {_words(count)}")
    sys.exit(1 if broken else 0)


def _words(count: Count) -> str:
    ends = ", ".join(f"{number} {end}" for end, number in sorted(count.ends.items()))
    return (
        f"{count.bought} bought, {count.stored} stored when it was lost; then {count.home} stored, "
        f"{count.listed} on the list, {count.lost} lost; in the end {ends}, {count.bought_twice} bought twice"
    )


if __name__ == "__main__":
    main()
