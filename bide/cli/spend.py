"""`bide spend`: what purchases cost, by account, tenant, provider, operation, lane or day."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from bide.cli.connection import broker_option, client_environment, sentinel_master
from bide.cli.ledgers import field, flat, from_each
from bide.cli.output import echo, echo_json
from bide.cli.stores import object_store
from bide.money.amounts import exact

if TYPE_CHECKING:
    from bide.ledger import AccountName, Ledger
    from bide.money.book import Row, Sums

#: What the sums may be by, and the longest time at once [days].
BY = ("account", "provider", "tenant", "operation", "lane", "day")
MOST_DAYS = 400

#: The time that is shown where none is asked for, today included [days].
USUAL_DAYS = 30

AMOUNTS = ("spent", "reserved", "refunded")
COUNTS = ("purchases", "unpriced")


@click.command()
@click.option("--by", type=click.Choice(BY), default="account", show_default=True, help="One line for each of these.")
@click.option("--since", metavar="DATE", help="The first day, UTC; default: 29 days before the last.")
@click.option("--until", metavar="DATE", help="The last day, UTC; default: today.")
@click.option("--rebuild", is_flag=True, help="Take up lost books from the statements in the object store first.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@broker_option
def spend(
    by: str,
    since: str | None,
    until: str | None,
    rebuild: bool,
    as_csv: bool,
    as_json: bool,
    broker: str | None,
) -> None:
    """Show what is spent and reserved, by account, provider, tenant, operation, lane or day."""
    if as_csv and as_json:
        raise click.UsageError("there is --csv or --json, not both")
    found = from_each(broker, lambda ledger: _read(ledger, by, since, until, broker, rebuild=rebuild))
    days = found[0][1][0]
    lines = [{**field(name), **line} for name, line in flat((name, each) for name, (_, each) in found)]
    if as_json:
        echo_json({"since": days[0].isoformat(), "until": days[-1].isoformat(), "by": by, "lines": lines})
    elif as_csv:
        echo(*_csv(_headings(by, found[0][0]), lines).splitlines())
    else:
        echo(*(_table(_headings(by, found[0][0]), lines) or [f"nothing was bought from {days[0]} to {days[-1]}"]))


def _read(
    ledger: Ledger, by: str, since: str | None, until: str | None, broker: str | None, *, rebuild: bool
) -> tuple[list[date], list[dict[str, Any]]]:
    """The days that are asked for, and the lines of one ledger."""
    days = _days(since, until, today=datetime.fromtimestamp(ledger.executor.now(), UTC).date())
    if rebuild:
        echo(*_rebuild(ledger, days, broker), err=True)
    return days, [_line(by, *key, sums) for key, sums in sorted(_sums(ledger, by, days).items())]


def _rebuild(ledger: Ledger, days: list[date], broker: str | None) -> Iterator[str]:
    """Take up the books of some days that this ledger has lost; a line for each, and how far they reach."""
    from bide.ledger.identity import deployment_of  # noqa: PLC0415 - slow to import, and --help does not need it
    from bide.statements import Statements  # noqa: PLC0415 - brings boto3, and --help does not need it

    environment = client_environment(broker)
    storage = object_store(environment)
    if storage is None:
        raise click.ClickException("no object store is known: set BIDE_S3__BUCKET (environment or .env)")
    url = environment.get("BIDE_LEDGER_URL") or environment["BIDE_BROKER_URL"]
    deployment, number = deployment_of(url, sentinel_master=sentinel_master(environment)), 0
    statements = Statements(ledger, storage, deployment=deployment)
    for day in days:
        if found := statements.rebuild(day, of_any=True):
            number += 1
            assumed = ", ".join(f"{exact(amount)} {currency}" for currency, amount in found.assumed.items() if amount)
            yield (
                f"{day}: the books of {', '.join(found.accounts)} were made again, as of {found.reaches}; "
                f"what was bought after that and before the loss is not in them"
                + (f"; {assumed} was reserved then, and counts as spent" if assumed else "")
            )
    statements.rebuild_budgets()
    if not number:
        yield f"no book from {days[0]} to {days[-1]} is lost, as far as statements tell"


def _days(since: str | None, until: str | None, *, today: date) -> list[date]:
    last = _day(until, "--until") or today
    first = _day(since, "--since") or last - timedelta(days=USUAL_DAYS - 1)
    number = (last - first).days + 1
    if not 1 <= number <= MOST_DAYS:
        raise click.UsageError(f"--since to --until must be from 1 to {MOST_DAYS} days: {first} to {last} is {number}")
    return [first + timedelta(days=each) for each in range(number)]


def _day(text: str | None, option: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise click.UsageError(f"{option}: {text} is no date such as 2026-11-30") from None


def _sums(ledger: Ledger, by: str, days: list[date]) -> Mapping[tuple[str, str], Sums]:
    """The sums of each line, by what it is about and its currency."""
    from bide.money.book import Sums  # noqa: PLC0415 - beside Redis, which takes a while, and --help does not need it

    found: defaultdict[tuple[str, str], Sums] = defaultdict(Sums)
    for account in ledger.accounts.names():
        for day, rows in ledger.books.days(account, days).items():
            for row, sums in rows.items():
                found[_about(by, account, day, row), row.currency] += sums
    return found


def _about(by: str, account: AccountName, day: date, row: Row) -> str:
    return {
        "account": str(account),
        "provider": account.provider,
        "tenant": row.tenant,
        "operation": f"{account.provider} {row.operation}",
        "lane": f"{account.provider} {row.operation} {row.lane}".rstrip(),
        "day": day.isoformat(),
    }[by]


def _line(by: str, about: str, currency: str, sums: Sums) -> dict[str, Any]:
    amounts = {name: exact(getattr(sums, name)) for name in AMOUNTS}
    return {by: about, "currency": currency, **amounts, **{name: getattr(sums, name) for name in COUNTS}}


def _headings(by: str, ledger: str) -> list[str]:
    return [*(["ledger"] if ledger else []), by, "currency", *AMOUNTS, *COUNTS]


def _csv(headings: list[str], lines: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, headings)
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in line.items()} for line in lines)
    return text.getvalue()


def _cell(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula: names of models and tenants come from callers."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def _table(headings: list[str], lines: list[dict[str, Any]]) -> list[str]:
    if not lines:
        return []
    rows = [headings, *([str(value) or "-" for value in line.values()] for line in lines)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(_aligned(row, widths)).rstrip() for row in rows]


def _aligned(row: list[str], widths: list[int]) -> Iterator[str]:
    """Names to the left, numbers to the right."""
    numbers = len(AMOUNTS) + len(COUNTS)
    for left, (cell, width) in zip(range(len(row), 0, -1), zip(row, widths, strict=True), strict=True):
        yield cell.rjust(width) if left <= numbers else cell.ljust(width)
