"""One page of a contact sheet: a file of HTML that needs nothing besides itself, made by a template that escapes."""

from __future__ import annotations

import hashlib
import posixpath
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FunctionLoader, StrictUndefined, Template
from markupsafe import Markup

from bide.bulk.sheet.pictures import Preview
from bide.bulk.sheet.rows import SUCCEEDED, Row
from bide.contract import Output

#: The states in the order in which they are counted; others come behind them.
STATES = ("succeeded", "failed", "unconfirmed", "canceled", "skipped")

#: Pages shown around the current one, besides the first and the last.
NEIGHBOURS = 2


@dataclass(frozen=True)
class Run:
    """What all pages of a run's contact sheet share."""

    run_id: str
    bucket: str
    counts: Mapping[str, int]
    codes: Mapping[str, int]
    #: Further facts for the head, by name: a duration, percentiles.
    facts: Mapping[str, str]
    #: The pages of all rows, and of those that did not succeed, by file name.
    pages: Sequence[str]
    problem_pages: Sequence[str]

    @property
    def rows(self) -> int:
        return sum(self.counts.values())

    @property
    def problems(self) -> int:
        """Rows that did not succeed."""
        return self.rows - self.counts.get(SUCCEEDED, 0)


def render(run: Run, name: str, rows: Sequence[Row], previews: Sequence[Preview]) -> bytes:
    """The page with the file name `name`."""
    siblings = run.problem_pages if name in run.problem_pages else run.pages
    tiles = [_tile(run, row, preview) for row, preview in zip(rows, previews, strict=True)]
    text = _template().render(
        run=run,
        states=_share(run),
        tiles=tiles,
        shown=_counted(rows),
        problems=siblings is run.problem_pages,
        number=siblings.index(name) + 1,
        siblings=siblings,
        pager=_pager(siblings, siblings.index(name)),
        script=Markup(_asset("sheet.js")),  # noqa: S704 - a file of ours, and the policy names it by its digest
        script_digest=_digest(_asset("sheet.js")),
    )
    return text.encode()


def _tile(run: Run, row: Row, preview: Preview) -> dict[str, Any]:
    first = row.shown
    return {
        "row": row,
        "preview": preview,
        "about": _about(first) if first else "",
        "href": _href(run, first) if first else None,
        "links": [{"href": _href(run, output), "uri": output.uri} for output in row.outputs],
    }


def _about(output: Output) -> str:
    size = f"{output.width} × {output.height}" if output.width and output.height else ""  # noqa: RUF001 - as it is set
    return " · ".join(filter(None, (size, _bytes(output.size))))


def _href(run: Run, output: Output) -> str | None:
    """The relative address of the original, good on disk and in the store; None for another bucket."""
    if output.bucket != run.bucket:
        return None
    return "./" + quote(posixpath.relpath(f"/{output.key}", start=f"/runs/{run.run_id}"))


def _bytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{max(1, round(size / 1e3))} kB"


def _counted(rows: Sequence[Row]) -> dict[str, int]:
    return dict(in_order({row.state: sum(other.state == row.state for other in rows) for row in rows}))


def _share(run: Run) -> list[dict[str, Any]]:
    """Each state with its number and its percentage of all rows."""
    return [
        {"state": state, "count": count, "percent": f"{100 * count / run.rows:.2f}"}
        for state, count in in_order(run.counts)
        if count
    ]


def in_order(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """The states in the order in which they are shown."""
    places = {state: at for at, state in enumerate(STATES)}
    return sorted(counts.items(), key=lambda item: (places.get(item[0], len(STATES)), item[0]))


def _pager(names: Sequence[str], at: int) -> list[dict[str, Any] | None]:
    """The pages to offer; None for a gap."""
    shown = sorted(
        {0, len(names) - 1} | {n for n in range(at - NEIGHBOURS, at + NEIGHBOURS + 1) if n in range(len(names))}
    )
    entries: list[dict[str, Any] | None] = []
    for before, n in zip([-1, *shown], shown, strict=False):
        entries += ([None] if n > before + 1 else []) + [{"number": n + 1, "name": names[n], "here": n == at}]
    return entries


@cache
def _template() -> Template:
    environment = Environment(
        loader=FunctionLoader(_asset), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["bytes"] = _bytes
    return environment.get_template("sheet.html")


@cache
def _asset(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")


def _digest(script: str) -> str:
    """The digest by which the page's policy allows its one script; no other runs, whatever a prompt holds."""
    return b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")


def assets_digest() -> str:
    """A digest that changes with the design of the pages."""
    return hashlib.sha256("".join(map(_asset, ("sheet.html", "sheet.css", "sheet.js"))).encode()).hexdigest()
