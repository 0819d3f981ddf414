"""`bide doctor`: what is wrong with this set-up and how to mend it. The checks are the deployment's own program."""

from __future__ import annotations

import click

from bide.cli.connection import environment, stack_environment
from bide.cli.deployment import become


@click.command()
@click.option("--flower", metavar="URL", help="Where Flower stands; default: as set in BIDE_FLOWER__...")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(flower: str | None, as_json: bool) -> None:
    """Say what is wrong with this set-up, and how to mend it."""
    arguments = [*([f"--flower={flower}"] if flower else []), *(["--json"] if as_json else [])]
    store_keys = {name: value for name, value in environment().items() if name.startswith("AWS_")}  # also from `.env`
    become("workers.doctor", *arguments, told={**store_keys, **stack_environment()})
