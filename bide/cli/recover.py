"""`bide recover`: makes the records of a lost ledger again, by a program of the deployment that reads its settings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from bide.cli.connection import broker_option, program_environment
from bide.cli.deployment import become
from bide.cli.filled import Moment
from bide.cli.output import echo, echo_json

#: How far back receipts and results are looked for [days]: each day is a listing of its own.
MOST_DAYS = 3 * 366

#: The most jobs that are named one by one, of each kind.
MOST_NAMED = 20

#: What became of jobs, in words.
WORDS = {
    "taken": "taken up",
    "known": "there already",
    "twice": "there already, and bought besides",
    "not_bought": "not bought, and not taken up",
    "conflict": "not taken up: the id is another request's",
    "held": "not taken up: another job has the provider's id",
    "run": "left to its run, which has its end",
    "foreign": "left alone, of another deployment",
    "elsewhere": "not taken up: it is sent anew all the time",
    "unreadable": "not taken up: it can't be read",
    "unsettled": "looked for on the provider's list, and not sure",
}

#: What to do about receipts of other addresses.
OTHER_PLACES = (
    "where Redis has moved, or this host reaches it by another name than the workers, `bide recover --from FOLDER` "
    "with the folder that was this deployment's; leave those of other deployments alone"
)

#: What is named job by job: a person has to look.
NAMED = ("not_bought", "twice", "conflict", "held", "elsewhere", "unreadable")


@dataclass(frozen=True)
class Recovered:
    """One job that is known from elsewhere than the ledger, and what became of it."""

    job_id: str
    account: str
    #: `receipt`, `result` (its `job.json`) or `list` (of its provider).
    source: str
    #: A key of `WORDS`.
    what: str
    #: Where it stands now; '' where that is not known.
    state: str
    why: str = ""


class Since(Moment):
    """A moment from which on each day is looked at; one that no deployment has seen is a slip."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        moment, today = super().convert(value, param, ctx), datetime.now(UTC)
        if moment > today + timedelta(days=1):
            self.fail(f"{value} is yet to come: name a day since which jobs were bought", param, ctx)
        if moment < (earliest := today - timedelta(days=MOST_DAYS)):
            self.fail(f"{value} is too long ago: name {earliest:%Y-%m-%d}, or a later day", param, ctx)
        return moment


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would be taken up, and write nothing.")
@click.option(
    "--since",
    type=Since(),
    metavar="DATE",
    help="Look at what was bought since [default: BIDE_TIMING__RETENTION_DAYS ago].",
)
@click.option("--prefix", "prefixes", multiple=True, metavar="PREFIX", help="Also look for results below this prefix.")
@click.option("--receipts-only", is_flag=True, help="Do not look for results of jobs without a receipt.")
@click.option(
    "--from", "place", metavar="FOLDER", help="The folder of the receipts, of a ledger that had another address."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@broker_option
def recover(
    dry_run: bool,
    since: datetime | None,
    prefixes: tuple[str, ...],
    receipts_only: bool,
    place: str | None,
    as_json: bool,
    broker: str | None,
) -> None:
    """Make the records of a lost ledger again, from receipts, results and the lists of providers; it buys nothing.

    What was bought goes on to be polled and stored, and what is in doubt stands on the list of `bide unconfirmed`.
    Callers find the results that are stored. It may be run again at any time. It ends with code 1 where a receipt or
    a result can't be read.
    """
    given = {"--dry-run": dry_run, "--receipts-only": receipts_only, "--json": as_json}
    arguments = [name for name, wanted in given.items() if wanted]
    arguments += ["--since", since.isoformat()] if since else []
    arguments += ["--from", place] if place else []
    arguments += [word for prefix in prefixes for word in ("--prefix", prefix)]
    become("workers.recover", *arguments, environment=program_environment(broker))


def show(
    found: Sequence[Recovered],
    unreadable: Sequence[str],
    other_places: Sequence[str] = (),
    *,
    since: datetime,
    dry: bool,
    as_json: bool,
) -> None:
    """Print what was found, by source and state, and what could not be taken up.

    `other_places`: where receipts of other addresses lie, in words, where this one has none.
    """
    if as_json:
        echo_json(
            {
                "since": since.isoformat(timespec="seconds"),
                "dry_run": dry,
                "counts": [
                    {"source": source, "what": what, "state": state or None, "jobs": jobs}
                    for (source, what, state), jobs in sorted(_counted(found).items())
                ],
                "jobs": list(map(asdict, found)),
                "unreadable": list(unreadable),
                "other_places": list(other_places),
            }
        )
        return
    if other_places:
        echo("there are no receipts of this address of the ledger, and some of others:")
        echo(*(f"  {each}" for each in other_places), f"to do: {OTHER_PLACES}")
    if not found and not unreadable:
        echo(f"nothing was found since {since:%Y-%m-%d}: neither receipts nor results")
    _show_counts(found, dry=dry)
    for uri in unreadable:
        echo(f"{uri} can't be read: nothing is taken up from it")
    if any(each.state == "unconfirmed" for each in found):
        echo("to do: `bide unconfirmed list`")
    if not dry and any(each.what == "taken" for each in found):
        echo("then: `bide ledger confirm`, and workers buy again")


def _show_counts(found: Sequence[Recovered], *, dry: bool) -> None:
    """How many jobs became what, and each one that a person has to look at."""
    for (source, what, state), jobs in sorted(_counted(found).items()):
        would = " (would be)" if dry and what == "taken" else ""
        echo(f"{jobs} by {source}: {WORDS[what]}{would}{f', {state}' if state else ''}")
    for what in NAMED:
        named = [each for each in found if each.what == what]
        for each in named[:MOST_NAMED]:
            echo(f"  {each.job_id} ({each.account}): {each.why}")
        if len(named) > MOST_NAMED:
            echo(f"  and {len(named) - MOST_NAMED} more, see --json")


def _counted(found: Sequence[Recovered]) -> Counter[tuple[str, str, str]]:
    return Counter((each.source, each.what, each.state) for each in found)
