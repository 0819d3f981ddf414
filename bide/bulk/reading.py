"""Reads rows out of a file, one at a time: JSONL with a request a line, or CSV with a template."""

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

#: What may stand between the columns of a CSV, the likeliest first.
DELIMITERS = ",;\t"

_BOM = b"\xef\xbb\xbf"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class Raw:
    """One row as written: its request, with the texts of the named fields as numbers, or its problem."""

    line: int
    reading: Callable[[Container[str]], Any] | None = None
    problem: str = ""


def read_jsonl(file: IO[bytes]) -> Iterator[Raw]:
    """A request a line; empty lines are passed over. What can't be read is told, and the next line is read."""
    for number, line in enumerate(iter(lambda: file.readline(MAX_LINE_BYTES), b""), start=1):
        if len(line) >= MAX_LINE_BYTES and not line.endswith(b"\n"):
            yield Raw(number, problem=f"line: is over {MAX_LINE_BYTES} bytes; upload large inputs first")
            return
        if number == 1 and line.startswith(_UTF_16):
            yield Raw(number, problem="file: is UTF-16; save it as UTF-8")
            return
        text = line.removeprefix(_BOM) if number == 1 else line
        if text.strip():
            yield _json_row(number, text)


def _json_row(number: int, line: bytes) -> Raw:
    try:
        value = json.loads(line.decode())
    except UnicodeDecodeError:
        return Raw(number, problem="line: is not UTF-8")
    except json.JSONDecodeError as error:
        return Raw(number, problem=f"line: is not JSON: {error.msg} at character {error.colno}")
    except (ValueError, RecursionError):
        return Raw(number, problem="line: is not JSON that can be read")
    return Raw(number, lambda _: value)


def read_csv(file: IO[bytes], template: Template) -> Iterator[Raw]:
    """A row a request, by the template; the first line names the columns."""
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    try:
        yield from _csv_rows(text, template)
    except UnicodeDecodeError:
        yield Raw(0, problem="file: is not UTF-8; save it as UTF-8")
    finally:
        text.detach()


def _csv_rows(text: io.TextIOWrapper, template: Template) -> Iterator[Raw]:
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
        yield Raw(rows.line_num + 1, problem=f"line: is not CSV: {error}; nothing behind it was read")


def _lines(text: io.TextIOWrapper) -> Iterator[str]:
    """The lines of a CSV; a longer one than any row needs is no line to wait for the end of."""
    while line := text.readline(MAX_LINE_BYTES):
        if len(line) >= MAX_LINE_BYTES:
            raise InvalidRequestError(f"file: has a line of over {MAX_LINE_BYTES} characters; is it a CSV?")
        yield line


def _csv_row(number: int, columns: list[str], fields: list[str], template: Template) -> Raw:
    if len(fields) != len(columns):
        return Raw(number, problem=f"line: has {len(fields)} fields, the first line names {len(columns)} columns")
    row = dict(zip(columns, fields, strict=True))
    return Raw(number, lambda numbers: template.fill(row, numbers=numbers))
