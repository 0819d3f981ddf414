"""Validation errors of a request as a person reads them: with the request's own names, and without."""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Any

from pydantic import ValidationError

#: The most problems of one request that are shown without its names, and the most parts of a place.
MOST_SHOWN, LONGEST_PLACE = 10, 4


def readable(error: ValidationError) -> str:
    """The problems as one line that a person can act on, without the wrong values."""
    return "; ".join(
        f"{'.'.join(map(str, problem['loc'])) or 'request'}: {_advice(problem)}"
        for problem in error.errors(include_input=False, include_url=False)
    )


def redacted(error: ValidationError, raw: object, *, known: Container[str]) -> str:
    """The problems without words of the request: a name outside of `known` becomes its number, counted from 1."""
    problems: list[Any] = error.errors(include_input=False, include_url=False)
    shown = [
        f"{'.'.join(_place(problem['loc'], raw, known)) or 'request'}: {_redacted_advice(problem, raw)}"
        for problem in problems[:MOST_SHOWN]
    ]
    rest = len(problems) - len(shown)
    return "; ".join([*shown, f"and {rest} more"] if rest else shown)


def _place(loc: tuple[int | str, ...], raw: Any, known: Container[str]) -> Iterator[str]:
    """The way to a field. A part of `loc` that `raw` lacks is pydantic's own name for a branch, and is left out."""
    for part in loc[:LONGEST_PLACE]:
        if isinstance(part, int) or part in known:
            yield str(part)
        elif isinstance(raw, dict) and part in raw:
            yield f"field {list(raw).index(part) + 1}"
        raw = _inside(raw, part)


def _inside(raw: Any, part: int | str) -> Any:
    within = part in raw if isinstance(raw, dict) else isinstance(raw, list) and part in range(len(raw))
    return raw[part] if within else raw


def _advice(problem: Any) -> str:
    advice = {
        "extra_forbidden": "is not a known field; check the spelling",
        "missing": "is required",
    }
    return advice.get(problem["type"], str(problem["msg"]).removeprefix("Value error, "))


def _redacted_advice(problem: Any, raw: object) -> str:
    """The advice without quotes: a model's own advice may quote a name or value, which its context lists, too."""
    advice = _advice(problem)
    quoted = [value for value in problem.get("ctx", {}).values() if isinstance(value, str) and value]
    for word in {*quoted} & _words(raw) if quoted else ():
        advice = advice.replace(word, "a field")
    return advice


def _words(value: object) -> set[str]:
    """Every name and text of a request."""
    found, left = set[str](), [value]
    while left:
        match left.pop():
            case str() as text:
                found.add(text)
            case dict() as names:
                left += [*names, *names.values()]
            case list() as entries:
                left += entries
    return found
