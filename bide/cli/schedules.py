"""`bide schedules`: the schedules of bulk runs, with their next, last and missed times."""

from __future__ import annotations

import click

from bide.cli.connection import stack_environment
from bide.cli.deployment import become


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--file", metavar="PATH", help="The schedules; default: config/schedules.toml.")
def schedules(as_json: bool, file: str | None) -> None:
    """Show what starts by itself: next, last and missed times."""
    options = [*(["--json"] if as_json else []), *([f"--file={file}"] if file else [])]
    become("workers.scheduling", *options, environment=stack_environment())
