"""Templates of a provider's file: texts with `{name}` in them, compiled once. They fill in values and run no code.

A text that is one placeholder alone keeps the value's JSON type. `{a|b}` is the first of these that holds something,
`{a?}` may be absent: its field is then left out. `{{` and `}}` are braces. In a path a value is one segment, escaped;
`{+a}` keeps its slashes. In JSON a table's key `...` puts in the fields of an object, that of a list's only table the
entries of a list.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bide.errors import BideError
from bide.providers import reading

#: The key of a table in JSON by which an object's fields, or a list's entries, are put in.
SPREAD = "..."

#: What a placeholder comes to that may be absent, and is.
ABSENT: Any = object()

#: Values by the first part of a placeholder's names.
Values = Mapping[str, Any]
Fill = Callable[[Values], Any]

_PIECE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_HOLDER = re.compile(r"(\+?)([A-Za-z_][\w-]*(?:\.[\w-]+)*(?:\|[A-Za-z_][\w-]*(?:\.[\w-]+)*)*)(\??)")


class UnfilledError(BideError):
    """A placeholder's value is not there, or does not fit its place; the message names the placeholder."""


@dataclass(frozen=True)
class Holder:
    """One placeholder: the names that are tried for it, each in its parts."""

    names: tuple[tuple[str, ...], ...]
    optional: bool
    keeps_slashes: bool

    def __str__(self) -> str:
        return "|".join(map(".".join, self.names))

    def value(self, values: Values) -> Any:
        """The value, `ABSENT` for an optional one that is missing or empty; raises `UnfilledError` for any other."""
        found = ABSENT
        for name in self.names:
            found = _lookup(values, name)
            if found is not ABSENT and (len(self.names) == 1 or _holds(found)):
                break
        if self.optional and not _holds(found):
            return ABSENT
        if found is ABSENT:
            raise UnfilledError(f"{self}: is not there")
        return found


def parse(text: str) -> list[str | Holder]:
    """The pieces of a template; raises `ValueError` where its braces make none."""
    pieces: list[str | Holder] = []
    end = 0
    for found in _PIECE.finditer(text):
        pieces.append(text[end : found.start()])
        end = found.end()
        if found[0] in ("{{", "}}"):
            pieces.append(found[0][0])
        elif found[1] is None:
            raise ValueError(f"has a {found[0]!r} without its partner; a brace that is meant is written twice")
        else:
            pieces.append(_holder(found[1]))
    return [piece for piece in (*pieces, text[end:]) if piece != ""]


def holders(value: Any) -> Iterator[Holder]:
    """All placeholders of a template, whatever JSON it stands in; raises `ValueError`."""
    if isinstance(value, str):
        yield from (piece for piece in parse(value) if isinstance(piece, Holder))
    elif isinstance(value, dict | list):
        for entry in value.values() if isinstance(value, dict) else value:
            yield from holders(entry)


def compiled(value: Any) -> Fill:
    """What makes a JSON value of a template: of a text, or of tables and lists with texts in them."""
    if isinstance(value, str):
        return _compiled_text(value)
    if isinstance(value, dict):
        return _compiled_table(value)
    if isinstance(value, list):
        return _compiled_list(value)
    return _always(value)


def compiled_path(text: str) -> Callable[[Values], str]:
    """What makes a path: each value is a segment of it, or several where its placeholder keeps slashes."""
    pieces = parse(text)
    if not any(isinstance(piece, Holder) for piece in pieces):
        return _always("".join(map(str, pieces)))
    parts = [_always(piece) if isinstance(piece, str) else _segments(piece) for piece in pieces]

    def fill(values: Values) -> str:
        return "".join([part(values) for part in parts])

    return fill


def as_text(value: Any) -> str:
    """A value inside of a text."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def _holder(inside: str) -> Holder:
    found = _HOLDER.fullmatch(inside.strip())
    if not found:
        raise ValueError(f"has a placeholder {{{inside}}} that is no name; a brace that is meant is written twice")
    names = tuple(tuple(name.split(".")) for name in found[2].split("|"))
    return Holder(names, optional=bool(found[3]), keeps_slashes=bool(found[1]))


def _lookup(values: Values, name: tuple[str, ...]) -> Any:
    found: Any = values
    for part in name:
        if not isinstance(found, Mapping) or part not in found:
            return ABSENT
        found = found[part]
    return found


def _holds(value: Any) -> bool:
    """Whether something is there: neither null nor empty."""
    return value is not ABSENT and value is not None and value not in ("", {}, [])


def _segments(holder: Holder) -> Callable[[Values], str]:
    get = _getter(holder)

    def fill(values: Values) -> str:
        value = get(values)
        text = value if isinstance(value, str) else "" if value is ABSENT else as_text(value)
        parts = text.split("/") if holder.keeps_slashes else [text]
        for part in parts:
            if part in ("", ".", ".."):
                raise UnfilledError(f"{holder}: can't stand in an address")
        return "/".join(map(reading.in_path, parts))

    return fill


def _getter(holder: Holder) -> Fill:
    """What gets a placeholder's value; the usual one, a name that is at the top and there, costs one look."""
    if holder.optional or len(holder.names) > 1 or len(holder.names[0]) > 1:
        return holder.value
    (name,) = holder.names[0]

    def get(values: Values) -> Any:
        try:
            return values[name]
        except KeyError:
            raise UnfilledError(f"{name}: is not there") from None

    return get


def _always(value: Any) -> Fill:
    def fill(_values: Values) -> Any:
        return value

    return fill


def _compiled_text(text: str) -> Fill:
    pieces = parse(text)
    if not any(isinstance(piece, Holder) for piece in pieces):
        return _always("".join(map(str, pieces)))
    if len(pieces) == 1 and isinstance(pieces[0], Holder):
        return _getter(pieces[0])
    parts = [_always(piece) if isinstance(piece, str) else _getter(piece) for piece in pieces]

    def fill(values: Values) -> str:
        return "".join([as_text(value) for part in parts if (value := part(values)) is not ABSENT])

    return fill


def _compiled_table(table: dict[str, Any]) -> Fill:
    spread = [compiled(entry) for entry in _as_list(table.get(SPREAD, []))]
    fields = [(name, compiled(value)) for name, value in table.items() if name != SPREAD]

    if len(spread) == 1 and not fields:
        return _copied(spread[0])

    def fill(values: Values) -> Any:
        made: dict[str, Any] = {}
        found = not (spread or fields)
        for each in spread:
            if (value := each(values)) is not ABSENT:
                made.update(_an_object(value))
                found = True
        for name, each in fields:
            if (value := each(values)) is not ABSENT:
                made[name] = value
                found = True
        return made if found else ABSENT

    return fill


def _copied(get: Fill) -> Fill:
    def fill(values: Values) -> Any:
        value = get(values)
        return value if value is ABSENT else dict(_an_object(value))

    return fill


def _compiled_list(entries: list[Any]) -> Fill:
    parts = [
        (compiled(each), True) if isinstance(entry, dict) and entry.keys() == {SPREAD} else (compiled(each), False)
        for entry in entries
        for each in (_as_list(entry[SPREAD]) if isinstance(entry, dict) and entry.keys() == {SPREAD} else [entry])
    ]

    def fill(values: Values) -> Any:
        made: list[Any] = []
        found = not parts
        for each, spreads in parts:
            if (value := each(values)) is not ABSENT:
                made.extend(_entries(value)) if spreads else made.append(value)
                found = True
        return made if found else ABSENT

    return fill


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _an_object(value: Any) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise UnfilledError(f"{SPREAD}: a JSON {type(value).__name__} where an object was expected")
    return value


def _entries(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return [*value.values()]
    if not isinstance(value, list | tuple):
        raise UnfilledError(f"{SPREAD}: a JSON {type(value).__name__} where a list was expected")
    return [*value]
