"""The rows of a run as its contact sheet shows them: a table on disk, in the order of the input."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bide.contract import Output
from bide.describe import nested
from bide.kinds import shown_first

#: Prompts and reasons are cut to this [characters]: a page holds hundreds of them.
LONGEST_TEXT = 1000

#: Of a request without a prompt, what is shown of its parameters: values up to this length [characters].
SHORT_VALUE = 60

#: Rows on one page: some 3 MB of HTML, as the thumbnails lie in it.
PAGE_ROWS = 200

SUCCEEDED = "succeeded"

_SHOWN = "number, state, what, prompt, job_id, code, reason, outputs, metadata, spent"

_TABLE = """
    CREATE TABLE rows (
        number INTEGER PRIMARY KEY, state TEXT, submitted TEXT, finished TEXT, what TEXT, prompt TEXT, job_id TEXT,
        code TEXT, reason TEXT, outputs TEXT, metadata TEXT, spent REAL
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
    #: The metadata that were chosen for the sheet, as names and short values.
    metadata: tuple[tuple[str, str], ...] = ()
    #: What it cost, in the currency of the prices; None where none was known.
    spent: float | None = None

    @property
    def shown(self) -> Output | None:
        """The output that stands for the row; None where it has none."""
        return self.outputs[shown_first(self.outputs)] if self.outputs else None


class Rows:
    """The table of all rows: written once, then read in order. It is a context, and takes no memory for each row."""

    def __init__(self, folder: Path, *, metadata: Sequence[str] = ()) -> None:
        self._metadata = metadata
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
        """Add one line of the results; the later line of a row replaces the earlier. Raises `ValueError`."""
        self._file.execute(
            "INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", _columns(line, self._metadata)
        )

    def counts(self) -> dict[str, int]:
        """The number of rows by state."""
        return dict(self._file.execute("SELECT state, count(*) FROM rows GROUP BY state"))

    def times(self) -> tuple[str, str]:
        """The times of the first submit and of the last end; '' where the results have none."""
        times: tuple[str, str]
        (times,) = self._file.execute("SELECT coalesce(min(submitted), ''), coalesce(max(finished), '') FROM rows")
        return times

    def pages(self, size: int, *, problems_only: bool = False) -> Iterator[list[Row]]:
        """The rows in their order, `size` at a time; with `problems_only`, those that did not succeed."""
        where = "WHERE state <> ?" if problems_only else "WHERE ? <> ''"
        found = self._file.execute(
            f"SELECT {_SHOWN} FROM rows {where} ORDER BY number",  # noqa: S608 - texts of ours
            (SUCCEEDED,),
        )
        while page := found.fetchmany(size):
            yield [_row(*columns) for columns in page]


def _columns(line: bytes, names: Sequence[str]) -> tuple[object, ...]:
    result = json.loads(line)
    if not isinstance(result, dict) or not isinstance(result.get("row"), int):
        raise ValueError("is not the result of a row")  # noqa: TRY004 - as where it is no JSON
    request, error = result.get("request") or {}, result.get("error") or {}
    outputs = [_without_unknown(output) for output in result.get("outputs") or ()]
    return (
        result["row"],
        str(result.get("state")),
        result.get("submitted_at"),
        result.get("finished_at"),
        " ".join(request.get(name) or "" for name in ("provider", "operation")).strip(),
        _prompt(request.get("params") or {}),
        str(result.get("job_id") or ""),
        str(error.get("code") or ""),
        _cut(str(error.get("message") or "")),
        json.dumps(outputs),
        json.dumps(list(_chosen(request.get("metadata"), names))),
        result.get("spent"),
    )


def _chosen(metadata: object, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The metadata of these names, as far as the row has them."""
    for name in names:
        if isinstance(metadata, dict) and (value := metadata.get(name)) is not None:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            yield name, text if len(text) <= SHORT_VALUE else f"{text[: SHORT_VALUE - 1]}…"


def _row(*columns: Any) -> Row:
    *texts, outputs, metadata, spent = columns
    number, state, what, prompt, job_id, code, reason = texts
    pictures = tuple(Output.model_validate(output) for output in json.loads(outputs))
    chosen = tuple((name, value) for name, value in json.loads(metadata))
    return Row(number, state, what, prompt, job_id, code, reason, pictures, chosen, spent)


def _without_unknown(output: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an output that this version knows: a later version may have written the results."""
    return {name: value for name, value in output.items() if name in Output.model_fields}


def _prompt(params: Mapping[str, Any]) -> str:
    """The prompt of a request, wherever its provider has it; of a request without one, its short parameters."""
    fields: dict[str, Any] = {}
    for held in (*nested(params).values(), params):
        fields |= held
    texts = [text for name, text in fields.items() if name.lower() == "prompt" and isinstance(text, str)]
    short = (f"{name}: {value}" for name, value in fields.items() if len(str(value)) <= SHORT_VALUE and value != "")
    return _cut(" ".join(texts[0].split()) if texts else ", ".join(short))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"
