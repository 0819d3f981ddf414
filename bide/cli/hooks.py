"""`bide hooks`: the endpoint for calls of providers. It is a program of the deployment and reads its settings."""

from __future__ import annotations

import click

from bide.cli.connection import stack_environment
from bide.cli.deployment import become


@click.command()
def hooks() -> None:
    """Take providers' calls (BIDE_HOOKS__URL), so that jobs that have ended are polled at once."""
    become("workers.hooks", environment=stack_environment())
