"""`bide failed`: the jobs that failed, and buying them again as new ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from bide.cli.completion import complete_job
from bide.cli.connection import broker_option, connected, ledger_at
from bide.cli.ledgers import choose_job, field, from_each
from bide.cli.listing import codes_option, job_json, limit_option, merged, search, table, wanted_of
from bide.cli.output import echo, echo_json
from bide.cli.replays import key_of, replayed

if TYPE_CHECKING:
    from bide.contract import GenerateRequest
    from bide.ledger import Ledger, Record
    from bide.ledger.listing import Found

#: The most jobs that one `--code` replays.
MOST = 10_000


@click.group()
def failed() -> None:
    """List jobs that failed, and buy them again."""


@failed.command("list")
@codes_option
@limit_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@broker_option
def list_(codes: Sequence[str], limit: int, broker: str | None, as_json: bool) -> None:
    """List them, the latest first."""
    wanted = wanted_of(["failed"], codes)
    asked = from_each(broker, lambda ledger: _with_replays(ledger, search(ledger, wanted, most=limit)))
    found = merged([(name, each) for name, (each, _) in asked], wanted, most=limit)
    again_as = {old: new for _, (_, replays) in asked for old, new in replays.items()}
    if as_json:
        shown = [{**field(name), **job_json(job)} for name, job in zip(found.ledgers, found.jobs, strict=True)]
        echo_json([{**each, "replayed_as": again_as.get(each["job_id"])} for each in shown])
        return
    echo(*(table(found.jobs, ledgers=found.ledgers, replayed_as=again_as) or ["no job failed"]))
    if found.jobs:
        echo("`bide explain JOB` tells why, `bide failed replay JOB` buys it again", err=True)
    if len(found.jobs) == limit or not found.whole:
        echo("there may be more: see --limit and --code", err=True)


def _with_replays(ledger: Ledger, found: Found) -> tuple[Found, dict[str, str]]:
    return found, replayed(ledger, [job.job_id for job in found.jobs])


@failed.command()
@click.argument("job_ids", metavar="[JOB]...", nargs=-1, shell_complete=complete_job)
@codes_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; asks nothing, so it needs --yes.")
@broker_option
def replay(job_ids: Sequence[str], codes: Sequence[str], yes: bool, broker: str | None, as_json: bool) -> None:
    """Buy failed jobs again, as new jobs with the same request; twice asked for, it is one new job.

    By --code: all that failed so and were not bought again yet. Moderated jobs are bought again by their code alone.
    """
    if bool(job_ids) == bool(codes):
        raise click.UsageError("name jobs, or say --code")
    if as_json and not yes:
        raise click.UsageError("--json asks nothing: it needs --yes, since each replay buys again")
    choose_job(broker, *job_ids, aloud=True)
    with ledger_at(broker) as ledger:
        records = [_failed(ledger, job_id) for job_id in job_ids] if job_ids else _coded(ledger, codes)
    if not records:
        raise click.ClickException("no job failed with these codes, but for those bought again already")
    if not yes:
        click.confirm(_warning(records), abort=True, err=True)
    with connected(broker) as client:
        new_ids = {record.job_id: client.submit(again(record)) for record in records}
    if as_json:
        echo_json([{"job_id": new, "replay_of": old} for old, new in new_ids.items()])
    else:
        echo(*(f"{new}  is job {old} again" for old, new in new_ids.items()))


def _failed(ledger: Ledger, job_id: str) -> Record:
    """The record of a job that may be bought again; raises `ClickException` for any other."""
    record = ledger.jobs.find(job_id)
    if record is None:
        raise click.ClickException(f"nothing is known of a job {job_id!r}: never submitted here, or forgotten since")
    if reason := _against_by_name(record):
        raise click.ClickException(f"job {job_id} {reason}")
    return record


def against(record: Record) -> str:
    """The reason against buying a job again; '' where there is none."""
    if record.following:
        return f"waits for job {record.following}: replay that one"
    state = record.text("state")
    if state == "unconfirmed":
        return "may have been bought, nobody knows: settle it by `bide unconfirmed`"
    if state != "failed":
        return f"is {state}, not failed: there is nothing to replay"
    if record.text("run"):
        return f"is a row of run {record.text('run')}: `bide bulk replay {record.text('run')}` replays its failed rows"
    return "" if record.request_json else "has no request any more"


def _against_by_name(record: Record) -> str:
    """As `against`, for a job that is named without its code."""
    if (reason := against(record)) or not moderated(record):
        return reason
    return (
        "was refused by the provider's moderation, and would be again: change the request and submit that; "
        "`bide failed replay --code moderated` buys all such jobs again as they are"
    )


def moderated(record: Record) -> bool:
    """Whether the provider's moderation refused a job."""
    return bool(record.text("error")) and record.failure.code == "moderated"


def _coded(ledger: Ledger, codes: Sequence[str]) -> list[Record]:
    found = search(ledger, wanted_of(["failed"], codes), most=MOST)
    bought_again = replayed(ledger, [job.job_id for job in found.jobs])
    records = (ledger.jobs.read(job.account, job.job_id) for job in found.jobs if job.job_id not in bought_again)
    return [record for record in records if record and not against(record)]


def _warning(records: Sequence[Record]) -> str:
    from bide.ledger.timeline import money  # noqa: PLC0415 - pydantic takes a while, and --help does not need it

    paid, all_of = sum(money(record) != "not bought" for record in records), len(records)
    if all_of == 1:
        return f"1 job will be bought again{'; it was, or may have been, paid for already' if paid else ''}. Go on?"
    before = f"; {paid} of them were, or may have been, paid for already" if paid else ""
    return f"{all_of} jobs will be bought again{before}. Go on?"


def again(record: Record) -> GenerateRequest:
    """The request of a failed job for a new job, whose metadata names the failed one."""
    old = record.asked
    changes: dict[str, Any] = {
        "idempotency_key": key_of(record.job_id),
        "metadata": {**old.metadata, "replay_of": record.job_id},
    }
    return old.model_copy(update=changes)
