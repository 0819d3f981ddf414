"""What requests will cost: by the settings, else by the provider's file or its adapter."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from bide.contract import NAME, GenerateRequest
from bide.errors import InvalidRequestError, PriceUnknownError
from bide.money.amounts import WHOLE, millionths, most_purchases, plain
from bide.money.currencies import USD
from bide.money.expressions import Price
from bide.money.price_list import Entry, PriceList, WrongPrice, as_entry, operation_of
from bide.money.quote import PriceSource, Quote
from bide.providers import find
from bide.providers.base import Provider
from bide.providers.lanes import lane_of, whole_lane_of
from bide.spelling import nearest


@dataclass(frozen=True)
class AccountPrices:
    """What the settings say of an account's prices."""

    listed: PriceList = field(default_factory=PriceList)
    #: '' leaves it to the provider's file or adapter, which has USD where it says nothing.
    currency: str = ""

    def quote(self, adapter: Provider, request: GenerateRequest) -> Quote:
        """The price of one purchase of a request that passes the adapter's check."""
        currency = self.currency or adapter.currency
        operation = adapter.operations.get(request.operation)
        if operation is None:
            return Quote(None, currency, reason=f"{request.provider} has no operation {request.operation} here")
        found = self._found(adapter, request)
        if found is None and operation.buys:
            return Quote(None, currency, reason=_none(self.listed, request))
        source, name, price = found or (adapter.price_source, request.operation, Price(0))
        if source != "settings" and currency != adapter.currency and price.constant != 0:
            reason = f"price: {'; '.join(_other_currency(adapter, currency))}"
            return Quote(None, currency, source, reason, name, price.text)
        try:
            amount = price.amount(adapter.with_defaults(request.operation, request.params))
        except InvalidRequestError as error:
            return Quote(None, currency, source, str(error), name, price.text)
        return Quote(_rounded(amount), currency, source, "", name, price.text)

    def _found(self, adapter: Provider, request: GenerateRequest) -> tuple[PriceSource, str, Price] | None:
        """Who has the price, its name, and the price itself."""
        place = adapter, request.operation, request.params
        if named := self.listed.find(request.operation, lambda: (lane_of(*place), whole_lane_of(*place))):
            return "settings", *named
        price = _own_price(*place)
        name = f"{request.operation} {lane_of(*place)}".rstrip()
        return None if price is None else (adapter.price_source, name, price)


def _rounded(amount: Decimal) -> int:
    """An amount in whole millionths; one above 0 stays above it."""
    return millionths(amount, what="price") or (1 if amount else 0)


def _own_price(adapter: Provider, operation: str, params: Mapping[str, Any]) -> Price | None:
    """What the file or the adapter has; an adapter that breaks has no price: no job should be lost for it."""
    try:
        return adapter.price(operation, params)
    except Exception:  # of an adapter's own code; its contract test shows it
        return None


class Quotes:
    """The prices of a deployment, or of a bulk run: what their settings say, by `provider` or `provider/account`."""

    def __init__(self, of: Mapping[str, AccountPrices] | None = None) -> None:
        self._of = dict(of or {})

    def quote(self, request: GenerateRequest) -> Quote:
        """The price of one purchase of a request that passes its adapter's check."""
        own = self._of.get(f"{request.provider}/{request.account}") or self._of.get(request.provider, AccountPrices())
        try:
            return own.quote(find(request.provider), request)
        except InvalidRequestError as error:  # no such adapter in this process
            return Quote(None, own.currency or USD, reason=error.redacted)

    def of_provider(self, provider: str) -> dict[str, AccountPrices]:
        """What holds for a provider, by the account that has prices of its own; '' for all others."""
        own = {name.partition("/")[2]: its for name, its in self._of.items() if name.partition("/")[0] == provider}
        return {"": AccountPrices(), **own}

    def to_json(self) -> str:
        """For clients that have no settings, by way of the ledger."""
        whole = {
            name: {"prices": {key: price.text for key, price in own.listed.entries.items()}, "currency": own.currency}
            for name, own in self._of.items()
        }
        return json.dumps(whole, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Quotes:
        """The reverse of `to_json`; raises `ValueError` for a price that this release can't read."""
        found: dict[str, AccountPrices] = {}
        for name, own in json.loads(text).items():
            entries = [as_entry(key, price) for key, price in own["prices"].items()]
            if wrong := [price for _, price in entries if isinstance(price, WrongPrice)]:
                raise ValueError(wrong[0].wrong)
            found[name] = AccountPrices(PriceList.of(entries), own["currency"])
        return cls(found)

    def to_record(self) -> tuple[dict[str, int | str], dict[str, str]]:
        """For a run's record: prices by `NAME OPERATION LANE`, plain ones in millionths; and currencies by `NAME`."""
        prices = {
            f"{name} {key}": str(price) if price.constant is None else _rounded(price.constant)
            for name, own in self._of.items()
            for key, price in own.listed.entries.items()
        }
        return prices, {name: own.currency for name, own in self._of.items() if own.currency}

    @classmethod
    def from_record(cls, prices: Mapping[str, int | str], currencies: Mapping[str, str]) -> Quotes:
        """The reverse of `to_record`, also for records of earlier releases, which have plain prices alone."""
        listed: dict[str, list[Entry]] = {name: [] for name in currencies}
        for key, value in prices.items():
            name, _, entry = key.partition(" ")
            price = value if isinstance(value, str) else str(Decimal(value) / WHOLE)
            listed.setdefault(name, []).append(as_entry(entry, price))
        return cls({name: AccountPrices(PriceList.of(its), currencies.get(name, "")) for name, its in listed.items()})


@dataclass(frozen=True)
class RequestPrice:
    """What one purchase of a request costs, and what that was worked out from."""

    amount: Decimal
    #: A currency of ISO 4217, such as `USD`, or the provider's own unit, such as `credits`.
    currency: str
    #: The amount, or twice of it for a request that allows a second purchase (`on_unknown`).
    at_most: Decimal
    #: Who says the price: `settings`, `file` or `adapter`.
    source: PriceSource
    #: The price's name, `OPERATION` or `OPERATION LANE`, and its expression.
    name: str
    expression: str
    #: The params that the expression reads, by names such as `params.n`; None for one that the request lacks.
    values: Mapping[str, Any]
    provider: str
    account: str
    operation: str
    #: The model, usually; None for an operation without lanes.
    lane: str | None

    def to_json(self) -> dict[str, Any]:
        """As `bide price --json` prints it."""
        return {
            "amount": plain(self.amount),
            "currency": self.currency,
            "at_most": plain(self.at_most),
            "source": self.source,
            "price": {"name": self.name, "expression": self.expression, "values": dict(self.values)},
            "provider": self.provider,
            "account": self.account,
            "operation": self.operation,
            "lane": self.lane,
        }


def price_of(request: GenerateRequest, quotes: Quotes) -> RequestPrice:
    """The price of a request that passes its adapter's check; raises `PriceUnknownError`."""
    quote = quotes.quote(request)
    if quote.amount is None:
        raise PriceUnknownError(quote.reason)
    adapter, amount = find(request.provider), Decimal(quote.amount) / WHOLE
    return RequestPrice(
        amount=amount,
        currency=quote.currency,
        at_most=amount * most_purchases(request),
        source=quote.source,
        name=quote.name,
        expression=quote.expression,
        values=Price(quote.expression).values(adapter.with_defaults(request.operation, request.params)),
        provider=request.provider,
        account=request.account,
        operation=request.operation,
        lane=lane_of(adapter, request.operation, request.params) or None,
    )


def _none(listed: PriceList, request: GenerateRequest) -> str:
    """That a request has no price, and what to do; without its lane, since the text goes into notes and logs."""
    named = f"{request.provider} {request.operation}"
    of_lane = " for the lane of this request" if request.operation in listed.with_lanes else ""
    return (
        f"{named} has no price{of_lane}; set BIDE_PROVIDERS__{request.provider.upper()}__PRICES "
        f'to a JSON object such as {{"{request.operation}": 0.02}}'
    )


def mistakes(adapter: Provider | None, prices: Iterable[Entry]) -> Iterator[WrongPrice]:
    """What is wrong with prices; None for an adapter that this process lacks, so that nothing is known of it."""
    for name, price in prices:
        operation = adapter.operations.get(operation_of(name)) if adapter else None
        if isinstance(price, WrongPrice):
            yield price
        if adapter and operation is None and NAME.fullmatch(operation_of(name)):
            wrong = f"{name}: {adapter.name} has no such operation"
            yield WrongPrice(wrong, _meant(operation_of(name), adapter.operations))
        if adapter and operation and isinstance(price, Price):
            yield from _of_params(name, price, adapter, operation.params.known())


def _of_params(name: str, price: Price, adapter: Provider, known: frozenset[str]) -> Iterator[WrongPrice]:
    for param in price.names():
        if known and param not in known:
            yield WrongPrice(f"{name}: params.{param} names nothing", _meant(param, known, "params."))
    if price.divides_by_zero(adapter.with_defaults(operation_of(name), {})):
        yield WrongPrice(f"{name}: divides by zero for the params' defaults", "correct the price")


def other_currency(adapter: Provider | None, own: AccountPrices) -> WrongPrice | None:
    """Whether an account needs prices of its provider's own that are in another currency."""
    if not adapter or own.currency in ("", adapter.currency) or not adapter.priced - own.listed.entries.keys():
        return None
    return WrongPrice(*_other_currency(adapter, own.currency))


def _other_currency(adapter: Provider, currency: str) -> tuple[str, str]:
    """That a provider's own prices are in another currency than the account, and what to do."""
    variable = f"BIDE_PROVIDERS__{adapter.name.upper()}__"
    return (
        f"the account is in {currency}, and the {adapter.price_source} of {adapter.name} has prices in "
        f"{adapter.currency}",
        f"set {variable}PRICES to those in {currency}, or {variable}CURRENCY to {adapter.currency}",
    )


def _meant(name: str, known: Collection[str], prefix: str = "") -> str:
    meant = nearest(name, known)
    return f"did you mean {prefix}{meant}?" if meant else f"there are {', '.join(sorted(known))}"
