"""The writer of contact sheets: pages of thumbnails in object storage, made from the results that lie there."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from bide.bulk import objects
from bide.bulk.sheet.page import Run, assets_digest, in_order, render
from bide.bulk.sheet.pictures import Preview, preview
from bide.bulk.sheet.rows import PAGE_ROWS, SUCCEEDED, Row, Rows
from bide.bulk.summary import MAX_SUMMARY_BYTES
from bide.errors import StorageError
from bide.storage import Storage

INDEX = "index.html"

#: Originals that are fetched at once.
FETCHERS = 8

#: The field of a page's metadata with the digest of its content.
_MADE_OF = "made-of"


def write_sheet(storage: Storage, run_id: str, *, on_page: Callable[[int, int], None] | None = None) -> str:
    """Write `index.html` and the further pages of a run. Returns the address of the first.

    Doing it twice is harmless. A second attempt goes on where the first one ended: a page that was made of the same
    rows stays. `on_page` is called after each page with the number of pages done and of all; an error of it ends the
    work. Raises `StorageError`.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bide-sheet-")))
        summary = _summary(storage, run_id)
        rows = stack.enter_context(Rows(folder, metadata=summary.get("sheet_metadata") or ()))
        _read(storage, run_id, rows)
        run = _run(storage, run_id, rows, summary)
        fetchers = stack.enter_context(ThreadPoolExecutor(FETCHERS, "sheet"))
        total = len(run.problem_pages) + len(run.pages)
        for done, (name, page) in enumerate(_contents(run, rows), start=1):
            _write(storage, run, name, page, fetchers)
            if on_page:
                on_page(done, total)
    _remove_others(storage, run)
    return storage.uri(_key(run_id, INDEX))


def _read(storage: Storage, run_id: str, rows: Rows) -> None:
    for part in objects.keys(storage, _key(run_id, "results-")):
        for number, line in enumerate(objects.lines(storage, part), start=1):
            try:
                rows.add(line)
            except ValueError as error:
                raise StorageError(f"{storage.uri(part)}, line {number}: {error}", permanent=True) from None


def _run(storage: Storage, run_id: str, rows: Rows, summary: Mapping[str, Any]) -> Run:
    counts = rows.counts()
    total = sum(counts.values())
    problems = total - counts.get(SUCCEEDED, 0)
    codes = sorted((summary.get("codes") or {}).items(), key=lambda item: (-item[1], item[0]))
    return Run(
        run_id=run_id,
        bucket=storage.options.bucket,
        counts=dict(in_order(counts)),
        codes=dict(codes),
        facts=_facts(summary, rows.times()),
        pages=_names("index", "page", max(1, total)),
        problem_pages=_names("problems", "problems", problems) if problems and total > PAGE_ROWS else (),
    )


def _names(first: str, further: str, rows: int) -> tuple[str, ...]:
    pages = -(-rows // PAGE_ROWS)
    return (f"{first}.html", *(f"{further}-{number:04}.html" for number in range(2, pages + 1)))


def _contents(run: Run, rows: Rows) -> Iterator[tuple[str, list[Row]]]:
    """Each page with its rows; the first page comes last, so that all others are there when it is."""
    yield from zip(run.problem_pages, rows.pages(PAGE_ROWS, problems_only=True), strict=False)
    pages = zip(run.pages, rows.pages(PAGE_ROWS), strict=False)
    index = next(pages, (INDEX, []))
    yield from pages
    yield index


def _write(storage: Storage, run: Run, name: str, rows: list[Row], fetchers: ThreadPoolExecutor) -> None:
    key, made_of = _key(run.run_id, name), _digest(run, name, rows)
    if objects.metadata(storage, key).get(_MADE_OF) == made_of:
        return
    page = render(run, name, rows, _previews(storage, rows, fetchers))
    storage.put(key, page, content_type="text/html; charset=utf-8", metadata={_MADE_OF: made_of})


def _previews(storage: Storage, rows: list[Row], fetchers: ThreadPoolExecutor) -> list[Preview]:
    """The previews of rows; an output that several rows share is fetched once."""
    firsts = {row.shown.uri: row.shown for row in rows if row.shown}
    found = dict(zip(firsts, fetchers.map(partial(preview, storage), firsts.values()), strict=True))
    return [found[row.shown.uri] if row.shown else Preview() for row in rows]


def _digest(run: Run, name: str, rows: list[Row]) -> str:
    return hashlib.sha256(repr((assets_digest(), run, name, rows)).encode()).hexdigest()


def _remove_others(storage: Storage, run: Run) -> None:
    """Pages of an earlier sheet of this run, which had more of them."""
    written = {_key(run.run_id, name) for name in (*run.pages, *run.problem_pages)}
    for first in ("page-", "problems"):
        for key in objects.keys(storage, _key(run.run_id, first)):
            if key.endswith(".html") and key not in written:
                objects.remove(storage, key)


def _summary(storage: Storage, run_id: str) -> dict[str, Any]:
    """The content of `summary.json`; empty where the run has none."""
    key = _key(run_id, "summary.json")
    if not storage.exists(key):
        return {}
    summary: dict[str, Any] = json.loads(storage.get(storage.uri(key), max_bytes=MAX_SUMMARY_BYTES))
    return summary


def _facts(summary: Mapping[str, Any], times: tuple[str, str]) -> dict[str, str]:
    """The facts in the head besides the counts; unknown or zero values are left out."""
    begun, ended = (summary.get(name) or time for name, time in zip(("started_at", "finished_at"), times, strict=True))
    facts = {"took": _took(begun, ended)}
    for rank in ("p50", "p95"):
        if seconds := (summary.get("percentiles") or {}).get(rank):
            facts[f"a row, {rank}"] = f"{seconds:.1f} s"
    facts |= {"polls": f"{summary.get('polls') or 0:,}", "spent": f"{summary.get('spent') or 0:,.2f}"}
    return {name: value for name, value in facts.items() if value not in ("", "0", "0.00")}


def _took(first: str, last: str) -> str:
    """The time from one moment to another, in its two largest units; '' where one is missing."""
    if not (first and last):
        return ""
    seconds = round((datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds())
    hours, minutes = seconds // 3600, seconds // 60 % 60
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds % 60} s" if minutes else f"{seconds} s"


def _key(run_id: str, name: str) -> str:
    return f"runs/{run_id}/{name}"
