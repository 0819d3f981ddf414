"""The books of all accounts, as people and statements read them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from bide.ledger import scripts
from bide.ledger.executor import Executor
from bide.ledger.keys import STATEMENTS_KEY, book_key, prefix, purchases_key
from bide.ledger.packed import unpack
from bide.ledger.records import AccountName
from bide.ledger.script import Key
from bide.ledger.scripts.account import BookedAmount
from bide.money.book import Purchase, Row, Sums, purchases_in, rows_of
from bide.money.budget_names import Names
from bide.money.budgets import Budget

#: How long it is remembered which statements were written [seconds]: as long as a book is kept.
KEPT_SECONDS = 400 * 24 * 3600


#: The longest from when a job is opened to its last submit [seconds]: the longest deadline.
LONGEST_JOB_SECONDS = 7 * 24 * 3600

#: The clocks and lists of jobs that are open, and how many records are read at once.
OPEN, RECORDS_AT_ONCE = ("queued", "lease", "due", "unconfirmed"), 500

#: The days whose books say which names there are.
NAMED_DAYS = 30


class PurchaseLine(NamedTuple):
    """A line about a purchase: a JSON object, and its number in the order in which the account's lines were noted."""

    text: str
    number: float


class Books:
    """Reads books; each method raises `LedgerAwayError` when Redis stays away."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def day(self, account: AccountName, day: date) -> dict[Row, Sums]:
        """The book of one day (UTC) by row; empty where nothing was bought."""
        return self.days(account, [day])[day]

    def days(self, account: AccountName, days: Sequence[date]) -> dict[date, dict[Row, Sums]]:
        """The books of some days (UTC), each by row."""
        pipeline = self._executor.pipeline()
        for day in days:
            pipeline.hgetall(book_key(account, day))
        found = self._executor.execute(pipeline) if days else []
        return {day: rows_of(book) for day, book in zip(days, found, strict=True)}

    def names(self) -> Names:
        """The accounts of the ledger, and the tenants and lanes that its books of the last days have."""
        today = datetime.fromtimestamp(self._executor.now(), UTC).date()
        days = [today - timedelta(days=each) for each in range(NAMED_DAYS)]
        accounts = self._executor.accounts()
        rows = {row for account in accounts for book in self.days(account, days).values() for row in book}
        tenants, lanes = {row.tenant for row in rows}, {row.lane for row in rows}
        return Names(frozenset(map(str, accounts)), frozenset(tenants - {""}), frozenset(lanes - {""}))

    def of_budget(self, budget: Budget) -> Sums | None:
        """What the books of a budget's present period have of what it covers; None for a budget of all time."""
        if not budget.per:
            return None
        today = datetime.fromtimestamp(self._executor.now(), UTC).date()
        days = [today.replace(day=each) for each in range(1 if budget.per == "month" else today.day, today.day + 1)]
        found = Sums()
        for account in self._executor.accounts():
            for book in self.days(account, days).values():
                for row, sums in book.items():
                    its = budget.covers(tenant=row.tenant, account=str(account), lane=row.lane)
                    found += sums if its and row.currency == budget.currency else Sums()
        return found

    # Statements

    def statements(self) -> dict[date, str]:
        """The statements that this ledger has written: by day what it noted of each."""
        found = self._executor.reach(lambda server: server.hgetall(STATEMENTS_KEY))
        return {date.fromisoformat(day): mark for day, mark in found.items() if " " not in day}

    def note_statement(self, day: date, mark: str) -> None:
        """Note that the statement of a day was written."""
        pipeline = self._executor.server.pipeline()
        pipeline.hset(STATEMENTS_KEY, day.isoformat(), mark)
        pipeline.expire(STATEMENTS_KEY, KEPT_SECONDS)
        self._executor.reach(lambda _: pipeline.execute())

    def purchase_lines(self, account: AccountName, *, most: int) -> list[PurchaseLine]:
        """The oldest lines about purchases that no statement has yet."""
        key = purchases_key(account)
        found = self._executor.reach(lambda server: server.zrange(key, 0, most - 1, withscores=True))
        return [PurchaseLine(text, number) for text, number in found]

    def forget_purchase_lines(self, account: AccountName, through: float) -> None:
        """Take lines away up to a number: a statement has them. One that was noted again has a later number."""
        self._executor.reach(lambda server: server.zremrangebyscore(purchases_key(account), "-inf", through))

    def restore(self, account: AccountName, day: date, rows: Mapping[Row, Sums], *, reaches: str) -> bool:
        """Add to a day's book what a statement says of it; False where that was done already.

        `reaches`: when the statement was written (ISO). What was bought later stands in no book.
        """
        amounts = [
            BookedAmount(str(row), kind, amount) for row, sums in rows.items() for kind, amount in asdict(sums).items()
        ]
        script = scripts.account.Restore(
            statements=Key(STATEMENTS_KEY),
            day=day.isoformat(),
            account_name=str(account),
            reaches=reaches,
            rows=[each for each in amounts if each.amount],
        )
        self._executor.reach(lambda server: server.sadd("bide:accounts", str(account)))
        return bool(self._executor.run(account, script))

    def reserved_now(self, account: AccountName, day: date) -> Mapping[Row, int]:
        """What the records of an account have reserved for a day, by row. Reads all of them: for a rebuild alone."""
        found: defaultdict[Row, int] = defaultdict(int)
        pipeline = self._executor.pipeline()
        for name in OPEN:
            pipeline.zrange(f"{prefix(account)}{name}", 0, -1)
        job_ids = {each for ids in self._executor.execute(pipeline) for each in ids}
        pipeline = self._executor.pipeline()
        for job_id in job_ids:
            pipeline.hmget(f"{prefix(account)}job:{job_id}", "booked", "currency", "tenant", "op", "lane")
        for booked, currency, tenant, operation, lane in self._executor.execute(pipeline) if job_ids else []:
            for purchase in purchases_in(booked or ""):
                if datetime.fromtimestamp(purchase.begun, UTC).date() == day:
                    row = Row(currency or "", tenant or "", operation or "", (lane or "") if purchase.in_lane else "")
                    found[row] += purchase.sums.reserved
        return found

    def purchases_since(self, moment: float) -> list[Purchase]:
        """The purchases in records that were begun after a moment [seconds since the epoch].

        Reads the records of all jobs that may have one: for a rebuild alone.
        """
        names = self._executor.accounts()
        jobs = [(name, job_id) for name in names for job_id in self._jobs_since(name, moment - LONGEST_JOB_SECONDS)]
        records, moved = [], []
        for _, job_id, fields in self._records(jobs, "job:"):
            records.append(fields)
            moved += [(name, job_id) for name in names] if int(fields.get("fallback") or 0) else []
        records += [fields for _, _, fields in self._records(moved, "left:")]
        found = (each for fields in records for each in purchases_in(fields.get("booked", "")))
        return [each for each in found if each.begun > moment]

    def _jobs_since(self, name: AccountName, moment: float) -> set[str]:
        """The jobs of an account that were opened after a moment, or are open."""
        pipeline = self._executor.pipeline()
        pipeline.zrangebyscore(f"{prefix(name)}recent", moment, "+inf")
        for clock in OPEN:
            pipeline.zrange(f"{prefix(name)}{clock}", 0, -1)
        return {job_id for ids in self._executor.execute(pipeline) for job_id in ids}

    def _records(
        self, jobs: Sequence[tuple[AccountName, str]], kind: str
    ) -> Iterator[tuple[AccountName, str, dict[str, str]]]:
        """The fields of records, packed or not; `kind` is how their keys begin behind the account's."""
        for first in range(0, len(jobs), RECORDS_AT_ONCE):
            some, pipeline = jobs[first : first + RECORDS_AT_ONCE], self._executor.pipeline()
            for name, job_id in some:
                pipeline.hgetall(f"{prefix(name)}{kind}{job_id}")
            for (name, job_id), fields in zip(some, self._executor.execute(pipeline), strict=True):
                yield name, job_id, unpack(job_id, name, fields)
