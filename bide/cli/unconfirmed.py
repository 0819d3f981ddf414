"""`bide unconfirmed`: the submits that may or may not have been accepted, and what to do about each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from textwrap import shorten
from typing import TYPE_CHECKING, Any

import click

from bide.cli.completion import complete_job
from bide.cli.connection import broker_option, known_store, ledger_at, program_environment
from bide.cli.deployment import become
from bide.cli.ledgers import choose_job, field, flat, from_each
from bide.cli.output import echo, echo_json, echo_paragraphs

if TYPE_CHECKING:
    from bide.ledger import Ledger, Record

#: What happens after an operator settled a job.
SOON = "the sweeper sees to it within seconds"

#: The most of a prompt that is shown beside a candidate [characters].
PROMPT_WIDTH = 120

#: Printed below the list.
LOOK_FIRST = "`bide unconfirmed list --candidates` asks the providers which of their jobs each may be"
HOW_TO_SETTLE = (
    "it was accepted:      bide unconfirmed attach JOB PROVIDER_JOB_ID   fetches what was bought",
    "it was not:           bide unconfirmed resubmit JOB                 buys it",
    "neither is worth it:  bide unconfirmed give-up JOB                  ends it as failed",
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
job_argument = click.argument("job_id", metavar="JOB", shell_complete=complete_job)


@click.group()
def unconfirmed() -> None:
    """Settle submits that may or may not have been accepted."""


@unconfirmed.command("list")
@click.option("--candidates", is_flag=True, help="Ask the providers which of their jobs each may be.")
@json_option
@broker_option
def list_(broker: str | None, as_json: bool, candidates: bool) -> None:
    """List them, the oldest first: each may have been bought."""
    if candidates:
        become("workers.unconfirmed", *(["--json"] if as_json else []), environment=program_environment(broker))
    found = flat(from_each(broker, _doubtful))
    show([{**field(name), **one} for name, one in found], as_json=as_json)


def _doubtful(ledger: Ledger) -> list[dict[str, Any]]:
    return [described(record) for account in ledger.accounts.names() for record in ledger.unconfirmed.doubtful(account)]


@unconfirmed.command()
@json_option
@broker_option
def settle(broker: str | None, as_json: bool) -> None:
    """Look once on the providers' lists for all jobs of accounts with SETTLE=listing, and attach what surely fits."""
    options = ["--settle", *(["--json"] if as_json else [])]
    become("workers.unconfirmed", *options, environment=program_environment(broker))


@unconfirmed.command()
@job_argument
@json_option
@broker_option
def add(job_id: str, broker: str | None, as_json: bool) -> None:
    """It is in line, and may have been bought: an old backup of the ledger lacks what was bought since."""
    choose_job(broker, job_id, aloud=True)
    with ledger_at(broker) as ledger:
        record = _known(ledger, job_id)
        if record.fields["state"] != "queued":
            raise click.ClickException(f"job {job_id} is {record.fields['state']}, not in line")
        done, _ = ledger.unconfirmed.doubt(record.account, job_id)
        words = "is unconfirmed: settle it by attach, resubmit or give-up"
        _print(done, ledger, job_id, words, as_json=as_json, missed="is not in line any more")


@unconfirmed.command()
@job_argument
@click.argument("provider_job_id", metavar="PROVIDER_JOB_ID")
@json_option
@broker_option
def attach(job_id: str, provider_job_id: str, broker: str | None, as_json: bool) -> None:
    """It was accepted: say under which id, and it goes on to its result."""
    choose_job(broker, job_id, aloud=True)
    with ledger_at(broker) as ledger:
        record = _unconfirmed(ledger, job_id)
        done, _ = ledger.unconfirmed.attach(record.account, job_id, provider_job_id)
        if done:
            _write_receipt(ledger, record, provider_job_id)
        _print(done, ledger, job_id, f"goes on as {provider_job_id} at the provider; {SOON}", as_json=as_json)


def _write_receipt(ledger: Ledger, record: Record, provider_job_id: str) -> None:
    """Have the bucket know the id, too, where the workers write receipts; a warning says where that fails."""
    from bide.errors import StorageError  # noqa: PLC0415 - slow to import, and --help does not need it
    from bide.ledger.identity import read_state  # noqa: PLC0415 - slow to import, and --help does not need it
    from bide.ledger.safety import announced_receipts  # noqa: PLC0415 - slow to import, and --help does not need it
    from bide.receipts import write_attached  # noqa: PLC0415 - slow to import, and --help does not need it

    if not (where := announced_receipts(ledger.server)):
        return
    try:
        ledger_id = read_state(ledger.server).id
        write_attached(known_store(), where, record, provider_job_id, ledger_id=ledger_id)
    except (StorageError, click.ClickException) as error:
        why = error.format_message() if isinstance(error, click.ClickException) else str(error)
        echo(f"warning: no receipt has the id, so attach it again should the ledger be lost: {why}", err=True)


@unconfirmed.command()
@job_argument
@json_option
@broker_option
def resubmit(job_id: str, broker: str | None, as_json: bool) -> None:
    """It was not accepted, or it may be bought twice: submit it again."""
    choose_job(broker, job_id, aloud=True)
    with ledger_at(broker) as ledger:
        done, _ = ledger.unconfirmed.resubmit(_unconfirmed(ledger, job_id).account, job_id)
        _print(done, ledger, job_id, f"is in line to be submitted again; {SOON}", as_json=as_json)


@unconfirmed.command("give-up")
@job_argument
@json_option
@broker_option
def give_up(job_id: str, broker: str | None, as_json: bool) -> None:
    """Look no further: it has failed, whether it was bought or not."""
    choose_job(broker, job_id, aloud=True)
    with ledger_at(broker) as ledger:
        done, _ = ledger.unconfirmed.give_up(_unconfirmed(ledger, job_id).account, job_id)
        _print(done, ledger, job_id, "has failed; if the provider made it, it is paid for and lost", as_json=as_json)


def _unconfirmed(ledger: Ledger, job_id: str) -> Record:
    """The record of a job that an operator may settle; raises `ClickException` for any other."""
    record = _known(ledger, job_id)
    if record.fields["state"] != "unconfirmed" and not record.settling:
        raise click.ClickException(
            f"job {job_id} is {record.fields['state']}, not unconfirmed: there is nothing to settle"
        )
    return record


def _known(ledger: Ledger, job_id: str) -> Record:
    record = ledger.jobs.find(job_id)
    if record is None:
        raise click.ClickException(f"nothing is known of a job {job_id!r}: never submitted here, or forgotten since")
    return record


def _print(
    done: bool,
    ledger: Ledger,
    job_id: str,
    words: str,
    *,
    as_json: bool,
    missed: str = "was settled by another operator just now",
) -> None:
    if not done:
        raise click.ClickException(f"job {job_id} {missed}")
    record = ledger.jobs.find(job_id)
    state = record.fields["state"] if record else None
    if as_json:
        echo_json({"job_id": job_id, "state": state}, indent=None)
    else:
        echo(f"job {job_id} {words}")


def described(record: Record) -> dict[str, Any]:
    """One unconfirmed job as JSON: its account, since when it is unconfirmed, and why."""
    from bide.describe import describe  # noqa: PLC0415 - pydantic takes a while, and --help does not need it
    from bide.ledger import settling  # noqa: PLC0415 - slow to import, and --help does not need it
    from bide.ledger.unconfirmed import remarks  # noqa: PLC0415 - slow to import, and --help does not need it

    how = settling.settling_how(record)
    until = datetime.fromtimestamp(settling.settles_until(record), UTC).isoformat() if how else None
    *_, (_, _, last) = [(0.0, "", ""), *settling.evidence(record)]
    note = record.text("note")
    since = record.moment("intended")
    return {
        "job_id": record.job_id,
        "provider": record.account.provider,
        "account": record.account.account,
        "operation": record.text("op"),
        "what": describe(record.request),
        "submitted_at": since.isoformat() if since else None,
        "reason": last if how else record.failure.message,
        "settling": how or None,
        "settling_until": until,
        "remarks": [*filter(None, (how, note)), *remarks(record)],
        "metadata": record.request.metadata,
    }


def show(jobs: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """Print unconfirmed jobs, as JSON or for a person."""
    if as_json:
        echo_json(jobs)
    elif not jobs:
        echo("nothing is unconfirmed")
    else:
        settling = sum(1 for one in jobs if one.get("settling"))
        waiting = f"{len(jobs) - settling} unconfirmed: each may have been bought, and waits for you to settle it"
        by_itself = f"{settling} that bide settles"
        if settling == len(jobs):
            echo(f"{by_itself}; nothing waits for you", "")
        else:
            echo(f"{waiting}{f'; {by_itself}' if settling else ''}", "")
        echo_paragraphs(map(_lines, jobs))
        with_candidates = any("candidates" in one for one in jobs)
        echo("", *([] if with_candidates else [LOOK_FIRST]), *HOW_TO_SETTLE, err=True)


def show_settled(jobs: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """Print what became of unconfirmed jobs that were looked for, as JSON or for a person."""
    if as_json:
        echo_json(jobs)
    elif not jobs:
        echo("no unconfirmed job is of an account with SETTLE=listing")
    for one in () if as_json else jobs:
        became = f"goes on as {one['provider_job_id']}" if one["provider_job_id"] else "stays unconfirmed"
        echo(f"{one['job_id']}  {became}: {one['reason']}")


def _lines(one: Mapping[str, Any]) -> Iterable[str]:
    ledger = f"{one['ledger']}  " if "ledger" in one else ""
    yield f"{ledger}{one['job_id']}  {one['provider']}/{one['account']}  submitted {_moment(one['submitted_at'])}"
    yield f"  {one['what']}"
    yield f"  {one['reason']}"
    yield from (f"  {remark}" for remark in one["remarks"])
    if "candidates" in one:
        yield from (f"  {line}" for line in _candidate_lines(one))


def _moment(iso: str | None) -> str:
    return f"{datetime.fromisoformat(iso):%Y-%m-%d %H:%M:%S} UTC" if iso else "at an unknown time"


def _candidate_lines(one: Mapping[str, Any]) -> Iterable[str]:
    if one["candidates"] is None:
        yield f"candidates: {one['why_none']}"
        return
    if not one["candidates"]:
        yield "candidates: none; the provider lists no job of that time that is not another one's"
    elif "caution" in one:
        yield one["caution"]
    for each in one["candidates"]:
        after = f"{each['seconds_after_submit']:+.0f} s" if each["seconds_after_submit"] is not None else "time unknown"
        extra = f"  {each['about']}" if each["about"] else ""
        yield f"candidate {each['provider_job_id']}  {after}  {each['status']}{extra}"
        yield from _prompt_lines(one.get("prompt", ""), each.get("prompt", ""))
    if one["candidates"] and not any(each.get("prompt") for each in one["candidates"]):
        yield "the provider's list has no prompts: look at what a candidate shows before you attach it"


def _prompt_lines(own: str, candidates: str) -> Iterable[str]:
    """The prompt of a candidate beside that of the job, where its provider has it."""
    if candidates and candidates == own:
        yield f"  its prompt is the job's: {shorten(own, PROMPT_WIDTH)}"
    elif candidates:
        yield f"  its prompt:      {shorten(candidates, PROMPT_WIDTH)}"
        yield f"  that of the job: {shorten(own, PROMPT_WIDTH) or 'none'}"
