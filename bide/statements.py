"""Statements: what stands in the books of a day, as a JSON object of the store; and books that are made again from one.

A statement outlives the ledger. A ledger remembers which statements it has written. One that finds a statement which it
did not write has lost its books of that day, and takes them up from there before it writes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from bide.bulk.objects import keys
from bide.ledger import AccountName, Ledger
from bide.ledger.budgets import BudgetPeriod, Stated
from bide.ledger.identity import read_state
from bide.money.book import Row, Sums
from bide.storage import Storage

#: So many days are looked at each time; besides those of which something was open when they were last written.
RECENT_DAYS = 8

#: How far back the latest statement is looked for [months]: as long as a book is kept.
MOST_MONTHS = 14

#: The largest statement that is read [bytes].
MAX_BYTES = 64 * 1024 * 1024

#: Version of the form of a statement.
VERSION = 1


#: Lines about purchases that are read and written together.
PAGE_LINES = 2000


def statement_key(day: date, deployment: str = "") -> str:
    """Where the statement of a day (UTC) lies; '' for one of an earlier release, which names no deployment."""
    return f"{_place(day, deployment)}.json"


def purchases_prefix(day: date, deployment: str = "") -> str:
    """What the objects begin with that have the single purchases of a day, JSON lines each."""
    return f"{_place(day, deployment)}-purchases/"


def _place(day: date, deployment: str) -> str:
    return f"statements/{day:%Y/%m/%d}{_suffix(deployment)}"


def _suffix(deployment: str) -> str:
    return f"-{deployment}" if deployment else ""


@dataclass(frozen=True)
class Rebuilt:
    """One day whose books were made again."""

    day: date
    #: When the statement was written; what was bought later and before the loss is in no book.
    reaches: str
    accounts: tuple[str, ...]
    #: Submits whose end the lost records would have known: they count as spent [millionths, by currency].
    assumed: Mapping[str, int]


class Statements:
    """Writes and reads statements; raises `LedgerAwayError` and `StorageError`.

    `deployment` keeps those of deployments apart that share a bucket: see `bide.ledger.identity.deployment_of`.
    `foreign`: they are those of a ledger at another address, which this one takes up besides what it has.
    """

    def __init__(self, ledger: Ledger, storage: Storage, *, deployment: str = "", foreign: bool = False) -> None:
        self._ledger, self._storage, self._deployment = ledger, storage, deployment
        self._foreign = foreign
        #: What the statements that were read say of budgets, and this ledger does not know yet.
        self._stated: dict[BudgetPeriod, Stated] = {}

    def write(self) -> list[Rebuilt]:
        """Write the statements of days whose books have changed; returns what had to be made again before.

        A ledger that went back writes none before an operator confirms it.
        """
        if read_state(self._ledger.server).went_back_from:  # what it has lost stands in the statements that there are
            return []
        today = datetime.fromtimestamp(self._ledger.executor.now(), UTC).date()
        written = self._ledger.books.statements()
        recent = {today - timedelta(days=each) for each in range(RECENT_DAYS)}
        days = sorted(recent | {day for day, mark in written.items() if mark.endswith(" open")})
        if not written:  # the ledger is new, or was lost
            self.read_latest(today)
        rebuilt = [again for day in days if day not in written and (again := self.rebuild(day))]
        self.rebuild_budgets()
        for day in days:
            self._write(day, written.get(day, ""))
        for account in self._ledger.accounts.names():
            self._write_purchases(account)
        return rebuilt

    def rebuild(self, day: date, *, of_any: bool = False) -> Rebuilt | None:
        """Take up the books of a day from its statement; None where there is none, or this ledger has written it.

        What the statement says of budgets is taken up by `rebuild_budgets`. `of_any`: also from a statement of an
        earlier release, which does not say whose it is.
        """
        places = [statement_key(day, self._deployment), *([statement_key(day)] if of_any else [])]
        written = not self._foreign and day in self._ledger.books.statements()
        key = "" if written else next(filter(self._storage.exists, places), "")
        if not key:
            return None
        statement = self._read(key)
        accounts, assumed = [], dict[str, int]()
        for account, rows in _accounts_in(statement):
            reserved = self._ledger.books.reserved_now(account, day)
            taken = {row: _taken_up(sums, reserved.get(row, 0)) for row, sums in rows.items()}
            if self._ledger.books.restore(account, day, taken, reaches=statement["written_at"]):
                accounts.append(str(account))
                for row, sums in rows.items():
                    guessed = max(sums.reserved - reserved.get(row, 0), 0)
                    assumed[row.currency] = assumed.get(row.currency, 0) + guessed
        self._note_budgets(statement)
        return Rebuilt(day, statement["written_at"], tuple(accounts), assumed) if accounts else None

    def read_latest(self, today: date) -> None:
        """Read the latest statement, which may be old, for `rebuild_budgets`: some budgets are for all time."""
        if key := self._latest(today):
            self._note_budgets(self._read(key))

    def rebuild_budgets(self) -> None:
        """Take up how budgets stood by the latest of the statements that were read, once all their purchases are."""
        if self._foreign:
            self._ledger.budgets.add(self._stated)
        else:
            self._ledger.budgets.raise_to(self._stated, self._ledger.books.purchases_since)
        self._stated = {}

    def _note_budgets(self, statement: Mapping[str, Any]) -> None:
        for each in statement.get("budgets", []):
            period = BudgetPeriod(each["name"], each["period"])
            stated = Stated.of(each, statement["written_at"], statement.get("ledger", ""))
            noted = self._ledger.budgets.noted(period, foreign=self._foreign)
            if stated.written_at > max(noted, self._stated.get(period, Stated.parse("")).written_at):
                self._stated[period] = stated

    def _latest(self, today: date) -> str:
        """The key of the latest statement of the last months; '' for none."""
        month, name = today, re.compile(rf".*/\d\d{re.escape(_suffix(self._deployment))}\.json")
        for _ in range(MOST_MONTHS):
            if found := list(filter(name.fullmatch, keys(self._storage, f"statements/{month:%Y/%m}/"))):
                return found[-1]
            month = month.replace(day=1) - timedelta(days=1)
        return ""

    def _read(self, key: str) -> dict[str, Any]:
        return dict(json.loads(self._storage.get(self._storage.uri(key), max_bytes=MAX_BYTES)))

    def _books(self, day: date) -> dict[AccountName, dict[Row, Sums]]:
        found = {account: self._ledger.books.day(account, day) for account in self._ledger.accounts.names()}
        return {account: rows for account, rows in found.items() if rows}

    def _write(self, day: date, before: str) -> None:
        """Write the statement of a day; `before`: the note of the one that was written last, '' for none."""
        began_at = self._ledger.executor.now()  # what is bought while the books are read may not be in them
        books = self._books(day)
        if not books and before:
            return
        document = self._document(day, books)
        digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:16]
        mark = f"{digest} {'open' if document['open'] else 'closed'}"
        if mark == before:
            return
        if not books:  # nothing was bought on that day, and no statement is there: that is not asked again
            self._ledger.books.note_statement(day, mark)
            return
        written_at = datetime.fromtimestamp(began_at, UTC).isoformat(timespec="seconds")
        text = json.dumps({**document, "written_at": written_at}, indent=1)
        # Noted first: a writer that dies in between leaves no statement which says more than the ledger knows of.
        self._ledger.budgets.note_stated(document["budgets"], ledger=document["ledger"], written_at=written_at)
        self._storage.put(statement_key(day, self._deployment), text.encode(), content_type="application/json")
        self._ledger.books.note_statement(day, mark)

    def _write_purchases(self, account: AccountName) -> None:
        """Write what became of an account's purchases, a page at a time, and forget each page once it is written.

        A writer that dies in between leaves lines that the next one writes again: of a purchase the last line counts.
        """
        while True:
            read_at = datetime.fromtimestamp(self._ledger.executor.now(), UTC)
            lines = self._ledger.books.purchase_lines(account, most=PAGE_LINES)
            if not lines:
                return
            name = f"{read_at:%Y%m%dT%H%M%SZ}-{lines[0].number:012.0f}"
            pages: dict[date, list[str]] = {}
            for each in (json.loads(line.text) for line in lines):
                begun = datetime.fromtimestamp(int(each["begun"]), UTC)
                stated = {**each, "begun": begun.isoformat(), "account": str(account), "amount": int(each["amount"])}
                pages.setdefault(begun.date(), []).append(json.dumps(stated))
            for day, page in pages.items():
                self._put_purchases(day, name, "".join(f"{line}\n" for line in page).encode())
            self._ledger.books.forget_purchase_lines(account, lines[-1].number)

    def _put_purchases(self, day: date, name: str, content: bytes) -> None:
        """`name`: pages sort as their lines do, by the second in which they were read, then by number."""
        digest = hashlib.sha256(content).hexdigest()[:8]
        key = f"{purchases_prefix(day, self._deployment)}{name}-{digest}.ndjson"
        self._storage.put(key, content, content_type="application/x-ndjson")

    def _document(self, day: date, books: Mapping[AccountName, Mapping[Row, Sums]]) -> dict[str, Any]:
        totals: dict[str, Sums] = {}
        for rows in books.values():
            for row, sums in rows.items():
                totals[row.currency] = totals.get(row.currency, Sums()) + sums
        budgets = self._ledger.budgets.stands(self._ledger.budgets.published(), on=day)
        return {
            "version": VERSION,
            "day": day.isoformat(),
            "ledger": read_state(self._ledger.server).id,
            "purchases": purchases_prefix(day, self._deployment),
            "amounts_in": "millionths",
            "open": any(sums.reserved for sums in totals.values()),
            "totals": {currency: asdict(sums) for currency, sums in sorted(totals.items())},
            "rows": [
                {"account": str(account), **row._asdict(), **asdict(sums)}
                for account, rows in books.items()
                for row, sums in rows.items()
            ],
            "budgets": [
                {"name": it.budget.name, "period": it.period, "reserved": it.reserved, "spent": it.spent}
                for it in budgets
            ],
        }


def _accounts_in(statement: Mapping[str, Any]) -> Iterator[tuple[AccountName, dict[Row, Sums]]]:
    by_account: dict[str, dict[Row, Sums]] = {}
    for it in statement["rows"]:
        row = Row(it["currency"], it["tenant"], it["operation"], it["lane"])
        by_account.setdefault(it["account"], {})[row] = Sums.of(it)
    for name, rows in by_account.items():
        yield AccountName.parse(name), rows


def _taken_up(sums: Sums, reserved: int) -> Sums:
    """What a statement says, where only `reserved` of its reservations have a record: the others count as spent."""
    lost = max(sums.reserved - reserved, 0)
    return sums + Sums(reserved=-lost, spent=lost)
