"""The book of a run beside the providers' bill, for each account."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

from bide.ledger import Ledger
from bide.money.book import Sums
from tests.billing import billed, label_of
from tests.faults.chaos.stage import KEYS, Stage


@dataclass(frozen=True)
class Balance:
    """One account, all in millionths."""

    #: What its provider charges.
    billed: int
    #: What its book says is spent, and is reserved for submits of which nobody knows whether they were accepted.
    spent: int
    reserved: int
    #: Of the bill: further purchases of jobs about which the provider lies. It may hide them from the book.
    lied: int

    @property
    def right(self) -> bool:
        """Whether they agree to the last unit; what is open may turn out to be charged, or not."""
        return self.spent <= self.billed <= self.spent + self.reserved + self.lied


def balances(stage: Stage, lied_about: Collection[str]) -> dict[str, Balance]:
    """By account, for all that the jobs of a run use; `lied_about` are the names of those that are lied about."""
    bill, lies, found = billed(stage.sandbox), _lies(stage, lied_about), {}
    with stage.server() as server:
        books = Ledger(server).books
        for account in stage.accounts:
            keys = server.scan_iter(f"bide:{{{account}}}:book:*")
            days = books.days(account, [date.fromisoformat(key.rpartition(":")[2]) for key in keys])
            book = sum((sums for rows in days.values() for sums in rows.values()), Sums())
            at = (account.provider, label_of(KEYS[account]))
            found[str(account)] = Balance(bill.get(at, 0), book.spent, book.reserved, lies[at])
    return found


def _lies(stage: Stage, lied_about: Collection[str]) -> Counter[tuple[str, str]]:
    """What is billed for these jobs besides the first purchase of each, by provider and key."""
    extra: Counter[tuple[str, str]] = Counter()
    known: set[str] = set()
    for line in stage.sandbox.bill()["lines"]:
        if line["reference"] in lied_about and line["reference"] in known:
            extra[line["provider"], line["key"]] += line["millionths"]
        known.add(line["reference"])
    return extra
