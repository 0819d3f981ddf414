"""What must agree within an operation of a provider's file: words, outputs, prices and plans."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bide.money.expressions import Price
from bide.providers.declared.mistakes import Mistake, Source
from bide.providers.declared.positions import Key
from bide.providers.declared.request_tables import Table
from bide.providers.declared.sections import PollPlanTable, ProviderTable
from bide.spelling import nearest

#: What Python has for the types of params.
_KINDS: Mapping[str, Any] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "object": dict,
    "array": list,
    "any": object,
}


def agreed(source: Source, key: Key, operation: Mapping[str, Any]) -> Iterator[Mistake]:
    """All mistakes of the kind."""
    yield from _params(source, key, operation)
    yield from _one_of(source, key, operation)
    yield from _prices(source, key, operation)
    yield from _words(source, key, operation)
    yield from _outputs(source, key, operation)
    yield from _plans(source, key, operation)


def _params(source: Source, key: Key, operation: Mapping[str, Any]) -> Iterator[Mistake]:
    """A default is one of the values that its param may have."""
    for name, field in fields_of(operation).items():
        if not isinstance(field, dict):
            continue
        place: Key = (*key, "params", name)
        default, least, most = (field.get(part) for part in ("default", "minimum", "maximum"))
        if default is not None and not _fits(default, field):
            yield source.mistake((*place, "default"), "does not fit its type or enum", "set it to a value that does")
        if isinstance(least, int | float) and isinstance(most, int | float) and least > most:
            yield source.mistake((*place, "minimum"), "is above maximum", "set it to as much or less")


def _fits(default: Any, field: Mapping[str, Any]) -> bool:
    listed, kinds = field.get("enum"), field.get("type", "any")
    if isinstance(listed, list) and default not in listed:
        return False
    known = [
        kind for kind in (kinds if isinstance(kinds, list) else [kinds]) if isinstance(kind, str) and kind in _KINDS
    ]
    return not known or any(_is_of(default, kind) for kind in known)


def _is_of(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind in ("boolean", "any")
    return isinstance(value, _KINDS[kind])


def _one_of(source: Source, key: Key, operation: Mapping[str, Any]) -> Iterator[Mistake]:
    """Their names are those of params or pictures."""
    params, inputs, lists = known_params(operation), known_inputs(operation), operation.get("one_of")
    if params is None or inputs is None or not isinstance(lists, list):
        return
    there = [*params, *inputs]
    for number, names in enumerate(lists):
        for name in names if isinstance(names, list) else ():
            if isinstance(name, str) and name not in there:
                meant = nearest(name, there)
                remedy = f"did you mean {meant}?" if meant else f"there are {', '.join(sorted(there))}"
                yield source.mistake((*key, "one_of", number), f"{name!r} names nothing", remedy)


def _prices(source: Source, key: Key, operation: Mapping[str, Any]) -> Iterator[Mistake]:
    """Names of params that there are not, and what divides by zero for the defaults."""
    known, fields = known_params(operation), fields_of(operation)
    for lane, text in table_at(operation, "price").items():
        try:
            price = Price(text)
        except (ValueError, TypeError):
            continue  # its type says so
        for name in price.names():
            if known is not None and name not in known:
                meant = nearest(name, known)
                remedy = f"did you mean params.{meant}?" if meant else f"there are {', '.join(sorted(known))}"
                yield source.mistake((*key, "price", lane), f"params.{name} names nothing", remedy)
        if price.divides_by_zero(_usual(fields)):
            yield source.mistake((*key, "price", lane), "divides by zero for the params' defaults", "correct the price")


def _usual(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults of the params, and the first of their values where they have a list of them."""
    found = {}
    for name, field in fields.items():
        if isinstance(field, dict):
            listed = field.get("enum")
            values = [field.get("default"), *(listed if isinstance(listed, list) else ())]
            found[name] = next((value for value in values if value is not None), None)
    return {name: value for name, value in found.items() if value is not None}


def _words(source: Source, key: Key, operation: Mapping[str, Any]) -> Iterator[Mistake]:
    """A word of a state means one thing."""
    state, seen = table_at(operation, "state"), dict[str, str]()
    for kind in ("running", "done", "failed", "gone", "by_reason"):
        listed = state.get(kind)
        for word in listed if isinstance(listed, list) else [listed]:
            if not isinstance(word, str):
                continue
            if (other := seen.setdefault(word.strip().lower(), kind)) != kind:
                yield source.mistake((*key, "state", kind), f"{word!r} stands in {other}, too", "take one of them out")


def _outputs(source: Source, key: Key, operation: Mapping[str, Any]) -> Iterator[Mistake]:
    result = table_at(operation, "result")
    if operation.get("has_outputs", True) is True and not (result.get("media") or result.get("otherwise")):
        remedy = 'set it to the places of the outputs, such as "$.images"; or set has_outputs = false'
        yield source.mistake((*key, "result", "media"), "is missing", remedy)
    if (result.get("path") or result.get("url")) and not table_at(operation, "state").get("done"):
        remedy = "set it to the words of a job whose result can be asked for"
        yield source.mistake((*key, "state", "done"), "is missing, and the result has a request of its own", remedy)
    if result.get("failed") and not (result.get("path") or result.get("url")):
        yield source.mistake((*key, "result", "failed"), "is about a request that result lacks", "set path or url, too")


def _plans(source: Source, key: Key, operation: Mapping[str, Any]) -> Iterator[Mistake]:
    """A job is polled at least once before its deadline."""
    provider, own = table_at(source.document, "provider"), "poll_plan" in operation
    plan_key: Key = (*key, "poll_plan") if own else ("provider", "poll")
    plan = table_at(operation, "poll_plan") if own else table_at(provider, "poll")
    first, cap = (plan.get(name, _default(PollPlanTable, name)) for name in ("first_seconds", "cap_seconds"))
    usual = provider.get("deadline_seconds", _default(ProviderTable, "deadline_seconds"))
    deadline = operation.get("deadline_seconds", usual)
    if not all(isinstance(number, int | float) for number in (first, cap, deadline)):
        return
    if first > cap:
        yield source.mistake((*plan_key, "cap_seconds"), "is less than first_seconds", "set it to as much or more")
    if cap >= deadline:
        yield source.mistake(
            (*plan_key, "cap_seconds"), "is no less than the deadline", "set it to less, or a later deadline"
        )


def _default(table: type[Table], name: str) -> Any:
    """What a key is where a file leaves it out."""
    return table.model_fields[name].default


def fields_of(operation: Mapping[str, Any]) -> Mapping[str, Any]:
    """The params that an operation declares."""
    return table_at(operation, "params")


def known_params(operation: Mapping[str, Any]) -> list[str] | None:
    """The names of an operation's params; None where any may be given."""
    if "params" not in operation:
        return None
    others = operation.get("others", [])
    return [*fields_of(operation), *(others if isinstance(others, list) else [])]


def known_inputs(operation: Mapping[str, Any]) -> list[str] | None:
    """The names of its pictures; None where any may be given."""
    if not operation.get("inputs"):
        return []
    allowed = operation.get("allowed_inputs")
    return allowed if isinstance(allowed, list) else None


def table_at(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A table of another one; empty where there is none."""
    found = document.get(name)
    return found if isinstance(found, dict) else {}


def tables(document: Mapping[str, Any], name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The tables of a table, by name."""
    yield from ((key, table) for key, table in table_at(document, name).items() if isinstance(table, dict))
