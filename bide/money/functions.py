"""The functions of price expressions, and what counts as a number in them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

#: The most digits before the point of a number in params: nothing that is priced has more, and sums stay quick.
_MOST_DIGITS = 40


class UnpricedError(ValueError):
    """There is no price; the text says why, without a value of the params."""


def megapixels(params: Any) -> Decimal:
    """Of a picture whose `width` and `height` stand in an object."""
    width, height = (
        as_number(params.get(name)) if isinstance(params, Mapping) else None for name in ("width", "height")
    )
    if width is None or height is None:
        raise UnpricedError("can't be worked out: megapixels() needs width and height")
    return width * height / 1_000_000


def number(value: Any) -> Decimal:
    """A number that may be written as a text, such as `"5"`."""
    found = as_number(value)
    if found is None:
        raise UnpricedError("can't be worked out: number() needs a number, or a text that is one")
    return found


FUNCTIONS: Mapping[str, Any] = {
    "ceil": lambda value: Decimal(math.ceil(value)),
    "length": lambda value: Decimal(len(value)),
    "max": max,
    "megapixels": megapixels,
    "min": min,
    "number": number,
}


def as_number(value: Any) -> Decimal | None:
    """A finite number of no absurd size, also one that is written as a text; else None."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    try:
        found = Decimal(str(value))
    except (InvalidOperation, ValueError):
        return None
    return found if found.is_finite() and found.adjusted() < _MOST_DIGITS else None
