"""`bide metrics`: the exporter for Prometheus. It is a program of the deployment and reads its settings."""

from __future__ import annotations

import click

from bide.cli.connection import stack_environment
from bide.cli.deployment import become


@click.command()
@click.option("--once", is_flag=True, help="Print the metrics and end; exit code 1 if Redis does not answer.")
def metrics(once: bool) -> None:
    """Serve metrics to Prometheus, at BIDE_METRICS__ADDRESS and __PORT."""
    become("workers.metrics", *(["--once"] if once else []), environment=stack_environment())
