"""Figures as Markdown: tables of medians, and their place between two lines of a page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from bench.records import Summary

#: What is written stands between such lines.
BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"

#: A line of a table: its label, and what it tells of a column.
Row = tuple[str, Callable[[Summary], str]]

NOTHING = "-"


def table(columns: Sequence[Summary], rows: Sequence[Row], *, headings: Sequence[str] | None = None) -> str:
    """A column for each summary."""
    names = headings or [one.contender for one in columns]
    lines = [["", *names], ["---", *("---:" for _ in columns)]]
    lines += [[label, *map(tell, columns)] for label, tell in rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def value(name: str, *, scale: float = 1.0, digits: int = 2, spanned: bool = False) -> Callable[[Summary], str]:
    """Tells the median of a figure, and least and most of all runs where that is asked for."""

    def tell(one: Summary) -> str:
        found, span = one.median(name), one.span(name)
        if found is None:
            return NOTHING
        text = f"{found * scale:,.{digits}f}"
        return f"{text} ({' to '.join(f'{end * scale:,.{digits}f}' for end in span)})" if spanned and span else text

    return tell


def spread(name: str) -> Callable[[Summary], str]:
    """Tells p50, p95 and p99 of some times [seconds]."""

    def tell(one: Summary) -> str:
        found = [one.median(f"{name}_{part}") for part in ("p50", "p95", "p99")]
        return NOTHING if None in found else " / ".join(f"{each:.2f}" for each in found)

    return tell


def most(name: str) -> Callable[[Summary], str]:
    """Tells the most of all runs, of what should never be."""

    def tell(one: Summary) -> str:
        found, span = one.median(name), one.span(name)
        return NOTHING if found is None else f"{span[1] if span else found:,.0f}"

    return tell


def multiple(name: str, first: Summary | None) -> Callable[[Summary], str]:
    """Tells a figure as a multiple of the same one of `first`."""

    def tell(one: Summary) -> str:
        found, base = one.median(name), first.median(name) if first else None
        return f"{found / base:.2f}" if found is not None and base else NOTHING

    return tell


def of_other(others: Mapping[str, Summary], tell: Callable[[Summary], str]) -> Callable[[Summary], str]:
    """Tells of the same contender in another scenario."""
    return lambda one: tell(others[one.contender]) if one.contender in others else NOTHING


def written(page: str, text: str, *, name: str = "bench") -> str:
    """`page` with `text` between the two lines of that name; raises `ValueError` where a line is missing."""
    first, last = (mark.replace("bench", name) for mark in (BEGIN, END))
    before, begin, rest = page.partition(first)
    _, end, after = rest.partition(last)
    if not (begin and end):
        raise ValueError(f"the page has no lines {first} and {last}")
    return f"{before}{first}\n\n{text}\n\n{last}{after}"
