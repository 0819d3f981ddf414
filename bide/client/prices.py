"""What a request will cost, by the prices that a deployment's workers have published in the ledger."""

from __future__ import annotations

from bide.client.requests import STAND_IN, Options, Request, checked
from bide.errors import PriceUnknownError
from bide.ledger import Ledger
from bide.pricing import Quotes, RequestPrice, price_of


def price_by_ledger(ledger: Ledger, request: Request, options: Options) -> RequestPrice:
    """The price of a request that passes the checks of `submit`."""
    parsed, _ = checked(request, options, None, stand_in=STAND_IN)
    published = ledger.prices.published()
    if published is None:
        raise PriceUnknownError(
            "price: this deployment has not published its prices: none of its workers has run for some seconds, "
            "or they are of an earlier release; upgrade them, or ask `bide price` where the settings are"
        )
    try:
        quotes = Quotes.from_json(published)
    except ValueError:
        raise PriceUnknownError(
            "price: the deployment's prices are of a later release than this client; upgrade the client"
        ) from None
    return price_of(parsed, quotes)
