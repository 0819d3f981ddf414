"""JSON paths (RFC 9535) of a provider's file: parsed once by the library, walked here where they name one place."""

from __future__ import annotations

from typing import Any

from jsonpath_rfc9535 import JSONPathError, JSONPathQuery, compile  # noqa: A004 - the library's name for it
from jsonpath_rfc9535.selectors import IndexSelector, NameSelector

from bide.errors import UnreadableAnswerError


class JsonPath:
    """One path. A path with neither wildcard nor filter is walked by hand: a tenth of the library's time."""

    __slots__ = ("_query", "_steps", "text")

    def __init__(self, text: str) -> None:
        """Raise `ValueError` for a text that is no path."""
        try:
            self._query = compile(text)
        except (JSONPathError, RecursionError) as error:
            raise ValueError(f"is no JSON path: {str(error).partition(', line')[0]}") from None
        self.text = text
        self._steps = _steps(self._query)

    def __repr__(self) -> str:
        return self.text

    @property
    def steps(self) -> tuple[str | int, ...] | None:
        """Names and indexes to the one place that it names; None where it may find several."""
        return self._steps

    def first(self, body: Any) -> Any:
        """What stands there, the first where that is several; None where nothing does."""
        if self._steps is None:
            return next(iter(self.all(body)), None)
        for step in self._steps:
            if isinstance(step, str):
                body = body.get(step) if isinstance(body, dict) else None
            elif isinstance(body, list):
                body = body[step] if -len(body) <= step < len(body) else None
            else:
                return None
        return body

    def strict(self, body: Any) -> Any:
        """As `first`; raises `UnreadableAnswerError` where something else stands on the way than an object or list."""
        for step in self._steps or ():
            if not body:
                return None
            if isinstance(step, str) and isinstance(body, dict):
                body = body.get(step)
            elif isinstance(step, int) and isinstance(body, list):
                body = body[step] if -len(body) <= step < len(body) else None
            else:
                raise UnreadableAnswerError(f"{self.text}: a JSON {type(body).__name__} stands on the way")
        return body

    def all(self, body: Any) -> list[Any]:
        """All that it finds; raises `UnreadableAnswerError` for a body that is nested too deep to be searched."""
        if self._steps is not None:
            found = self.first(body)
            return [] if found is None else [found]
        try:
            return [node.value for node in self._query.find(body)]
        except (JSONPathError, RecursionError):
            raise UnreadableAnswerError(f"{self.text}: can't be searched for, the answer is nested too deep") from None


def _steps(query: JSONPathQuery) -> tuple[str | int, ...] | None:
    if not query.singular_query():
        return None
    found: list[str | int] = []
    for segment in query.segments:
        for selector in segment.selectors:
            if isinstance(selector, NameSelector):
                found.append(selector.name)
            elif isinstance(selector, IndexSelector):
                found.append(selector.index)
    return tuple(found)
