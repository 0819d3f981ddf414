"""`bide pages`: the pages for people. They are a program of the deployment and read its settings."""

from __future__ import annotations

import click

from bide.cli.connection import stack_environment
from bide.cli.deployment import become


@click.command()
def pages() -> None:
    """Serve jobs, runs and accounts to people, at BIDE_PAGES__ADDRESS and __PORT."""
    become("workers.pages", environment=stack_environment())
