"""Where the keys of a TOML document stand: `tomllib`, which reads it, does not say.

A scan of a text that `tomllib` has taken: it knows where keys, strings and brackets begin and end, and judges nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

#: A key of the document: names of tables and fields, and indexes of lists.
Key = tuple[str | int, ...]

_STRING = re.compile(r'"""(?:\\.|[^\\])*?"{3,5}' r"|'''.*?'{3,5}" r'|"(?:\\.|[^"\\\n])*"' r"|'[^'\n]*'", re.DOTALL)
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_INLINE_BLANK = re.compile(r"[ \t]*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_PLAIN_VALUE = re.compile(r"[^,\]}#\n]*")


class _Scan:
    """One way through the text."""

    def __init__(self, text: str) -> None:
        self.text, self.at, self.lines = text, 0, dict[Key, int]()
        self._counted, self._line = 0, 1
        self._lists: dict[Key, int] = {}

    def document(self) -> None:
        table: Key = ()
        while self._skip(_BLANK) < len(self.text):
            if self.text.startswith("[", self.at):
                table = self._header()
            else:
                self._field(table)

    def _header(self) -> Key:
        line, several = self._now(), self.text.startswith("[[", self.at)
        self.at += 2 if several else 1
        names = self._names()
        self.at += 2 if several else 1
        key: Key = (*self._in_lists(names[:-1]), names[-1])
        if several:
            number = self._lists[key] = self._lists.get(key, -1) + 1
            self._note(key, line)
            key = (*key, number)
        elif key in self._lists:
            key = (*key, self._lists[key])
        self._note(key, line)
        return key

    def _in_lists(self, names: Sequence[str]) -> Key:
        """The key of a table below lists of tables: the last table of each is meant."""
        key: Key = ()
        for name in names:
            key = (*key, name)
            if key in self._lists:
                key = (*key, self._lists[key])
        return key

    def _field(self, table: Key) -> None:
        line = self._now()
        key: Key = (*table, *self._names())
        self._note(key, line)
        self._skip(_INLINE_BLANK)
        self.at += 1  # the equals sign
        self._skip(_INLINE_BLANK)
        self._value(key)

    def _value(self, key: Key) -> None:
        character = self.text[self.at : self.at + 1]
        if character == "[":
            self._entries(key)
        elif character == "{":
            self._fields(key)
        elif character in ('"', "'") and (found := _STRING.match(self.text, self.at)):
            self.at = found.end()
        else:
            self._skip(_PLAIN_VALUE)

    def _entries(self, key: Key) -> None:
        self.at += 1
        number = 0
        while self._skip(_BLANK) < len(self.text) and self.text[self.at] != "]":
            if self.text[self.at] == ",":
                self.at += 1
                continue
            self._note((*key, number), self._now())
            self._value((*key, number))
            number += 1
        self.at += 1

    def _fields(self, key: Key) -> None:
        self.at += 1
        while self._skip(_BLANK) < len(self.text) and self.text[self.at] != "}":
            if self.text[self.at] == ",":
                self.at += 1
                continue
            self._field(key)
        self.at += 1

    def _names(self) -> tuple[str, ...]:
        """A dotted key."""
        names: list[str] = []
        while True:
            self._skip(_INLINE_BLANK)
            if found := _BARE.match(self.text, self.at):
                names.append(found[0])
            elif found := _STRING.match(self.text, self.at):
                names.append(_unquoted(found[0]))
            else:
                return tuple(names)  # no text that tomllib takes
            self.at = found.end()
            self._skip(_INLINE_BLANK)
            if not self.text.startswith(".", self.at):
                return tuple(names)
            self.at += 1

    def _skip(self, blank: re.Pattern[str]) -> int:
        found = blank.match(self.text, self.at)
        self.at = found.end() if found else self.at
        return self.at

    def _now(self) -> int:
        self._line += self.text.count("\n", self._counted, self.at)
        self._counted = self.at
        return self._line

    def _note(self, key: Key, line: int) -> None:
        for length in range(1, len(key) + 1):
            self.lines.setdefault(key[:length], line)


def positions(text: str) -> dict[Key, int]:
    """The line of each key of a document that `tomllib` has read, counted from 1."""
    scan = _Scan(text)
    scan.document()
    return scan.lines


def line_of(lines: dict[Key, int], key: Key) -> int | None:
    """The line of a key, or of the nearest table around it that stands in the document; None where none does."""
    for length in range(len(key), 0, -1):
        if key[:length] in lines:
            return lines[key[:length]]
    return None


def _unquoted(text: str) -> str:
    if text.startswith("'"):
        return text[1:-1]
    try:
        return str(json.loads(text))
    except ValueError:  # an escape that JSON lacks
        return text[1:-1]
