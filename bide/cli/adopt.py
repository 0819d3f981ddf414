"""`bide adopt`: takes up a purchase that no record knows. It is a program of the deployment and reads its settings."""

from __future__ import annotations

import click

from bide.cli.completion import complete_operation, complete_provider
from bide.cli.connection import broker_option, program_environment
from bide.cli.deployment import become
from bide.cli.ledgers import choose_account


@click.command()
@click.argument("provider", shell_complete=complete_provider)
@click.argument("account")
@click.argument("job_id", metavar="JOB")
@click.argument("provider_job_id", metavar="PROVIDER_ID")
@click.option("--request", metavar="FILE", help="The request that made it, as JSON.")
@click.option("--operation", shell_complete=complete_operation, help="What made it, where the request is not known.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@broker_option
def adopt(
    provider: str,
    account: str,
    job_id: str,
    provider_job_id: str,
    request: str | None,
    operation: str | None,
    as_json: bool,
    broker: str | None,
) -> None:
    """Take up a purchase that no record knows, as job JOB: it is polled and stored, and costs nothing more.

    PROVIDER_ID is the provider's own id, from its list of jobs or from a worker's log (`provider_job_id`).
    """
    arguments = [provider, account, "--", job_id, provider_job_id]
    options = [*(["--request", request] if request else []), *(["--operation", operation] if operation else [])]
    choose_account(broker, provider, account)
    environment = program_environment(broker)
    become("workers.adopt", *options, *(["--json"] if as_json else []), *arguments, environment=environment)
