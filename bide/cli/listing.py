"""`bide jobs`: lists jobs by state, provider, account, age and failure code."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import repeat
from textwrap import shorten
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from bide.cli.completion import complete_provider
from bide.cli.connection import broker_option
from bide.cli.filled import FILLED
from bide.cli.ledgers import column, field, flat, from_each
from bide.cli.output import echo, echo_json

if TYPE_CHECKING:
    from bide.ledger import Ledger
    from bide.ledger.listing import Found, Job, Wanted

STATES = ("queued", "submitting", "running", "storing", "unconfirmed", "succeeded", "failed", "canceled")

#: The most of a failure's message that a line shows [characters].
REMARK_CHARACTERS = 100

#: The most of a prompt that a line shows [characters].
PROMPT_CHARACTERS = 32

#: Time between two looks of `--watch` [seconds].
WATCH_SECONDS = 2.0

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


class Age(click.ParamType[float]):
    """`90`, `90s`, `15m`, `2h`, `3d`: a length of time, in seconds here."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        age = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", str(value))
        if not age:
            self.fail(f"{value!r} is no length of time; write 90s, 15m, 2h or 3d", param, ctx)
        return float(age[1]) * _UNITS[age[2]]


limit_option = click.option(
    "--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="The most to show."
)
codes_option = click.option("--code", "codes", multiple=True, help="Only those that failed with this code. Repeatable.")


@click.command()
@click.option("--state", "states", type=click.Choice((*STATES, "all")), multiple=True, help="Repeatable.")
@click.option("--provider", type=FILLED, shell_complete=complete_provider, help="Only this provider's.")
@click.option("--account", type=FILLED, help="Only accounts of this name.")
@click.option("--tenant", type=FILLED, help="Only this tenant's.")
@click.option(
    "--older-than",
    "older_than_seconds",
    type=Age(),
    metavar="AGE",
    help="Only those opened longer ago: 90s, 15m, 2h, 3d.",
)
@codes_option
@limit_option
@click.option("--watch", is_flag=True, help="Show them again every two seconds, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@broker_option
def jobs(
    states: Sequence[str],
    codes: Sequence[str],
    limit: int,
    watch: bool,
    broker: str | None,
    as_json: bool,
    **filters: Any,
) -> None:
    """List jobs: all that are not over, the oldest first, or by --state or --code."""
    if watch and as_json:
        raise click.UsageError("--watch is for people; read --json as often as you like")
    chosen = any((states, codes, *filters.values()))
    while True:
        wanted = wanted_of(states, codes, **{name: value for name, value in filters.items() if value is not None})
        asked = from_each(broker, lambda ledger: (search(ledger, wanted, most=limit), _troubles(ledger, wanted)))  # noqa: B023 - called at once
        found = merged([(name, it) for name, (it, _) in asked], wanted, most=limit)
        troubles = {account: trouble for _, (_, each) in asked for account, trouble in each.items()}
        if as_json:
            shown = [{**field(name), **job_json(job)} for name, job in zip(found.ledgers, found.jobs, strict=True)]
            echo_json({"jobs": shown, "whole": found.whole, "accounts": troubles})
            return
        if watch:
            click.clear()
        _show(found, troubles, limit=limit, chosen=chosen)
        if not watch:
            return
        time.sleep(WATCH_SECONDS)


class FoundJobs(NamedTuple):
    """Jobs of all ledgers, the ledger of each, and whether there are no others."""

    jobs: list[Job]
    ledgers: list[str]
    whole: bool


def merged(found: Sequence[tuple[str, Found]], wanted: Wanted, *, most: int) -> FoundJobs:
    """The jobs of all ledgers, in the order of one."""
    pairs = flat((name, each.jobs) for name, each in found)
    if wanted.over:
        pairs.sort(key=lambda it: it[1].finished or it[1].created, reverse=True)
    else:
        pairs.sort(key=lambda it: it[1].created)
    chosen = pairs[:most]
    whole = all(each.whole for _, each in found)
    return FoundJobs([job for _, job in chosen], [name for name, _ in chosen], whole)


def _show(found: FoundJobs, troubles: Mapping[str, str], *, limit: int, chosen: bool) -> None:
    for name, trouble in troubles.items():
        echo(f"account {name}: {trouble}")
    nothing = "there are none" if chosen else "no job is under way; `bide failed list` shows what failed"
    echo(*(table(found.jobs, ledgers=found.ledgers) or [nothing]))
    if len(found.jobs) == limit or not found.whole:
        echo("there may be more: see --limit and the other options", err=True)


def wanted_of(
    states: Sequence[str],
    codes: Sequence[str],
    *,
    provider: str = "",
    account: str = "",
    tenant: str = "",
    older_than_seconds: float | None = None,
) -> Wanted:
    """The jobs that the options ask for; codes without states mean jobs that ended badly."""
    from bide.contract import FailureCode, JobState  # noqa: PLC0415 - pydantic takes a while, and --help does not need it
    from bide.ledger.listing import UNDER_WAY, Wanted  # noqa: PLC0415 - slow to import, and --help does not need it

    if unknown := sorted(set(codes) - set(FailureCode)):
        raise click.UsageError(f"--code: there is no {', '.join(unknown)}; there are {', '.join(FailureCode)}")
    asked = frozenset(JobState) if "all" in states else frozenset(map(JobState, states))
    default = frozenset({JobState.FAILED, JobState.CANCELED, JobState.UNCONFIRMED}) if codes else UNDER_WAY
    before = time.time() - older_than_seconds if older_than_seconds is not None else float("inf")
    return Wanted(asked or default, provider, account, frozenset(codes), before, tenant)


def search(ledger: Ledger, wanted: Wanted, *, most: int) -> Found:
    """The jobs that are wanted."""
    from bide.ledger.listing import Listing  # noqa: PLC0415 - slow to import, and --help does not need it

    return Listing(ledger.executor).search(wanted, most=most)


def _troubles(ledger: Ledger, wanted: Wanted) -> dict[str, str]:
    """The reasons why accounts do not submit, by account."""
    stands = [ledger.accounts.state(name) for name in ledger.accounts.names() if wanted.of(name)]
    return {str(each.account): each.troubles for each in stands if each.troubles}


def job_json(job: Job) -> dict[str, Any]:
    """One job as JSON; times are ISO 8601 in UTC."""
    return {
        "job_id": job.job_id,
        "state": job.state.value,
        "provider": job.account.provider,
        "account": job.account.account,
        "operation": job.operation,
        "tenant": job.tenant or None,
        "created_at": _iso(job.created),
        "finished_at": _iso(job.finished),
        "polls": job.polls,
        "provider_job_id": job.provider_job_id or None,
        "code": job.code or None,
        "message": job.message or None,
        "note": job.note or None,
        "run": job.run or None,
        "progress": job.progress.to_json() if job.progress else None,
        "what": job.what or None,
        "outputs": list(job.outputs),
        "tried": list(job.tried),
    }


def table(
    found: Sequence[Job], *, ledgers: Sequence[str] = (), replayed_as: Mapping[str, str] | None = None
) -> list[str]:
    """The jobs in columns, a line each, behind their `ledgers`; `replayed_as` has those bought again, by old id."""
    own = [_row(job, (replayed_as or {}).get(job.job_id)) for job in found]
    rows = [(*column(name), *row) for name, row in zip(ledgers or repeat(""), own, strict=False)]
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)] if rows else []
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _row(job: Job, replayed_as: str | None) -> tuple[str, ...]:
    named = (job.job_id, job.state.value, str(job.account), job.operation)
    return (*named, _age(job), _polls(job), _prompt(job), _remark(job, replayed_as))


def _remark(job: Job, replayed_as: str | None) -> str:
    remark = f"{job.code}: {job.message}" if job.code else _stored(job) or _going_on(job)
    return f"bought again as {replayed_as}" if replayed_as else shorten(remark, REMARK_CHARACTERS, placeholder=" …")


def _going_on(job: Job) -> str:
    return ", ".join(filter(None, [job.note, str(job.progress or "")]))


def _stored(job: Job) -> str:
    more = f" and {len(job.outputs) - 1} more" if len(job.outputs) > 1 else ""
    return f"{job.outputs[0]}{more}" if job.outputs else ""


def _prompt(job: Job) -> str:
    """The beginning of the prompt, which `describe` puts behind a colon."""
    return shorten(job.what.partition(": ")[2], PROMPT_CHARACTERS, placeholder=" …")


def _polls(job: Job) -> str:
    return f"{job.polls} poll{'' if job.polls == 1 else 's'}"


def _age(job: Job) -> str:
    seconds = max(time.time() - job.created, 0.0)
    unit, size = next(
        ((unit, size) for unit, size in (("d", 86400), ("h", 3600), ("m", 60)) if seconds >= 2 * size), ("s", 1)
    )
    return f"{seconds / size:.0f}{unit} old"


def _iso(at: float) -> str | None:
    return datetime.fromtimestamp(at, UTC).isoformat() if at else None
