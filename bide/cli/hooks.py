"""`bide hooks`: the endpoint that providers call, a program of the deployment, whose settings it reads."""

from __future__ import annotations

import click

from bide.cli.connection import stack_environment
from bide.cli.deployment import become


@click.command()
def hooks() -> None:
    """Take providers' calls (BIDE_HOOKS__URL), so that jobs that have ended are polled at once."""
    become("workers.hooks", told=stack_environment())
