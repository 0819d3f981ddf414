"""`bide bulk results` and `refresh`: what came of a run, as it lies in object storage."""

from __future__ import annotations

import json

import click

from bide.cli.bulk_deployment import deployed
from bide.cli.bulk_show import sheet_lines
from bide.cli.completion import complete_run
from bide.cli.connection import broker_option, deployment_environment
from bide.cli.ledgers import choose_run
from bide.cli.output import echo, echo_json, echo_json_text
from bide.cli.storage import retention
from bide.cli.stores import object_store
from bide.printable import counted


@click.command()
@click.argument("run_id", metavar="RUN", shell_complete=complete_run)
@click.option("--jsonl", is_flag=True, help="Print the rows, a line each, instead of the summary.")
@click.option("--state", "states", multiple=True, help="Only rows that ended so. Repeatable.")
def results(run_id: str, jsonl: bool, states: tuple[str, ...]) -> None:
    """Show what came of a run, as it lies in object storage."""
    from bide.bulk import results as parts  # noqa: PLC0415 - slow to import, and --help does not need it
    from bide.bulk.names import check_run_id, summary_key  # noqa: PLC0415 - slow to import, and --help does not need it
    from bide.bulk.summary import MAX_SUMMARY_BYTES  # noqa: PLC0415 - slow to import, and --help does not need it

    environment = deployment_environment()
    storage = object_store(environment)
    if storage is None:
        raise click.ClickException("no object store is known: set BIDE_S3__BUCKET")
    check_run_id(run_id)
    if jsonl or states:
        for each in parts.read(storage, run_id):
            if not states or each["state"] in states:
                echo_json(each, indent=None)
        return
    if not storage.exists(summary_key(run_id)):
        raise click.ClickException(
            f"run {run_id} has no summary: it goes on (`--jsonl` shows what ended), or never was"
        )
    summary = storage.get(storage.uri(summary_key(run_id)), max_bytes=MAX_SUMMARY_BYTES).decode()
    echo_json_text(summary)
    if count := json.loads(summary)["unconfirmed"]:
        rows = counted(count, "row is", "rows are")
        what = "it" if count == 1 else "them"
        echo(f"{rows} unconfirmed: `bide unconfirmed` settles {what}, then `bide bulk refresh {run_id}`", err=True)
    echo(*sheet_lines(storage, run_id, environment), err=True)


@click.command()
@click.argument("run_id", metavar="RUN", shell_complete=complete_run)
@broker_option
def refresh(run_id: str, broker: str | None) -> None:
    """Bring into the results what became of unconfirmed rows after the end (see `bide unconfirmed`)."""
    from bide.bulk.lease import rewriting  # noqa: PLC0415 - slow to import, and --help does not need it
    from bide.bulk.refresh import refresh as bring_in  # noqa: PLC0415 - slow to import, and --help does not need it
    from bide.bulk.retention import tag_run  # noqa: PLC0415 - slow to import, and --help does not need it
    from bide.bulk.sheet.writer import write_sheet  # noqa: PLC0415 - slow to import, and --help does not need it

    choose_run(broker, run_id, aloud=True)
    with deployed(broker) as deployment, rewriting(deployment.runs.server):
        new_states = bring_in(deployment.runs, deployment.ledger, deployment.storage, run_id)
        write_sheet(deployment.storage, run_id)
        tag_run(deployment.storage, run_id, retention(broker))
    counts = ", ".join(f"{count} {state}" for state, count in sorted(new_states.items()))
    echo(f"no longer unconfirmed: {counts}" if counts else "nothing was settled since")
