"""The request that the columns of a CSV go into: `{column}` in its texts, `{column:json}` for what is no text."""

from __future__ import annotations

import json
import re
from collections.abc import Container, Mapping, Sequence
from typing import Any

from bide.errors import InvalidRequestError

#: A place, or a brace that is meant as one.
_PLACE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")


class Template:
    """A request with places; raises `InvalidRequestError` for what is none."""

    def __init__(self, content: bytes) -> None:
        try:
            self._request = json.loads(content.decode("utf-8-sig"))
        except ValueError as error:
            raise InvalidRequestError(f"template: is not JSON: {error}") from None
        if not isinstance(self._request, dict):
            raise InvalidRequestError("template: must be one JSON object, a request")
        self.columns = {_split(place)[0] for place in _places(self._request)}

    def check(self, columns: Sequence[str]) -> None:
        """Raise `InvalidRequestError` where the file lacks a column, or the template uses none."""
        if missing := sorted(self.columns - set(columns)):
            raise InvalidRequestError(
                f"template: there is no column {', '.join(missing)}; the file has {', '.join(columns)}"
            )
        if not self.columns:
            raise InvalidRequestError("template: has no {column} place, all rows would be the same")

    def fill(self, row: Mapping[str, str], *, numbers: Container[str] = ()) -> dict[str, Any]:
        """The request of a row; of the fields in `numbers`, a text that is a number or truth value becomes one.

        Raises `InvalidRequestError` for a place that is to be JSON and is none.
        """
        filled: dict[str, Any] = _filled(self._request, row, numbers, ())
        return filled


def _places(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [place for each in value.values() for place in _places(each)]
    if isinstance(value, list):
        return [place for each in value for place in _places(each)]
    return [found for found in _PLACE.findall(value) if found] if isinstance(value, str) else []


def _filled(value: Any, row: Mapping[str, str], numbers: Container[str], at: tuple[str, ...]) -> Any:
    if isinstance(value, dict):
        return {name: _filled(each, row, numbers, (*at, name)) for name, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, row, numbers, (*at, str(place))) for place, each in enumerate(value)]
    if not isinstance(value, str):
        return value
    filled = _text(value, row)
    return _number(filled) if isinstance(filled, str) and ".".join(at) in numbers else filled


def _text(text: str, row: Mapping[str, str]) -> Any:
    whole = _PLACE.fullmatch(text)
    if whole and whole[1] and _split(whole[1])[1]:
        return _json(_split(whole[1])[0], row)
    return _PLACE.sub(lambda place: row[_split(place[1])[0]] if place[1] else place[0][0], text)


def _split(place: str) -> tuple[str, bool]:
    column, _, kind = place.rpartition(":")
    return (column, True) if kind == "json" and column else (place, False)


def _json(column: str, row: Mapping[str, str]) -> Any:
    try:
        return json.loads(row[column])
    except ValueError:
        raise InvalidRequestError(f"column {column}: is not JSON, as its place wants it") from None


def _number(text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, bool | int | float) else text
