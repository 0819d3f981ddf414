"""Money as whole millionths, in the currency of the prices: sums of it are exact."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from bide.contract import GenerateRequest
from bide.errors import InvalidRequestError

#: Millionths in one unit of money.
WHOLE = 1_000_000

#: The largest amount: Redis's scripts count it exactly.
MOST = 10**9


def millionths(amount: object, *, what: str) -> int:
    """A number or its text as millionths; raises `InvalidRequestError`, which names `what`."""
    try:
        value = amount if isinstance(amount, Decimal) else Decimal(str(amount))
    except InvalidOperation:
        raise InvalidRequestError(f"{what}: is not a number") from None
    if not (value.is_finite() and 0 <= value <= MOST):
        raise InvalidRequestError(f"{what}: must be from 0 to {MOST}")
    return int((value * WHOLE).to_integral_value())


def amount(in_millionths: int) -> float:
    """Millionths as a person reads them."""
    return in_millionths / WHOLE


def exact(in_millionths: int) -> str:
    """Millionths as a decimal number, all of its digits: `0.025`."""
    whole, rest = divmod(in_millionths, WHOLE)
    return f"{whole}.{rest:06}".rstrip("0").rstrip(".")


def plain(value: Decimal) -> str:
    """A decimal number without an exponent and without zeros at its end: `0.025`."""
    return exact(int(value * WHOLE))


def most_purchases(request: GenerateRequest) -> int:
    """The number of purchases that a request allows: two where it accepts a second one knowingly."""
    return 2 if request.on_unknown == "resubmit" else 1
