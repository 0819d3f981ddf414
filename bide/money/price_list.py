"""The prices that settings have for an account: by operation, or by operation and lane."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

from bide import strict_json
from bide.contract import NAME
from bide.money.expressions import Price, as_price

#: A list of prices in a setting, for the advice about a wrong one.
EXAMPLE = '{"images.generation": 0.02, "run LANE": "0.01 * params.n"}'


@dataclass(frozen=True)
class WrongPrice:
    """A price of a setting that can't be used: what is wrong, and what to do; the start reports all of them."""

    wrong: str
    remedy: str

    def __repr__(self) -> str:
        return f"wrong: {self.wrong}"


#: A price and its name, `OPERATION` or `OPERATION LANE`.
Entry = tuple[str, Price | WrongPrice]


@dataclass(frozen=True)
class PriceList:
    """Prices by name; the one of a lane goes before the one of its operation."""

    entries: Mapping[str, Price] = field(default_factory=dict)

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> Self:
        return cls({name: price for name, price in entries if isinstance(price, Price)})

    def find(self, operation: str, lanes: Callable[[], Iterable[str]]) -> tuple[str, Price] | None:
        """The price of a request and its name; None where the list has none. `lanes`: the names of its lane."""
        named = [f"{operation} {lane}" for lane in lanes()] if operation in self.with_lanes else []
        for name in (*named, operation):
            if (price := self.entries.get(name)) is not None:
                return name, price
        return None

    @cached_property
    def with_lanes(self) -> frozenset[str]:
        """The operations that have a price for a lane."""
        return frozenset(operation_of(name) for name in self.entries if " " in name)


def operation_of(name: str) -> str:
    """The operation that a price is for."""
    return name.partition(" ")[0]


def read_prices(text: str) -> tuple[Entry, ...]:
    """The entries of a JSON object, the wrong ones among them; raises `ValueError` for anything else."""
    try:
        prices = strict_json.loads(text)
    except strict_json.RepeatedNameError as error:
        raise ValueError(str(error)) from None
    except (ValueError, RecursionError):
        prices = None
    if not isinstance(prices, dict):
        raise ValueError("is not a JSON object")  # noqa: TRY004 - pydantic shows ValueErrors
    named = {" ".join(name.split()): value for name, value in prices.items()}
    if len(named) < len(prices):
        raise ValueError("has two names that differ in blanks alone; which price is meant is not clear")
    return tuple(as_entry(name, value) for name, value in named.items())


def as_entry(name: str, value: object) -> Entry:
    """One entry; a name has single blanks."""
    if not NAME.fullmatch(operation_of(name)):
        remedy = "name it OPERATION, or OPERATION LANE with a blank between"
        return name, WrongPrice(f"{name!r}: is no name of an operation", remedy)
    try:
        return name, as_price(value)
    except ValueError as error:
        return name, WrongPrice(f"{name}: {error}", 'set it to a number such as 0.02, or to "0.01 * params.n"')
