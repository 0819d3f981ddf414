"""Validation errors of a request as a person reads them: with the request's own names, and without."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterator
from typing import Any

from pydantic import ValidationError

from bide.spelling import nearest

#: The most problems of one request that are shown without its names, and the most parts of a place.
MOST_SHOWN, LONGEST_PLACE = 10, 4

#: The form of the names of providers, operations, accounts and tenants, and what it is in words.
NAME_PATTERN = r"^[a-z0-9][a-z0-9_.-]*$"
NAME_FORM = "must be small letters, digits, '_', '.' and '-', and begin with a letter or digit"

#: The most names of an object that are compared with the known ones.
MOST_NAMES = 1000


def readable(error: ValidationError, raw: object, *, known: Collection[str]) -> str:
    """The problems as one line that a person can act on, without the wrong values. `known` are the right names."""
    return "; ".join(
        f"{'.'.join(map(str, problem['loc'])) or 'request'}: {_advice(problem, raw, known)}"
        for problem in error.errors(include_input=False, include_url=False)
    )


def redacted(error: ValidationError, raw: object, *, known: Collection[str], root: str = "") -> str:
    """The problems without words of the request: a name outside of `known` becomes its number, counted from 1.

    `root`: the name that each place begins with.
    """
    problems: list[Any] = error.errors(include_input=False, include_url=False)
    shown_names = {*known, root} if root else known
    shown = [
        f"{'.'.join(_place(problem['loc'], raw, shown_names)) or 'request'}: {_redacted_advice(problem, raw, known)}"
        for problem in problems[:MOST_SHOWN]
    ]
    rest = len(problems) - len(shown)
    return "; ".join([*shown, f"and {rest} more"] if rest else shown)


def missing(error: ValidationError) -> set[str]:
    """The names of the fields that are required and are not there."""
    return {str(problem["loc"][-1]) for problem in error.errors(include_input=False) if problem["type"] == "missing"}


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


def _advice(problem: Any, raw: object, known: Collection[str], *, named: bool = True) -> str:
    """The advice for one problem; not `named`: a name that only the request has is its number."""
    if problem["type"] == "extra_forbidden":
        meant = nearest(str(problem["loc"][-1]), known)
        return f"is not a known field; did you mean {meant}?" if meant else "is not a known field; check the spelling"
    if problem["type"] == "missing":
        field = problem["loc"][-1]
        given = misspelt(_parent(raw, problem["loc"]), field, known)
        shown = given and (given[0] if named else f"field {given[1]}")
        return f"is required; {shown} was given: did you mean {field}?" if shown else "is required"
    if problem["type"] == "string_pattern_mismatch" and problem["ctx"]["pattern"] == NAME_PATTERN:
        return NAME_FORM
    return str(problem["msg"]).removeprefix("Value error, ")


def misspelt(given: object, field: str, known: Collection[str]) -> tuple[str, int] | None:
    """The name in `given` that `field` is misspelt as, and its number, counted from 1; None where there is none."""
    names = [*given] if isinstance(given, dict) else []
    near = ((name, at) for at, name in enumerate(names[:MOST_NAMES], start=1) if name not in known)
    return next(((name, at) for name, at in near if isinstance(name, str) and nearest(name, known) == field), None)


def _parent(raw: object, loc: tuple[int | str, ...]) -> object:
    """The object in which a place lies."""
    for part in loc[:-1]:
        raw = _inside(raw, part)
    return raw


def _redacted_advice(problem: Any, raw: object, known: Collection[str]) -> str:
    """The advice without quotes: a model's own advice may quote a name or value, which its context lists, too."""
    advice = _advice(problem, raw, known, named=False)
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
