"""The book of a run beside the providers' bill: by account, by tenant, and for each budget."""

from __future__ import annotations

import json
import subprocess
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from bide.ledger import AccountName, Ledger
from bide.money.amounts import millionths
from bide.money.book import Sums
from tests.faults.chaos.bill import Purchase
from tests.faults.chaos.budgets import SHARES
from tests.faults.chaos.jobs import LIES, Job
from tests.faults.chaos.stage import Stage
from tests.integration.processes import ROOT

#: What a group of purchases is by: an account, a tenant, a budget.
Group = Callable[["Charge"], Iterable[str]]


@dataclass(frozen=True)
class Balance:
    """What bill and book say of some purchases, all in millionths."""

    #: What the providers charge.
    billed: int
    #: What the book says is spent, and is reserved for submits of which nobody knows whether they were accepted.
    spent: int
    reserved: int
    #: Of the bill: for jobs whose submits are in doubt, and what providers that lie may hide from the book.
    open: int = 0
    lied: int = 0

    @property
    def right(self) -> bool:
        """Whether they agree to the last unit."""
        return self.spent <= self.billed - self.open <= self.spent + self.lied and self.open <= self.reserved


@dataclass(frozen=True)
class Charge:
    """One purchase of the bill, with all that it may be counted by."""

    account: str
    tenant: str
    lane: str
    millionths: int
    #: It is for a job whose submit is in doubt; or a provider that lies may hide it.
    open: bool = False
    lied: bool = False


def charges(jobs: Sequence[Job], purchases: Sequence[Purchase], held: Collection[str]) -> list[Charge]:
    """The bill of a run; `held` are the names of the jobs whose submits are in doubt at its end.

    Of a job about which a provider lies the first purchase alone counts as known, and of one that is in doubt none.
    """
    named, known, found = {job.name: job for job in jobs}, set(), []
    for each in purchases:
        job = named[each.name]
        lied = job.contract in LIES and (each.name in known or each.name in held)
        known.add(each.name)
        lane = str(job.in_turn[each.account]["params"].get("modelID", ""))
        is_open = each.name in held and not each.refunded and not lied
        found.append(Charge(str(each.account), job.tenant, lane, each.millionths, is_open, lied))
    return found


def balances(charged: Iterable[Charge], group: Group, book: Mapping[str, Sums]) -> dict[str, Balance]:
    """Bill and book of each group that either of them has."""
    billed: dict[str, Counter[str]] = defaultdict(Counter)
    for each in charged:
        for name in group(each):
            billed[name]["billed"] += each.millionths
            billed[name]["open"] += each.millionths * each.open
            billed[name]["lied"] += each.millionths * each.lied
    return {
        name: Balance(
            billed[name]["billed"],
            book.get(name, Sums()).spent,
            book.get(name, Sums()).reserved,
            billed[name]["open"],
            billed[name]["lied"],
        )
        for name in sorted({*billed, *book})
    }


def of_account(charge: Charge) -> Iterable[str]:
    """Its account alone."""
    return [charge.account]


def of_tenant(charge: Charge) -> Iterable[str]:
    """Its tenant alone."""
    return [charge.tenant]


def of_budgets(charge: Charge) -> Iterable[str]:
    """The budgets that cover a purchase."""
    for share in SHARES:
        if share.budget.covers(tenant=charge.tenant, account=charge.account, lane=charge.lane):
            yield share.budget.name


def account_books(stage: Stage) -> dict[str, Sums]:
    """What the book of each account has."""
    with stage.server() as server:
        return {str(account): _book(Ledger(server), account) for account in stage.accounts}


def _book(ledger: Ledger, account: AccountName) -> Sums:
    keys = ledger.executor.reach(lambda server: list(server.scan_iter(f"bide:{{{account}}}:book:*")))
    days = ledger.books.days(account, [date.fromisoformat(key.rpartition(":")[2]) for key in keys])
    return sum((sums for rows in days.values() for sums in rows.values()), Sums())


def tenant_books(stage: Stage) -> dict[str, Sums]:
    """What `bide spend` says of each tenant, as a person asks for it."""
    command, environment = ["bide", "spend", "--by", "tenant", "--json"], stage.environment(stage.here)
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    return {
        line["tenant"]: Sums(**{name: millionths(Decimal(line[name]), what=name) for name in ("spent", "reserved")})
        for line in json.loads(done.stdout)["lines"]
    }


def budget_books(stage: Stage) -> dict[str, Sums]:
    """What stands in each budget, in all of its periods."""
    found: dict[str, Sums] = {}
    with stage.server() as server:
        for share in SHARES:
            keys = server.scan_iter(f"bide:budget:{share.budget.name}:*")
            found[share.budget.name] = sum((Sums.of(server.hgetall(key)) for key in keys), Sums())
    return found
