"""`bide callbacks`: the callbacks that were not delivered, yet or at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from bide.cli.completion import complete_job
from bide.cli.connection import broker_option, ledger_at
from bide.cli.ledgers import choose_job, column, field, flat, from_each
from bide.cli.output import echo, echo_json

if TYPE_CHECKING:
    from bide.ledger import Ledger
    from bide.ledger.callbacks import Callback


@click.group()
def callbacks() -> None:
    """List callbacks that failed or are still tried, and have them sent anew."""


@callbacks.command("list")
@click.option("--failed", "failed_only", is_flag=True, help="Only those that were given up.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@broker_option
def list_(broker: str | None, failed_only: bool, as_json: bool) -> None:
    """List what was not delivered: the given up first, then those to be tried again."""
    undelivered = flat(from_each(broker, lambda ledger: list(_undelivered(ledger))))
    found = [(name, one) for name, one in undelivered if one.failed or not failed_only]
    if as_json:
        echo_json([{**field(name), **_as_json(one)} for name, one in found])
        return
    for name, one in found:
        echo("  ".join((*column(name), _line(one))))
    if not found:
        echo("no callback failed" if failed_only else "no callback waits or failed")


@callbacks.command()
@click.argument("job_ids", metavar="[JOB]...", nargs=-1, shell_complete=complete_job)
@click.option("--all", "all_", is_flag=True, help="All that were given up.")
@broker_option
def replay(job_ids: Sequence[str], all_: bool, broker: str | None) -> None:
    """Have the callbacks of jobs sent anew, under their old webhook ids, whether they were delivered or not."""
    if all_ == bool(job_ids):
        raise click.UsageError("name jobs, or say --all")
    choose_job(broker, *job_ids, aloud=True)
    with ledger_at(broker) as ledger:
        if all_:
            done = [
                one.job_id
                for one in _undelivered(ledger)
                if one.failed and ledger.callbacks.replay(one.account, one.job_id)
            ]
        else:
            done = [job_id for job_id in job_ids if _replayed(ledger, job_id)]
    echo(f"{len(done)} callback{'' if len(done) == 1 else 's'} will be sent within seconds")


def _replayed(ledger: Ledger, job_id: str) -> bool:
    record = ledger.jobs.find(job_id)
    if record is None or not ledger.callbacks.replay(record.account, job_id):
        raise click.ClickException(f"job {job_id} has no end to tell, or asked for no callback; nothing is sent for it")
    return True


def _undelivered(ledger: Ledger) -> Iterator[Callback]:
    for account in ledger.accounts.names():
        yield from ledger.callbacks.unfinished(account)


def _line(one: Callback) -> str:
    when = f"{one.at:%Y-%m-%d %H:%M:%S} UTC"
    delivery = f"given up {when}" if one.failed else f"next try {when}"
    return f"{one.job_id}  {one.account}  {one.state}  {delivery}  {one.tries} tries  {one.note}".rstrip()


def _as_json(one: Callback) -> dict[str, object]:
    return {**asdict(one), "account": str(one.account), "at": one.at.isoformat()}
