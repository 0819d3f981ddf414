"""A run's record, as read: its options, its progress, its outcome."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, Self

from bide.errors import InvalidRequestError
from bide.ledger import AccountName
from bide.money.amounts import amount

#: Version of the record's layout, written into every record.
RUN_VERSION = "1"

#: Rows that are alive at once: the default, and the most.
WINDOW, MOST_WINDOW = 500, 20_000

#: The ends of a row.
ENDS = ("succeeded", "failed", "unconfirmed", "canceled", "skipped")

State = Literal["starting", "running", "paused", "canceling", "finished", "canceled"]


@dataclass(frozen=True)
class Failures:
    """How many rows may fail before a run pauses itself: a count, or a share of those that are done."""

    count: int | None = None
    share: float | None = None

    #: A share is judged from this many rows on.
    SAMPLE = 20

    @classmethod
    def parse(cls, text: str) -> Self:
        """The limit of a text such as `10` or `5%`; raises `InvalidRequestError`."""
        number = text.strip().removesuffix("%")
        try:
            if text.strip().endswith("%") and 0 <= float(number) <= 100:
                return cls(share=float(number) / 100)
            if number.isdecimal() and number == text.strip():
                return cls(count=int(number))
        except ValueError:
            pass
        raise InvalidRequestError(f"max failures: {text!r} is neither a count such as 10 nor a share such as 5%")

    def passed_by(self, failed: int, done: int) -> bool:
        """Whether more rows failed than the limit allows."""
        if self.count is not None:
            return failed > self.count
        return self.share is not None and done >= self.SAMPLE and failed > self.share * done

    def __str__(self) -> str:
        return f"{self.share:.10%}".rstrip("0%").rstrip(".") + "%" if self.share is not None else str(self.count)


@dataclass(frozen=True)
class Options:
    """The options of a run; money in millionths."""

    window: int = WINDOW
    max_jobs: int | None = None
    max_failures: Failures | None = None
    budget: int | None = None
    #: That of the budget and of all prices; '' for a budget as earlier releases keep it.
    budget_currency: str = ""
    #: The prices and currencies that the settings had when the run began, as `bide.pricing.Quotes.to_record` has them.
    prices: Mapping[str, int | str] = field(default_factory=dict)
    currencies: Mapping[str, str] = field(default_factory=dict)
    #: The run whose failed rows these are.
    replay_of: str = ""
    #: The names of metadata that the contact sheet shows of each row.
    sheet_metadata: tuple[str, ...] = ()

    def fields(self) -> dict[str, str | int]:
        """The options as fields of the record; a limit that is not set is left out."""
        fields = {
            "window": max(1, min(self.window, MOST_WINDOW)),
            "max_jobs": self.max_jobs,
            "max_failures": None if self.max_failures is None else str(self.max_failures),
            "budget": self.budget,
            "budget_currency": self.budget_currency or None,
            "prices": json.dumps(dict(self.prices)),
            "currencies": json.dumps(dict(self.currencies)) if self.currencies else None,
            "replay_of": self.replay_of or None,
            "sheet_metadata": json.dumps(self.sheet_metadata) if self.sheet_metadata else None,
        }
        return {name: value for name, value in fields.items() if value is not None}


@dataclass(frozen=True)
class Run:
    """One run, at the moment of reading."""

    run_id: str
    fields: Mapping[str, str] = field(repr=False)

    @property
    def state(self) -> State:
        return self.fields["state"]  # type: ignore[return-value]  # the scripts write no other

    @property
    def over(self) -> bool:
        return self.state in ("finished", "canceled")

    def number(self, name: str) -> int:
        return int(float(self.fields.get(name) or 0))

    def text(self, name: str) -> str:
        return self.fields.get(name, "")

    def moment(self, name: str) -> datetime | None:
        return datetime.fromtimestamp(float(self.fields[name]), UTC) if self.fields.get(name) else None

    @property
    def options(self) -> Options:
        limit = self.fields.get("max_failures")
        return Options(
            window=self.number("window") or WINDOW,
            max_jobs=self.number("max_jobs") if "max_jobs" in self.fields else None,
            max_failures=Failures.parse(limit) if limit else None,
            budget=self.number("budget") if "budget" in self.fields else None,
            budget_currency=self.text("budget_currency"),
            prices=json.loads(self.text("prices") or "{}"),
            currencies=json.loads(self.text("currencies") or "{}"),
            replay_of=self.text("replay_of"),
            sheet_metadata=tuple(json.loads(self.text("sheet_metadata") or "[]")),
        )

    @property
    def by_book(self) -> bool:
        """Whether its budget is kept as any other: reserved with the intent, and settled by the book."""
        return bool(self.text("budget_currency"))

    @property
    def ended(self) -> dict[str, int]:
        """The number of rows by their end; rows that wait for their part of the results count, too."""
        ready: dict[str, int] = json.loads(self.fields.get("ready") or "{}")
        return {end: self.number(end) + ready.get(end, 0) for end in ENDS}

    @property
    def done(self) -> int:
        return sum(self.ended.values())

    def progress(self) -> dict[str, Any]:
        """The numbers that the bar, `status --json` and the metrics show."""
        rows, rate = self.number("rows"), float(self.fields.get("rate") or 0)
        left = rows - self.done
        budget = self.options.budget
        return {
            "run": self.run_id,
            "state": self.state,
            "note": self.text("note"),
            "trouble": self.text("trouble"),
            "rows": rows,
            "done": self.done,
            **self.ended,
            "in_line": self.number("in_line"),
            "in_flight": self.number("in_flight"),
            "rate_per_second": rate,
            "seconds_left": round(left / rate, 1) if rate > 0 and self.state == "running" else None,
            "spent": amount(self.number("spent")),
            "at_risk": amount(self.number("reserved")),
            "budget": None if budget is None else amount(budget),
            "currency": self.text("budget_currency") or None,
            "waiting_for_budget": self.number("waiting_for_budget"),
            "source": self.text("source"),
            "replay_of": self.text("replay_of") or None,
            **{name: _iso(self.moment(name)) for name in ("created", "finished")},
        }


@dataclass(frozen=True)
class LiveRow:
    """A live row, read from its `entry` in the run's hash: kind, place of the request, price and account."""

    row: int
    entry: str

    @classmethod
    def entry_of(cls, kind: str, offset: int, length: int, price: int, account: AccountName | None) -> str:
        """The entry of a row. Kinds: `c`laimed, `o`pened, `s`kipped, `x` for a row that can't be opened."""
        return f"{kind} {offset} {length} {price} {account or '-'}"

    @property
    def kind(self) -> str:
        return self.entry[0]

    @property
    def place(self) -> tuple[int, int]:
        """Offset and length of the row's request in the input [bytes]."""
        _, offset, length, *_ = self.entry.split(" ")
        return int(offset), int(length)

    @property
    def price(self) -> int:
        return int(self.entry.split(" ")[3])

    @property
    def account(self) -> AccountName | None:
        named = self.entry.split(" ")[4]
        return AccountName.parse(named) if "/" in named else None


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
