"""Readers of rows, one at a time: JSONL with a request a line, or CSV with a template."""

from __future__ import annotations

import csv
import io
import json
import re
import string
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any

from bide import strict_json
from bide.bulk.template import Template, few
from bide.contract import MAX_REQUEST_BYTES
from bide.errors import InvalidRequestError

#: The longest line [bytes]: a request of the largest size, with room for blanks and escapes.
MAX_LINE_BYTES = 8 * MAX_REQUEST_BYTES

#: The delimiters of a CSV, the likeliest first.
DELIMITERS = ",;\t"

#: The most lines in which the columns of a CSV are looked for: blank ones, and those of quoted names.
MOST_HEAD_LINES = 10_000

#: What a line that names nothing consists of: by another delimiter than its own it is one field.
_BLANKS = DELIMITERS + string.whitespace

_BOM = b"\xef\xbb\xbf"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")

#: A name in quotes, behind what comes before a name; and a quote that begins such a name.
_QUOTED = re.compile(rf'(^|[{DELIMITERS}])"(?:[^"]|"")*"')
_QUOTE = re.compile(rf'(?:^|[{DELIMITERS}])"')

#: A first line that only names the delimiter; a spreadsheet may have put it into quotes, and empty fields behind it.
_SEP = re.compile(r'\s*"?sep=(?P<delimiter>[^"\s\w]|\t)"?[,;\t]*', re.IGNORECASE)


@dataclass(frozen=True)
class RawRow:
    """One row as written: its request, or its problem.

    `request` takes the names of fields whose texts are meant as numbers.
    """

    line: int
    request: Callable[[Container[str]], Any] | None = None
    problem: str = ""


def read_jsonl(file: IO[bytes]) -> Iterator[RawRow]:
    """The rows of a JSONL file, a request a line; empty lines are passed over.

    A line that can't be read becomes a row with a problem, and the next line is read.
    """
    for number, line in enumerate(iter(lambda: file.readline(MAX_LINE_BYTES), b""), start=1):
        if len(line) >= MAX_LINE_BYTES and not line.endswith(b"\n"):
            yield RawRow(number, problem=f"line: is over {MAX_LINE_BYTES} bytes; upload large inputs first")
            return
        if number == 1 and line.startswith(_UTF_16):
            yield RawRow(number, problem="file: is UTF-16; save it as UTF-8")
            return
        text = line.removeprefix(_BOM) if number == 1 else line
        if text.strip():
            yield _json_row(number, text)


def _json_row(number: int, line: bytes) -> RawRow:
    try:
        value = strict_json.loads(line.decode())
    except UnicodeDecodeError:
        return RawRow(number, problem="line: is not UTF-8")
    except strict_json.RepeatedNameError as error:
        return RawRow(number, problem=f"line: {error.redacted}")
    except json.JSONDecodeError as error:
        return RawRow(number, problem=f"line: is not JSON: {error.msg} at character {error.colno}")
    except (ValueError, RecursionError):
        return RawRow(number, problem="line: is not JSON that can be read")
    return RawRow(number, lambda _: value)


def read_csv(file: IO[bytes], template: Template) -> Iterator[RawRow]:
    """The rows of a CSV file, each made a request by the template.

    The first line that holds something names the columns; before it may stand `sep=;`, which names the delimiter. The
    encoding is UTF-8, or UTF-16 as spreadsheets write it.
    """
    text = io.TextIOWrapper(file, encoding=_encoding(file), newline="")
    try:
        yield from _csv_rows(text, template)
    except UnicodeDecodeError:
        yield RawRow(0, problem="file: is not UTF-8; save it as UTF-8")
    finally:
        text.detach()


def _encoding(file: IO[bytes]) -> str:
    """The encoding of a file by its first bytes, which stay unread."""
    if isinstance(file, io.BufferedReader):
        head = file.peek(2)[:2]
    else:
        head = file.read(2)
        file.seek(0)
    if head in _UTF_16:
        return "utf-16"
    if len(head) == 2 and 0 in head:  # without a byte order mark: every other byte of plain text is 0
        return "utf-16-le" if head[1] == 0 else "utf-16-be"
    return "utf-8-sig"


def _csv_rows(text: io.TextIOWrapper, template: Template) -> Iterator[RawRow]:
    csv.field_size_limit(MAX_LINE_BYTES)
    lines = _Head(_lines(text))
    named = _named_delimiter(next(iter(lines), ""))
    if named:
        lines.drop_first()
    rows = csv.reader(lines, delimiter=named or _likeliest_delimiter(lines), strict=True)
    lines.passed = True
    before = 1 if named else 0
    try:
        columns = _columns(rows)
        if columns:
            template.check(columns)
        for fields in rows:
            if any(field.strip() for field in fields):
                yield _csv_row(before + rows.line_num, columns, fields, template)
    except csv.Error as error:
        yield RawRow(before + rows.line_num, problem=f"line: is not CSV: {error}; nothing behind it was read")


class _Head:
    """Lines of which each iteration gives all, while the head of the file is not `passed`."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines, self._kept, self.passed = lines, list[str](), False

    def __iter__(self) -> Iterator[str]:
        yield from self._kept
        for line in self._lines:
            if not self.passed:
                self._keep(line)
            yield line

    def drop_first(self) -> None:
        del self._kept[0]

    def _keep(self, line: str) -> None:
        if len(self._kept) >= MOST_HEAD_LINES:
            raise InvalidRequestError(f"file: no columns are named in its first {MOST_HEAD_LINES} lines; is it a CSV?")
        self._kept.append(line)


def _named_delimiter(line: str) -> str | None:
    """The delimiter that a first line such as `sep=;` names, as Excel writes and reads it; None for any other line."""
    found = _SEP.fullmatch(line.rstrip("\r\n"))
    return found["delimiter"] if found else None


def _likeliest_delimiter(lines: Iterable[str]) -> str:
    """The delimiter that stands most often between the names of the columns, outside of quotes."""
    head, bare = "", ""
    for line in lines:
        if not head and not line.strip(_BLANKS + '"'):
            continue
        head += line
        if '"' in line or head == line:
            bare = _QUOTED.sub(r"\1", head)
        if not _QUOTE.search(bare) or len(head) > MAX_LINE_BYTES:
            break
    return max(DELIMITERS, key=bare.count)


def _first_filled(rows: Iterator[list[str]]) -> list[str]:
    """The first row that holds something; empty where none does."""
    return next((fields for fields in rows if any(field.strip(_BLANKS) for field in fields)), [])


def _columns(rows: Iterator[list[str]]) -> list[str]:
    """The names of the columns; those without a name behind the last one that has one are no columns.

    Raises `InvalidRequestError` where two have the same name.
    """
    columns = [" ".join(name.split()) for name in _first_filled(rows)]
    while columns and not columns[-1]:
        columns.pop()
    named = Counter(filter(None, columns))
    if alike := [number for number, name in enumerate(columns, start=1) if named[name] > 1]:
        raise InvalidRequestError(f"columns: two have the same name: {few(alike)}, counted from 1")
    return columns


def _lines(text: io.TextIOWrapper) -> Iterator[str]:
    """The lines of a CSV; raises `InvalidRequestError` for a line that is longer than any row needs."""
    while line := text.readline(MAX_LINE_BYTES):
        if len(line) >= MAX_LINE_BYTES:
            raise InvalidRequestError(f"file: has a line of over {MAX_LINE_BYTES} characters; is it a CSV?")
        yield line


def _csv_row(number: int, columns: list[str], fields: list[str], template: Template) -> RawRow:
    spare = fields[len(columns) :]
    if len(fields) < len(columns) or any(field.strip() for field in spare):
        return RawRow(number, problem=f"line: has {len(fields)} fields, the first line names {len(columns)} columns")
    row = dict(zip(columns, fields, strict=False))
    return RawRow(number, lambda numbers: template.fill(row, numbers=numbers))
