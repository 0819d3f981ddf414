"""`bide ledger`: whether the ledger is the one that it was, and an operator's word that it is to count from now on."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from bide.cli.connection import broker_option, client_environment, known_ledger, ledger_at
from bide.cli.ledgers import column, field, from_each
from bide.cli.output import echo, echo_json
from bide.cli.stores import object_store

if TYPE_CHECKING:
    from bide.deployments import Elsewhere
    from bide.ledger import Ledger
    from bide.ledger.identity import KnownLedger, LedgerState


@click.group()
def ledger() -> None:
    """Look after the ledger as a whole: the records in Redis."""


@ledger.command("list")
@broker_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(broker: str | None, as_json: bool) -> None:
    """Show all ledgers, with what is under way in each; exit code 3 where one is away."""
    found = from_each(broker, _overview)
    if as_json:
        echo_json([{**field(name), **each} for name, each in found])
        return
    headings = (*column("ledger" if found[0][0] else ""), *(key.replace("_", " ") for key in found[0][1]))
    rows = [headings, *((*column(name), *(_cell(value) for value in each.values())) for name, each in found)]
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    echo(*("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows))


def _overview(records: Ledger) -> dict[str, Any]:
    """The numbers of one ledger, as JSON."""
    from bide.ledger.overview import overview  # noqa: PLC0415 - slow to import, and --help does not need it

    found = asdict(overview(records))
    return {**found, "troubles": [*found["troubles"]]}


def _cell(value: int | list[str]) -> str:
    return str(value) if isinstance(value, int) else "; ".join(value) or "none"


@ledger.command()
@broker_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(broker: str | None, as_json: bool) -> None:
    """Show the ledger's id, and the one that is known; exit code 1 where they differ, or where the ledger went back."""
    from bide.ledger.identity import REMEDY, mismatch, read_state  # noqa: PLC0415 - slow to import, --help needs it not

    with ledger_at(broker) as records:
        here = _known(broker)
        found, known = read_state(records.server), here.read()
    _warn_of_others(broker, here, known)
    elsewhere = _elsewhere(broker, here, known, found)
    why = elsewhere.why if elsewhere else mismatch(found, known) if known.id else ""
    if as_json:
        echo_json({"id": found.id, "known_id": known.id, "problem": why})
    elif elsewhere:
        echo(why)
    elif why:
        echo(f"{why}; nothing is submitted", f"to do: {REMEDY}")
    else:
        echo(f"it is the one that it was: {found.id}" if known.id else "it is new: the first worker gives it an id")
    if why:
        raise SystemExit(1)


@ledger.command()
@broker_option
@click.option("--yes", is_flag=True, help="Do not ask.")
def confirm(broker: str | None, yes: bool) -> None:
    """Have the ledger count as it is, though it is not the one that it was: workers buy again within seconds.

    Jobs that were under way on the lost one are not known any more, and what they bought is not. A message that is sent
    again buys again. A ledger that went back gets a new id: what it has in line is bought, also what was bought since.
    """
    from bide.ledger.identity import accept, mismatch, read_state  # noqa: PLC0415 - slow to import, --help needs it not

    with ledger_at(broker) as records:
        known = _known(broker)
        before = known.read()
        found = read_state(records.server)
        _warn_of_others(broker, known, before)
        if before.id and not mismatch(found, before):
            echo(f"nothing to confirm: it is the one that it was, {found.id}")
            return
        elsewhere = _elsewhere(broker, known, before, found)
        if elsewhere and elsewhere.foreign:
            raise click.ClickException(elsewhere.why)
        if elsewhere and not mismatch(found, known.another(elsewhere.key).read()):
            known.write(found, earlier=elsewhere.ids)  # without a new id: workers of the other address go on
            echo(f"the ledger {found.id} is known at this address, too")
            return
        if not yes:
            click.confirm(
                "Nothing of the lost ledger may still be bought again. Count this one from now on?", abort=True
            )
        found = accept(records.server, before)
        known.write(found, earlier=elsewhere.ids if elsewhere else ())
    echo(f"the ledger {found.id} counts from now on; workers submit again within seconds")


def _elsewhere(broker: str | None, here: KnownLedger, known: LedgerState, found: LedgerState) -> Elsewhere | None:
    """How the bucket knows the ledger at another address, where another one is known at this address."""
    from bide.deployments import known_elsewhere, known_ledgers  # noqa: PLC0415 - slow to import, --help needs it not

    storage = object_store(client_environment(broker)) if found.id not in ("", known.id) else None
    return known_elsewhere(known_ledgers(storage), here.key, found.id) if storage else None


def _warn_of_others(broker: str | None, here: KnownLedger, known: LedgerState) -> None:
    """Warn where the bucket knows no ledger at this address, and some at others: one may be this deployment's."""
    from bide.bulk.objects import keys  # noqa: PLC0415 - slow to import, and --help does not need it
    from bide.ledger.identity import PREFIX  # noqa: PLC0415 - slow to import, and --help does not need it

    storage = None if known.id else object_store(client_environment(broker))
    others = [key for key in keys(storage, PREFIX) if key != here.key] if storage else []
    if others:
        echo(
            f"warning: the bucket knows no ledger at this address, and {len(others)} at others: {', '.join(others)}",
            "where workers reach Redis by another name than this host, use their BIDE_LEDGER_URL: they look there",
            err=True,
        )


def _known(broker: str | None) -> KnownLedger:
    """What the object store knows of the ledger; raises `ClickException` where no store is known."""
    storage = object_store(client_environment(broker))
    if storage is None:
        raise click.ClickException("no object store is known: set BIDE_S3__BUCKET (environment or .env)")
    return known_ledger(storage, broker)
