"""Rules: which request meets which of the ordered faults.

A rule comes from `POST /_sandbox/faults`, or from a prompt: "[fault:NAME]", "[fault:NAME:VALUE]",
"[fault:NAME:VALUE key=value]".
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from sandbox.faults import FAULTS, PROVIDERS, Stage, Value

#: Keys of a rule that are not parameters of its fault; `retry_after` [seconds] belongs to `status`.
_KEYS = ("provider", "operation", "endpoint", "fault", "times", "after", "share", "match")
_EXTRA_PARAMETERS = {"status": ("retry_after",), "redirect_to": ("status",)}

#: Refused requests whose orders are remembered, so that "times" counts over repeated submits.
_REMEMBERED_ORDERS = 10_000

_ORDER = re.compile(r"\[fault:(\w+)(?::([^\]\s]+))?((?:\s+\w+=[^\]\s]+)*)\s*\]")


class RuleError(ValueError):
    """A rule that can't be understood; the text says what would be right."""


@dataclass
class Rule:
    """One order, and how often it has fired."""

    fault: str
    provider: str = "*"
    operation: str = "*"
    times: int | None = None
    after: int = 0
    share: float = 1.0
    match: str = ""
    parameters: dict[str, Value] = field(default_factory=dict)
    chance: Random = field(default_factory=lambda: Random(0), repr=False)
    #: Requests that it applied to, and those that it fired for.
    seen: int = 0
    fired: int = 0
    #: Addresses a fault of the kind "once per file" has had.
    had: set[str] = field(default_factory=set, repr=False)

    @property
    def stage(self) -> Stage:
        return FAULTS[self.fault].stage

    @property
    def value(self) -> Value:
        """The fault's own parameter."""
        fault = FAULTS[self.fault]
        return self.parameters.get(fault.parameter, fault.default)

    @property
    def number(self) -> float:
        return float(self.value)

    def applies(self, provider: str, operation: str, text: str) -> bool:
        return (
            self.provider in ("*", provider)
            and self.operation in ("*", operation)
            and operation in FAULTS[self.fault].operations
            and self.match in text
        )

    def fires(self) -> bool:
        """Whether the rule fires this time; counts."""
        self.seen += 1
        if self.seen <= self.after or (self.times is not None and self.fired >= self.times):
            return False
        if self.share < 1.0 and self.chance.random() >= self.share:
            return False
        self.fired += 1
        return True

    def shown(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("fault", *_SHOWN)} | self.parameters


_SHOWN = ("provider", "operation", "times", "after", "share", "match", "seen", "fired")


def read_rule(raw: Any, *, seed: int = 0) -> Rule:
    """A rule as it came in JSON; raises `RuleError`."""
    if not isinstance(raw, dict):
        raise RuleError("a rule is a JSON object")
    name, parameters = _named(str(raw.get("fault", "")))
    parameters |= {key: value for key, value in raw.items() if key not in _KEYS}
    _check_parameters(name, parameters)
    return Rule(
        fault=name,
        provider=_provider(raw.get("provider")),
        operation=_operation(name, raw.get("operation", raw.get("endpoint"))),
        times=None if raw.get("times") is None else int(_as_number(name, "times", raw["times"])),
        after=int(_as_number(name, "after", raw.get("after") or 0)),
        share=_as_number(name, "share", raw.get("share", 1.0)),
        match=str(raw.get("match") or ""),
        parameters=parameters,
        chance=Random(f"{seed}/{name}"),
    )


def orders_in(text: str) -> list[Rule]:
    """The faults a prompt orders for its own job; what can't be understood raises `RuleError`."""
    if "[fault:" not in text:
        return []
    return [_order(*found) for found in _ORDER.findall(text)]


def _order(name: str, value: str, rest: str) -> Rule:
    raw: dict[str, Any] = {"fault": name, **dict(pair.split("=", 1) for pair in rest.split())}
    parameter = FAULTS[_named(name)[0]].parameter
    if value and parameter:
        raw[parameter] = value
    return read_rule(raw)


def _named(name: str) -> tuple[str, dict[str, Value]]:
    """A fault's name; a bare code such as "503" is short for status 503."""
    if name in FAULTS:
        return name, {}
    if name.isdigit() and 400 <= int(name) <= 599:
        return "status", {"status": float(name)}
    raise RuleError(f"no fault is called {name!r}; there are {', '.join(FAULTS)}")


def _check_parameters(name: str, parameters: dict[str, Value]) -> None:
    """Only known ones, and numbers where the default is one; numbers in text are read."""
    fault = FAULTS[name]
    allowed = (fault.parameter, *_EXTRA_PARAMETERS.get(name, ()))
    for key, value in parameters.items():
        if key not in allowed:
            raise RuleError(
                f"{name} has no parameter {key!r}; a rule has {', '.join((*_KEYS, *filter(None, allowed)))}"
            )
        if key != fault.parameter or isinstance(fault.default, float):
            parameters[key] = _as_number(name, key, value)


def _as_number(name: str, key: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise RuleError(f"{key} of {name} must be a number, not {value!r}") from None


def _provider(wanted: Any) -> str:
    provider = str(wanted or "*")
    if provider in ("*", *PROVIDERS):
        return provider
    raise RuleError(f"no provider is called {provider!r}; there are {', '.join(PROVIDERS)} and *")


def _operation(name: str, wanted: Any) -> str:
    fault = FAULTS[name]
    operation = str(wanted or fault.usual)
    if operation == "*" or operation in fault.operations:
        return operation
    raise RuleError(f"{name} is a fault of {', '.join(fault.operations)} or *, not of {operation!r}")


class Rulebook:
    """All that is ordered; the first rule that fires wins, a job's own orders before the general ones."""

    def __init__(self, *, seed: int = 0) -> None:
        self._seed = seed
        self.rules: list[Rule] = []
        self._ordered: OrderedDict[str, list[Rule]] = OrderedDict()

    def add(self, raw: Iterable[Any]) -> None:
        """Add rules as they came in JSON: all of them, or with `RuleError` none."""
        self.rules += [read_rule(rule, seed=self._seed + n) for n, rule in enumerate(raw)]

    def clear(self) -> None:
        self.rules.clear()
        self._ordered.clear()

    def orders_of(self, digest: str, text: str) -> list[Rule]:
        """What a request orders; the same request again meets the same rules until it is accepted."""
        if digest not in self._ordered:
            orders = orders_in(text)
            if not orders:
                return orders
            self._ordered[digest] = orders
            if len(self._ordered) > _REMEMBERED_ORDERS:
                self._ordered.popitem(last=False)
        return self._ordered[digest]

    def hand_over(self, digest: str, text: str) -> list[Rule]:
        """The orders of a request that is now accepted: from here on its job's."""
        orders = self.orders_of(digest, text)
        self._ordered.pop(digest, None)
        return orders

    def firing(self, provider: str, operation: str, text: str, orders: list[Rule]) -> Rule | None:
        """The one rule that spoils this request."""
        for rule in (*orders, *self.rules):
            if rule.stage is not Stage.JOB and rule.applies(provider, operation, text) and rule.fires():
                return rule
        return None

    def fates(self, provider: str, operation: str, text: str, orders: list[Rule]) -> dict[str, Value]:
        """The faults that take hold of this job, each with its parameter."""
        return {
            rule.fault: rule.value
            for rule in (*orders, *self.rules)
            if rule.stage is Stage.JOB and rule.applies(provider, operation, text) and rule.fires()
        }
