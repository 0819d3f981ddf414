"""The finished rows of a run as its contact sheet shows them: kept on disk, in their order, however many there are."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bide.contract import Output

#: Prompts and reasons are cut to this [characters]: a page holds hundreds of them.
LONGEST_TEXT = 1000

#: Of a request without a prompt, what is shown of its parameters: values up to this length [characters].
SHORT_VALUE = 60

SUCCEEDED = "succeeded"

_TABLE = """
    CREATE TABLE rows (
        number INTEGER PRIMARY KEY, state TEXT, submitted TEXT, finished TEXT, what TEXT, prompt TEXT, job_id TEXT,
        code TEXT, reason TEXT, outputs TEXT
    )
"""


@dataclass(frozen=True)
class Row:
    """One row of the run's input, as it ended."""

    number: int
    state: str
    what: str
    prompt: str
    job_id: str
    code: str
    reason: str
    outputs: tuple[Output, ...]


class Rows:
    """All rows, written once and then read in order; memory does not grow with them. Use it as a context."""

    def __init__(self, folder: Path) -> None:
        self._file = sqlite3.connect(folder / "rows.sqlite", isolation_level=None)
        self._file.execute("PRAGMA journal_mode = OFF")
        self._file.execute("PRAGMA synchronous = OFF")
        self._file.execute(_TABLE)

    def __enter__(self) -> Rows:
        self._file.execute("BEGIN")
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, line: bytes) -> None:
        """Take one line of the results; of a row that is told twice the later one counts. Raises `ValueError`."""
        self._file.execute("INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", _columns(line))

    def counts(self) -> dict[str, int]:
        """How many rows ended in each state."""
        return dict(self._file.execute("SELECT state, count(*) FROM rows GROUP BY state"))

    def times(self) -> tuple[str, str]:
        """When the first row was submitted and the last one finished, as the results say it; '' where they don't."""
        times: tuple[str, str]
        (times,) = self._file.execute("SELECT coalesce(min(submitted), ''), coalesce(max(finished), '') FROM rows")
        return times

    def pages(self, size: int, *, problems_only: bool = False) -> Iterator[list[Row]]:
        """The rows, or those that did not succeed, in their order, so many at a time."""
        where = "WHERE state <> ?" if problems_only else "WHERE ? <> ''"
        found = self._file.execute(
            f"SELECT number, state, what, prompt, job_id, code, reason, outputs FROM rows {where} ORDER BY number",  # noqa: S608 - one of the two texts above
            (SUCCEEDED,),
        )
        while page := found.fetchmany(size):
            yield [_row(*columns) for columns in page]


def _columns(line: bytes) -> tuple[object, ...]:
    told = json.loads(line)
    if not isinstance(told, dict) or not isinstance(told.get("row"), int):
        raise ValueError("is not the result of a row")  # noqa: TRY004 - as where it is no JSON
    request, error = told.get("request") or {}, told.get("error") or {}
    outputs = [_without_unknown(output) for output in told.get("outputs") or ()]
    return (
        told["row"],
        str(told.get("state")),
        told.get("submitted_at"),
        told.get("finished_at"),
        " ".join(request.get(name) or "" for name in ("provider", "operation")).strip(),
        _prompt(request.get("params") or {}),
        str(told.get("job_id") or ""),
        str(error.get("code") or ""),
        _cut(str(error.get("message") or "")),
        json.dumps(outputs),
    )


def _row(number: int, state: str, what: str, prompt: str, job_id: str, code: str, reason: str, outputs: str) -> Row:
    pictures = tuple(Output.model_validate(output) for output in json.loads(outputs))
    return Row(number, state, what, prompt, job_id, code, reason, pictures)


def _without_unknown(output: Mapping[str, Any]) -> dict[str, Any]:
    """What this version knows of an output: a sheet is made of results that a later one may have written."""
    return {name: value for name, value in output.items() if name in Output.model_fields}


def _prompt(params: Mapping[str, Any]) -> str:
    """The words the picture was made from, wherever a provider has them; of a request without, its short parameters."""
    nested = params.get("params")
    fields = {**(nested if isinstance(nested, dict) else {}), **params}
    texts = [text for name, text in fields.items() if name.lower() == "prompt" and isinstance(text, str)]
    short = (f"{name}: {value}" for name, value in fields.items() if len(str(value)) <= SHORT_VALUE and value != "")
    return _cut(" ".join(texts[0].split()) if texts else ", ".join(short))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"
