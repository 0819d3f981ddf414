"""Money as whole millionths, in whatever currency the prices are: sums of it are exact."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

from bide.contract import GenerateRequest
from bide.errors import InvalidRequestError

#: Millionths in one.
WHOLE = 1_000_000

#: The largest amount there is: what Redis's scripts count exactly.
MOST = 10**9


def millionths(amount: object, *, what: str) -> int:
    """From a number or its text; raises `InvalidRequestError`."""
    try:
        value = Decimal(str(amount))
    except InvalidOperation:
        raise InvalidRequestError(f"{what}: is not a number") from None
    if not (value.is_finite() and 0 <= value <= MOST):
        raise InvalidRequestError(f"{what}: must be from 0 to {MOST}")
    return int((value * WHOLE).to_integral_value())


def amount(in_millionths: int) -> float:
    """As a person reads it."""
    return in_millionths / WHOLE


def price_of(request: GenerateRequest, prices: Mapping[str, int]) -> int:
    """What a row may cost [millionths]; nothing where no price is known."""
    return prices.get(priced_as(request), 0) * most_purchases(request)


def most_purchases(request: GenerateRequest) -> int:
    """How often a request may be bought: twice where it accepts a second purchase knowingly."""
    return 2 if request.on_unknown == "resubmit" else 1


def priced_as(request: GenerateRequest) -> str:
    """The name a request's price is kept under."""
    return f"{request.provider} {request.operation}"
