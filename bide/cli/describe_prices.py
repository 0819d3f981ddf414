"""What `bide describe` says of an operation's prices: for each account and lane the expression, and an example."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from bide.errors import InvalidRequestError
from bide.money.amounts import plain
from bide.money.expressions import Price
from bide.money.price_list import operation_of
from bide.money.quote import SAID_BY, PriceSource
from bide.pricing import AccountPrices, Quotes

if TYPE_CHECKING:
    from bide.providers.base import Provider

#: A number of an example, where params have no default and no bounds.
_EXAMPLE_NUMBER = 2


def prices_of(adapter: Provider, operation: str, quotes: Quotes) -> list[dict[str, Any]]:
    """Each price of an operation as JSON; the account '' is any without prices of its own."""
    sample = {**_samples(adapter, operation), **adapter.with_defaults(operation, {})}
    return [
        {
            "account": account or None,
            "lane": lane or None,
            "expression": price.text,
            "currency": own.currency or adapter.currency,
            "source": source,
            "example": _example(price, sample),
        }
        for account, own in quotes.of_provider(adapter.name).items()
        for lane, price, source in _in_force(adapter, operation, own)
    ]


def price_lines(prices: list[dict[str, Any]]) -> list[str]:
    """The same for people."""
    if not prices:
        return ["price: not known; a budget lets no job of it through"]
    return [" ".join(_words(each)) for each in prices]


def _words(each: Mapping[str, Any]) -> Iterator[str]:
    of = ", ".join(f"{name} {each[name]}" for name in ("account", "lane") if each[name])
    yield f"price of {of}:" if of else "price:"
    yield f"{each['expression']} {each['currency']}, {SAID_BY[each['source']]}"
    if (example := each["example"]) and example["values"]:
        values = ", ".join(
            f"no {name}" if value is None else f"{name} = {value}" for name, value in example["values"].items()
        )
        yield f"(such as {example['amount']} {each['currency']} with {values})"


def _in_force(adapter: Provider, operation: str, own: AccountPrices) -> Iterator[tuple[str, Price, PriceSource]]:
    """Lane, price and source of each price that an account has; the lane '' is any other."""
    settings = {
        name.partition(" ")[2]: price for name, price in own.listed.entries.items() if operation_of(name) == operation
    }
    yield from ((lane, price, "settings") for lane, price in sorted(settings.items()))
    if "" in settings:
        return
    others = {lane.removeprefix("*"): price for lane, price in adapter.prices(operation).items()}
    if not others and not adapter.operations[operation].buys:
        others = {"": Price(0)}
    yield from ((lane, price, adapter.price_source) for lane, price in sorted(others.items()) if lane not in settings)


def _example(price: Price, sample: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a request like the sample costs; None where that can't be worked out."""
    try:
        amount = price.amount(sample)
    except InvalidRequestError:
        return None
    return {"amount": plain(amount), "values": price.values(sample)}


def _samples(adapter: Provider, operation: str) -> dict[str, Any]:
    """A value for each param that may be a number or one of some words."""
    schema = adapter.operations[operation].params.model_json_schema()
    found = {name: _sample(field) for name, field in schema.get("properties", {}).items()}
    return {name: value for name, value in found.items() if value is not None}


def _sample(field: Mapping[str, Any]) -> Any:
    for form in (field, *field.get("anyOf", ())):
        if form.get("type") in ("integer", "number"):
            return min(max(_EXAMPLE_NUMBER, form.get("minimum", _EXAMPLE_NUMBER)), form.get("maximum", _EXAMPLE_NUMBER))
        if form.get("enum"):
            return form["enum"][0]
    return None
