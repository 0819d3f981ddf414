"""`bide tenants`: what each tenant of an account has in line and in flight, and what it may take."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from bide.cli.completion import complete_provider
from bide.cli.connection import broker_option
from bide.cli.filled import FILLED
from bide.cli.ledgers import column, field, flat, from_each
from bide.cli.output import echo, echo_json
from bide.ledger.tenants import KINDS

if TYPE_CHECKING:
    from bide.ledger import AccountName, Ledger
    from bide.ledger.tenants import TenantCount

_HEADINGS = ("account", "tenant", "in line", "in flight", *(kind.replace("_", " ") for kind in KINDS), "caps")


@click.command()
@click.argument("provider", type=FILLED, required=False, shell_complete=complete_provider)
@click.argument("account", type=FILLED, required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@broker_option
def tenants(provider: str | None, account: str | None, broker: str | None, as_json: bool) -> None:
    """Show what the tenants of each account, or of one, have under way and may take."""
    found = flat(from_each(broker, lambda ledger: _counted(ledger, provider or "", account or "")))
    if as_json:
        echo_json([{**field(ledger), **_json(name, each)} for ledger, (name, each) in found])
    elif found:
        headings = (*column("ledger" if found[0][0] else ""), *_HEADINGS)
        echo(*_table([headings, *((*column(ledger), *_row(name, each)) for ledger, (name, each) in found)]))
    else:
        echo("there are none: no request of late names a tenant")


def _counted(ledger: Ledger, provider: str, account: str) -> list[tuple[AccountName, TenantCount]]:
    names = [name for name in ledger.accounts.names() if provider in ("", name.provider)]
    names = [name for name in names if account in ("", name.account)]
    return [(name, each) for name in names for each in ledger.accounts.count_tenants(name)]


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _row(name: AccountName, its: TenantCount) -> tuple[str, ...]:
    counted = (str(its.counted[kind]) if its.counted else "-" for kind in KINDS)
    return (str(name), its.tenant or "(none)", str(its.in_line), str(its.in_flight), *counted, _caps(its))


def _caps(its: TenantCount) -> str:
    """Its caps in words, and whether it is at one of them."""
    caps = its.caps
    words = [
        f"{caps.max_in_flight} in flight" if caps.max_in_flight else "",
        f"{caps.submits_per_second:g} submits a second" if caps.submits_per_second else "",
        f"weight {caps.weight:g}" if caps.weight != 1 else "",
        "at its cap" if its.at_cap else "",
    ]
    return ", ".join(filter(None, words)) or "none"


def _json(name: AccountName, its: TenantCount) -> dict[str, Any]:
    return {
        "provider": name.provider,
        "account": name.account,
        "tenant": its.tenant or None,
        "in_line": its.in_line,
        "in_flight": its.in_flight,
        "max_in_flight": its.caps.max_in_flight or None,
        "submits_per_second": its.caps.submits_per_second or None,
        "weight": its.caps.weight,
        "at_cap": its.at_cap,
        "goes_on_at": datetime.fromtimestamp(its.goes_on_at, UTC).isoformat() if its.goes_on_at else None,
        **(its.counted or dict.fromkeys(KINDS)),
    }
