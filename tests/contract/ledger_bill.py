"""What a provider would have on its bill in a life of the ledger machine, beside which the ledger's books are held."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from bide.ledger import AccountName, Ledger, Record
from bide.money.book import Sums
from bide.money.quote import Quote


@dataclass
class Begun:
    """One purchase that was begun: under one key, with one or more attempts."""

    account: AccountName
    key: str
    price: int
    day: date
    #: Attempts that are not surely refused.
    attempts: set[int] = field(default_factory=set)
    accepted: bool = False
    #: An operator says that it was accepted.
    attached: bool = False
    #: It costs something, so that it stands in budgets.
    budgeted: bool = True

    @property
    def stands(self) -> bool:
        """Whether it may be on the bill."""
        return self.accepted or bool(self.attempts)


class Bill:
    """All purchases of a life; nothing of it is read from the ledger."""

    def __init__(self) -> None:
        self.begun: defaultdict[str, list[Begun]] = defaultdict(list)

    def quote(self, job_id: str, *, free: bool) -> Quote:
        """What a purchase of a job costs: each job has another price, so that no two entries can be mistaken."""
        return Quote(0 if free else 1_000 + int(job_id[1:]) ** 2, "USD", "settings")

    def begin(self, record: Record, attempt: int, key: str, quote: Quote, *, at: float, absent: bool) -> None:
        """A submit goes out; under a key that another one had it is the same purchase, unless that surely is none."""
        purchases = self.begun[record.job_id]
        if absent:
            purchases[-1].attempts.clear()
        if not purchases or purchases[-1].key != key or absent or not purchases[-1].attempts or not record.in_doubt:
            day = datetime.fromtimestamp(at, UTC).date()
            purchases.append(Begun(record.account, key, quote.amount or 0, day, budgeted=bool(quote.amount)))
        purchases[-1].attempts.add(attempt)

    def refuse(self, job_id: str, attempt: int) -> None:
        """The provider surely did not accept an attempt."""
        for purchase in self.begun[job_id]:
            purchase.attempts.discard(attempt)

    def accept(self, job_id: str, attempt: int) -> None:
        """The provider accepted an attempt."""
        for purchase in self.begun[job_id]:
            purchase.accepted |= attempt in purchase.attempts

    def check(self, ledger: Ledger) -> None:
        """Reserved and spent are what may be on the bill, day by day; nothing is negative."""
        may_cost: defaultdict[tuple[AccountName, date], int] = defaultdict(int)
        for purchase in (each for purchases in self.begun.values() for each in purchases):
            may_cost[purchase.account, purchase.day] += purchase.price * purchase.stands
        for (account, day), amount in may_cost.items():
            for row, sums in ledger.books.day(account, day).items():
                assert min(sums.reserved, sums.spent, sums.refunded, sums.purchases) >= 0, (row, sums)
            booked = sum(ledger.books.day(account, day).values(), Sums())
            assert booked.reserved + booked.spent == amount, (account, day, booked, self.begun)

    def check_ended(self, ledger: Ledger) -> None:
        """All jobs are over or unconfirmed: the book of what nobody looks into any more reserves nothing."""
        unconfirmed = {record.job_id for name in ledger.accounts.names() for record in ledger.unconfirmed.records(name)}
        for account in ledger.accounts.names():
            mine = [(job_id, each) for job_id, all_ in self.begun.items() for each in all_ if each.account == account]
            days = {each.day for _, each in mine}
            reserved = sum(sums.reserved for day in days for sums in ledger.books.day(account, day).values())
            assert reserved <= sum(each.price * each.stands for job_id, each in mine if job_id in unconfirmed)
