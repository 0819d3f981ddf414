"""One ledger in a few numbers, for people who look after several."""

from __future__ import annotations

from dataclasses import dataclass

from bide.ledger.ledger import Ledger
from bide.ledger.processes import running


@dataclass(frozen=True)
class Overview:
    """How many accounts a ledger has, how many of their jobs stand where, and how many processes run."""

    accounts: int
    in_line: int
    at_provider: int
    unconfirmed: int
    #: Why accounts submit nothing, each with its account.
    troubles: tuple[str, ...]
    processes: int


def overview(ledger: Ledger) -> Overview:
    """The numbers of a ledger; raises `LedgerAwayError`."""
    names = ledger.accounts.names()
    clocks = [ledger.accounts.count_clocks(name) for name in names]
    states = [ledger.accounts.state(name) for name in names]
    return Overview(
        accounts=len(names),
        in_line=sum(each["queued"] for each in clocks),
        at_provider=sum(each["due"] for each in clocks),
        unconfirmed=sum(each["unconfirmed"] for each in clocks),
        troubles=tuple(f"{each.account}: {each.troubles}" for each in states if each.troubles),
        processes=len(running(ledger.server)),
    )
