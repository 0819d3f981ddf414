"""Readers of rows, one at a time: JSONL with a request a line, or CSV with a template."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from typing import IO, Any

from bide.bulk.template import Template, few
from bide.contract import MAX_REQUEST_BYTES
from bide.errors import InvalidRequestError

#: The longest line [bytes]: a request of the largest size, with room for blanks and escapes.
MAX_LINE_BYTES = 8 * MAX_REQUEST_BYTES

#: The delimiters of a CSV, the likeliest first.
DELIMITERS = ",;\t"

_BOM = b"\xef\xbb\xbf"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


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
        value = json.loads(line.decode())
    except UnicodeDecodeError:
        return RawRow(number, problem="line: is not UTF-8")
    except json.JSONDecodeError as error:
        return RawRow(number, problem=f"line: is not JSON: {error.msg} at character {error.colno}")
    except (ValueError, RecursionError):
        return RawRow(number, problem="line: is not JSON that can be read")
    return RawRow(number, lambda _: value)


def read_csv(file: IO[bytes], template: Template) -> Iterator[RawRow]:
    """The rows of a CSV file, each made a request by the template; the first line names the columns."""
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    try:
        yield from _csv_rows(text, template)
    except UnicodeDecodeError:
        yield RawRow(0, problem="file: is not UTF-8; save it as UTF-8")
    finally:
        text.detach()


def _csv_rows(text: io.TextIOWrapper, template: Template) -> Iterator[RawRow]:
    csv.field_size_limit(MAX_LINE_BYTES)
    lines = _lines(text)
    head = next(lines, "")
    delimiter = max(DELIMITERS, key=head.count)
    columns = [name.strip() for name in next(csv.reader([head], delimiter=delimiter), [])]
    if not any(columns):
        return
    named = Counter(columns)
    if alike := [number for number, name in enumerate(columns, start=1) if named[name] > 1]:
        raise InvalidRequestError(f"columns: two have the same name: {few(alike)}, counted from 1")
    template.check(columns)
    rows = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        for fields in rows:
            if any(fields):
                yield _csv_row(rows.line_num + 1, columns, fields, template)
    except csv.Error as error:
        yield RawRow(rows.line_num + 1, problem=f"line: is not CSV: {error}; nothing behind it was read")


def _lines(text: io.TextIOWrapper) -> Iterator[str]:
    """The lines of a CSV; raises `InvalidRequestError` for a line that is longer than any row needs."""
    while line := text.readline(MAX_LINE_BYTES):
        if len(line) >= MAX_LINE_BYTES:
            raise InvalidRequestError(f"file: has a line of over {MAX_LINE_BYTES} characters; is it a CSV?")
        yield line


def _csv_row(number: int, columns: list[str], fields: list[str], template: Template) -> RawRow:
    if len(fields) != len(columns):
        return RawRow(number, problem=f"line: has {len(fields)} fields, the first line names {len(columns)} columns")
    row = dict(zip(columns, fields, strict=True))
    return RawRow(number, lambda numbers: template.fill(row, numbers=numbers))
