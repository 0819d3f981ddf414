"""`bide doctor`: what is wrong with this set-up, and how to mend it. The deployment's own program does the checks."""

from __future__ import annotations

import click

from bide.cli.connection import running_stack
from bide.cli.deployment import become


@click.command()
@click.option("--flower", metavar="URL", help="Where Flower stands; default: BIDE_FLOWER__URL, or where it listens.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(flower: str | None, as_json: bool) -> None:
    """Say what is wrong with this set-up, and how to mend it."""
    stack = running_stack()
    address = flower or stack.get("flower")
    arguments = [*([f"--flower={address}"] if address else []), *(["--json"] if as_json else [])]
    become("workers.doctor", *arguments, environment=stack.get("environment"))
