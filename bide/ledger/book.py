"""The books of all accounts, as people and statements read them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from bide.ledger.executor import Executor
from bide.ledger.keys import book_key
from bide.ledger.records import AccountName
from bide.money.book import Row, Sums, rows_of


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
