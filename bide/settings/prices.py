"""The prices of the settings: those of an account over those of its provider, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bide.money.currencies import USD
from bide.money.price_list import Entry, PriceList
from bide.pricing import AccountPrices, Quotes, mistakes, other_currency
from bide.providers import installed
from bide.settings.problems import Problem
from bide.settings.sections import ProviderSettings
from bide.settings.variables import Path, variable_name


@dataclass(frozen=True)
class PriceSettings:
    """What a provider's section says of prices, or that of one of its accounts; None for what it leaves out."""

    prices: tuple[Entry, ...] | None = None
    currency: str | None = None

    def over(self, shared: PriceSettings) -> AccountPrices:
        """What holds for an account of these settings: a list of prices replaces the provider's as a whole."""
        prices = shared.prices if self.prices is None else self.prices
        return AccountPrices(PriceList.of(prices or ()), self.currency or shared.currency or "")


@dataclass(frozen=True)
class ProviderPrices:
    """What the settings say of a provider's prices, and of those of its accounts."""

    provider: str
    shared: PriceSettings
    accounts: Mapping[str, PriceSettings]

    def resolved(self) -> dict[str, AccountPrices]:
        """The prices in force by `provider`, and by `provider/account` for accounts with prices of their own."""
        own = {name: its for name, its in self.accounts.items() if its != PriceSettings()}
        return {
            self.provider: self.shared.over(PriceSettings()),
            **{f"{self.provider}/{name}": its.over(self.shared) for name, its in own.items()},
        }

    def problems(self) -> Iterator[Problem]:
        """All that is wrong with them, each with the variable that says it."""
        path: Path = ("providers", self.provider)
        if self.shared != PriceSettings():  # else no adapter has to be loaded
            yield from self._problems(path, self.shared, self.shared.over(PriceSettings()))
        for account, own in self.accounts.items():
            if own != PriceSettings():
                yield from self._problems((*path, "accounts", account), own, own.over(self.shared))
                yield from self._of_another_currency((*path, "accounts", account), own)

    def _problems(self, path: Path, own: PriceSettings, in_force: AccountPrices) -> Iterator[Problem]:
        adapter = installed().get(self.provider)
        for mistake in mistakes(adapter, own.prices or ()):
            yield Problem(variable_name((*path, "prices")), mistake.wrong, mistake.remedy)
        if own.currency and (other := other_currency(adapter, in_force)):
            yield Problem(variable_name((*path, "currency")), other.wrong, other.remedy)

    def _of_another_currency(self, path: Path, own: PriceSettings) -> Iterator[Problem]:
        """An account whose prices are those of its provider, in another currency than its own."""
        adapter = installed().get(self.provider)
        shared = self.shared.currency or (adapter.currency if adapter else USD)
        if own.currency not in (None, shared) and own.prices is None and self.shared.prices:
            prices = variable_name(("providers", self.provider, "prices"))
            remedy = f"set {variable_name((*path, 'prices'))} to those in {own.currency}, or the currency to {shared}"
            wrong = f"is {own.currency}, and the prices of {prices} are in {shared}"
            yield Problem(variable_name((*path, "currency")), wrong, remedy)


def prices_of(provider: str, section: ProviderSettings) -> ProviderPrices:
    """What the settings say of a provider's prices."""
    accounts = {name: PriceSettings(own.prices, own.currency) for name, own in section.accounts.items()}
    return ProviderPrices(provider, PriceSettings(section.prices, section.currency), accounts)


def quotes_of(providers: Mapping[str, ProviderSettings]) -> Quotes:
    """The prices of all accounts of a deployment."""
    return Quotes(
        {
            name: its
            for provider, section in providers.items()
            for name, its in prices_of(provider, section).resolved().items()
        }
    )
