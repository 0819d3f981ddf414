"""The prices that the settings of workers have, for clients that have no settings."""

from __future__ import annotations

from bide.ledger.book import KEPT_SECONDS
from bide.ledger.executor import Executor
from bide.ledger.keys import PRICES_KEY


class PublishedPrices:
    """Prices as one text, `bide.pricing.Quotes.to_json`; each method raises `LedgerAwayError` when Redis stays away."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def publish(self, prices: str) -> None:
        """Note what the settings say; a sweeping worker does that again and again."""
        self._executor.reach(lambda server: server.set(PRICES_KEY, prices, ex=KEPT_SECONDS))

    def published(self) -> str | None:
        """What workers have noted last; None where none has."""
        text: str | None = self._executor.reach(lambda server: server.get(PRICES_KEY))
        return text
