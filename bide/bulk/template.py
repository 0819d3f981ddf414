"""The request that the columns of a CSV go into: `{column}` in its texts, `{column:json}` for what is no text."""

from __future__ import annotations

import json
import re
from collections.abc import Container, Mapping, Sequence
from typing import Any

from bide import strict_json
from bide.errors import InvalidRequestError

#: A place, or a brace that is meant as one.
_PLACE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")

#: The most of a list that a message shows: entries, and characters of each.
MOST_ENTRIES, MOST_CHARACTERS = 10, 64


#: Truth values as spreadsheets write them, in JSON.
_TRUTH = {"true": "true", "false": "false"}

#: The value of a place whose cell is empty: its field is left out.
_ABSENT = object()


class Template:
    """A request with places for columns; raises `InvalidRequestError` for a text that is no such request."""

    def __init__(self, content: bytes) -> None:
        try:
            self._request = strict_json.loads(content.decode("utf-8-sig"))
            if not isinstance(self._request, dict):
                raise InvalidRequestError("template: must be one JSON object, a request")
            self._places = [_split(place)[0] for place in _places(self._request)]
            self.columns = frozenset(self._places)
        except UnicodeDecodeError:
            raise InvalidRequestError("template: is not UTF-8") from None
        except strict_json.RepeatedNameError as error:
            raise InvalidRequestError(f"template: {error}", redacted=f"template: {error.redacted}") from None
        except json.JSONDecodeError as error:
            where = f"line {error.lineno}, character {error.colno}"
            raise InvalidRequestError(f"template: is not JSON: {error.msg} at {where}") from None
        except (ValueError, RecursionError):
            raise InvalidRequestError("template: is not JSON that can be read") from None

    def check(self, columns: Sequence[str]) -> None:
        """Raise `InvalidRequestError` where the file lacks a column, or the template uses none.

        The error names the file's columns by number, since their names are content of the file. Where others read it,
        the template's places have numbers, too: a message may name any object as a template.
        """
        if missing := sorted(self.columns - set(columns)):
            unused = [number for number, name in enumerate(columns, start=1) if name not in self.columns]
            places = [number for number, name in enumerate(self._places, start=1) if name in missing]
            rest = f" in the first line, which names {len(columns)}"
            rest += f"; the template does not use column {few(unused)}" if unused else ""
            raise InvalidRequestError(
                f"template: there is no column {few(missing)}{rest}",
                redacted=f"template: there is no column for place {few(places)}{rest}",
            )
        if not self.columns:
            raise InvalidRequestError("template: has no {column} place, all rows would be the same")

    def fill(self, row: Mapping[str, str], *, numbers: Container[str] = ()) -> dict[str, Any]:
        """The request of a row. A text of a field in `numbers` becomes the number or truth value that it writes.

        Such a field is left out where its text is empty, as is the field of a JSON place whose cell is empty.

        Raises `InvalidRequestError` for a JSON place whose column is no JSON.
        """
        filled: dict[str, Any] = _filled(self._request, row, numbers, ())
        return filled


def few(entries: Sequence[object]) -> str:
    """The first entries of a list that may be long, each cut short."""
    shown = ", ".join(str(entry)[:MOST_CHARACTERS] for entry in entries[:MOST_ENTRIES])
    return f"{shown} and {len(entries) - MOST_ENTRIES} more" if len(entries) > MOST_ENTRIES else shown


def _places(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [place for each in value.values() for place in _places(each)]
    if isinstance(value, list):
        return [place for each in value for place in _places(each)]
    return [found for found in _PLACE.findall(value) if found] if isinstance(value, str) else []


def _filled(value: Any, row: Mapping[str, str], numbers: Container[str], at: tuple[str, ...]) -> Any:
    if isinstance(value, dict):
        filled = {name: _filled(each, row, numbers, (*at, name)) for name, each in value.items()}
        return {name: each for name, each in filled.items() if each is not _ABSENT}
    if isinstance(value, list):
        return [_filled(each, row, numbers, (*at, str(place))) for place, each in enumerate(value)]
    if not isinstance(value, str):
        return value
    text = _text(value, row)
    return _number(text) if isinstance(text, str) and ".".join(at) in numbers else text


def _text(text: str, row: Mapping[str, str]) -> Any:
    whole = _PLACE.fullmatch(text)
    if whole and whole[1] and _split(whole[1])[1]:
        return _json(_split(whole[1])[0], row)
    return _PLACE.sub(lambda place: row[_split(place[1])[0]] if place[1] else place[0][0], text)


def _split(place: str) -> tuple[str, bool]:
    column, _, kind = place.rpartition(":")
    column, is_json = (column, True) if kind == "json" and column else (place, False)
    return " ".join(column.split()), is_json


def _json(column: str, row: Mapping[str, str]) -> Any:
    """The value of a JSON place; an empty cell has none."""
    if not row[column].strip():
        return _ABSENT
    try:
        return strict_json.loads(row[column])
    except strict_json.RepeatedNameError as error:
        raise _refused(column, row, error.redacted) from None
    except (ValueError, RecursionError):
        raise _refused(column, row, "is not JSON, as its place wants it") from None


def _refused(column: str, row: Mapping[str, str], reason: str) -> InvalidRequestError:
    number = list(row).index(column) + 1
    return InvalidRequestError(f"column {few([column])}: {reason}", redacted=f"column {number}: {reason}")


def _number(text: str) -> Any:
    """The number or truth value that a spreadsheet writes so; an empty cell has no value, any other stays a text."""
    if not text.strip():
        return _ABSENT
    try:
        value = json.loads(_TRUTH.get(text.strip().casefold(), text))
    except (ValueError, RecursionError):
        return text
    if isinstance(value, float) and value.is_integer():
        return int(value)  # a column of whole numbers in which a cell is empty is written as 4.0
    return value if isinstance(value, bool | int | float) else text
