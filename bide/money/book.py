"""The book of an account's purchases: a row for each tenant, operation and lane of a day, as the ledger keeps it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import NamedTuple, Self


class Row(NamedTuple):
    """What a row of the book is about; `tenant` and `lane` are '' for none."""

    currency: str
    tenant: str
    operation: str
    lane: str

    def __str__(self) -> str:
        return "|".join(self)

    @classmethod
    def parse(cls, text: str) -> Self:
        return cls(*text.split("|", 3))


@dataclass(frozen=True)
class Sums:
    """What purchases cost together; amounts are in millionths of the account's currency."""

    #: Of submits that are under way, or may have been accepted.
    reserved: int = 0
    #: Of purchases that were accepted, and of submits of jobs that are over and of which nobody knows.
    spent: int = 0
    #: What was reserved or spent, and was surely not accepted or not charged.
    refunded: int = 0
    #: Number of purchases that were accepted, charged or not, and of those of which nobody knows.
    purchases: int = 0
    #: Number of these of which neither price nor cost is known: they are not in `spent`.
    unpriced: int = 0

    def __add__(self, other: Sums) -> Sums:
        return Sums(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(Sums)))

    @property
    def nothing(self) -> bool:
        return self == Sums()

    @classmethod
    def of(cls, values: Mapping[str, str | int]) -> Self:
        """The sums in a hash of the ledger, or in a statement."""
        return cls(**{each.name: int(values.get(each.name) or 0) for each in fields(cls)})


def rows_of(book: Mapping[str, str]) -> dict[Row, Sums]:
    """The rows of a day's book as it stands in Redis."""
    found: dict[Row, dict[str, str]] = {}
    for name, value in book.items():
        row, _, amount = name.rpartition(":")
        found.setdefault(Row.parse(row), {})[amount] = value
    return {row: Sums.of(amounts) for row, amounts in sorted(found.items())}


@dataclass(frozen=True)
class Purchase:
    """One purchase as a job's record has it; see `include/money.lua`."""

    #: When it was begun [seconds since the epoch]: it stands in the book of that day.
    begun: int
    #: In millionths; None where no price is known.
    price: int | None
    kind: str
    #: What stands in the book [millionths].
    amount: int
    in_lane: bool
    #: The budgets in which it stands, each with its period.
    budgets: tuple[str, ...]

    @property
    def sums(self) -> Sums:
        """What stands in the book for it."""
        price = self.price or 0
        match self.kind:
            case "r":
                return Sums(reserved=self.amount)
            case "s":
                return Sums(spent=self.amount, purchases=1)
            case "d":
                return Sums(spent=self.amount, purchases=1, unpriced=int(self.price is None))
            case "z":
                return Sums(refunded=price, purchases=1)
            case "u":
                return Sums(purchases=1, unpriced=1)
        return Sums()


def purchases_in(booked: str) -> Iterator[Purchase]:
    """The purchases in the field `booked` of a record."""
    for line in filter(None, booked.split(";")):
        _, begun, price, kind, amount, row, budgets = line.split(" ")
        known = None if price == "?" else int(price)
        yield Purchase(int(begun), known, kind, int(amount), row == "l", tuple(filter(None, budgets.split(","))))


def booked(record_booked: str) -> Sums:
    """What stands in the book for a job: for its result, and for people."""
    return sum((each.sums for each in purchases_in(record_booked)), Sums())
