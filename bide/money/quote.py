"""What a purchase will cost, as far as that is known before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

#: Who says a price: the settings (`BIDE_PROVIDERS__X__PRICES`), the provider's file, or its adapter; '' for nobody.
PriceSource = Literal["settings", "file", "adapter", ""]


#: These for people.
SAID_BY: Mapping[str, str] = {
    "settings": "by the settings",
    "file": "by the provider's file",
    "adapter": "by the provider's adapter",
}


@dataclass(frozen=True)
class Quote:
    """The price of one purchase of a request.

    `amount` is in millionths of `currency`; None where no price is known, or where it can't be worked out for these
    params: then `reason` says why. An operation that costs nothing has an amount of 0.
    """

    amount: int | None
    #: A currency of ISO 4217, such as `USD`, or a provider's own unit, such as `credits`.
    currency: str
    source: PriceSource = ""
    reason: str = ""
    #: What the amount was worked out from: the name of the price, `OPERATION` or `OPERATION LANE`, and its expression.
    name: str = ""
    expression: str = ""
