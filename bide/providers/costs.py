"""What a job cost, as its provider says it, and how it stands in the job's record."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Self

from bide.contract import JobCost
from bide.money.currencies import UNIT

#: Amounts above this are no price of a job.
MOST = Decimal(1_000_000_000)

#: The digits that are kept behind the point, enough for a float of any price.
DECIMALS = 18

#: The longest number that is read from a text [characters].
_NUMBER_CHARACTERS = 64

#: A number as providers write it in texts: `0.025`, `1e-05`.
_NUMBER = re.compile(r"[0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]{1,3})?")


@dataclass(frozen=True)
class Cost:
    """What a provider says that a job costs; a later word replaces an earlier one."""

    #: What is charged in all, less what was given back: 0 for a job that costs nothing, or whose charge was refunded.
    amount: Decimal
    #: A currency of ISO 4217, such as `USD`, or the provider's own unit, such as `credits`.
    unit: str

    def to_text(self) -> str:
        """As it stands in the record, `0.025 USD`: exact, without an exponent. '' for what can't be a price."""
        amount = _exact(self.amount)
        return f"{amount} {self.unit}" if amount and UNIT.fullmatch(self.unit) else ""

    @classmethod
    def from_text(cls, text: str) -> Self | None:
        """The reverse of `to_text`; None for ''."""
        amount, _, unit = text.partition(" ")
        return cls(Decimal(amount), unit) if unit else None

    def to_wire(self) -> JobCost:
        """As it stands in a result."""
        return JobCost(amount=f"{self.amount:f}", unit=self.unit)

    def __str__(self) -> str:
        """For people."""
        return f"{self.amount:f} {self.unit}"


def cost_text(cost: Cost | None) -> str:
    """A cost for the record; '' for none, and for nonsense: no number of a provider keeps a job from going on."""
    return cost.to_text() if isinstance(cost, Cost) else ""


def as_cost(value: Any, unit: str) -> Cost | None:
    """The cost in an answer's field, a number or one written as text; None for anything that is no price."""
    if isinstance(value, str):
        value = value.strip()
        if len(value) > _NUMBER_CHARACTERS or not _NUMBER.fullmatch(value):
            return None
    cost = Cost(value, unit)
    text = cost.to_text()
    return Cost.from_text(text)


def _exact(value: Any) -> str | None:
    """A number that is not negative and no larger than `MOST`, as plain digits; None for any other."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    if isinstance(value, int) and abs(value) > MOST:  # such as one with more digits than may be turned into a text
        return None
    try:
        amount = value if isinstance(value, Decimal) else Decimal(str(value))
        if not (amount.is_finite() and 0 <= amount <= MOST):
            return None
        rounded = round(amount, DECIMALS)
    except InvalidOperation:
        return None
    digits = f"{rounded:f}"
    return (digits.rstrip("0").rstrip(".") if "." in digits else digits).lstrip("-") or "0"
