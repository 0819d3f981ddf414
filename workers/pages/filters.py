"""The filters of the list of jobs: what stands in its address and its form, as a search of the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from multidict import MultiMapping

from bide.contract import FailureCode, JobState
from bide.ledger.recent import Place, Wanted

#: Jobs on one page of the list, by default and at most.
LIMIT, MOST = 50, 500

#: The longest value of a filter [characters]: more than any search needs.
LONGEST = 300

#: The field for the tenant of a request, or the metadata of that name.
TENANT = "tenant"


@dataclass(frozen=True)
class Filters:
    """What an address asks for: `fields` as they stand in its form, `problems` with them in words."""

    fields: tuple[tuple[str, str], ...]
    wanted: Wanted
    limit: int = LIMIT
    behind: Place | None = None
    problems: tuple[str, ...] = ()

    def all(self, name: str) -> list[str]:
        """The values of one field."""
        return [value for field, value in self.fields if field == name]

    def first(self, name: str) -> str:
        """The first value of a field, '' where there is none."""
        return next(iter(self.all(name)), "")

    def address(self, *, behind: Place | None = None) -> str:
        """The address of the list with these filters, from the place on."""
        further = [("behind", str(behind))] if behind else []
        return "/?" + urlencode([*((name, value) for name, value in self.fields if name != "behind"), *further])


class _Reader:
    """Reads the fields one by one, and collects what is wrong with them."""

    def __init__(self, query: MultiMapping[str]) -> None:
        self._query = query
        self.problems: list[str] = []

    def texts(self, name: str) -> list[str]:
        found = [text for value in self._query.getall(name, []) if (text := value.strip())]
        if any(len(text) > LONGEST for text in found):
            self.problems.append(f"{name}: is longer than {LONGEST} characters")
        return [text for text in found if len(text) <= LONGEST]

    def text(self, name: str) -> str:
        return next(iter(self.texts(name)), "")

    def names(self, name: str, known: Sequence[str]) -> frozenset[str]:
        given = self.texts(name)
        if unknown := [each for each in given if each not in known]:
            self.problems.append(f"{name}: there is no {unknown[0]}; there are {', '.join(known)}")
        return frozenset(given) & frozenset(known)

    def moment(self, name: str, default: float) -> float:
        """A time in UTC, as `2026-11-22T01:30`."""
        if not (text := self.text(name)):
            return default
        try:
            at = datetime.fromisoformat(text)
            return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            self.problems.append(f"{name}: {text} is no time such as 2026-11-22T01:30")
            return default

    def metadata(self) -> Iterator[tuple[str, str]]:
        for text in self.texts("metadata"):
            name, equals, value = text.partition("=")
            if equals and name.strip():
                yield name.strip(), value.strip()
            else:
                self.problems.append(f"metadata: {text} is no name=value")

    def limit(self) -> int:
        text = self.text("limit")
        if not text:
            return LIMIT
        if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= MOST):
            self.problems.append(f"limit: {text} is no number from 1 to {MOST}")
            return LIMIT
        return int(text)

    def behind(self) -> Place | None:
        text = self.text("behind")
        try:
            return Place.parse(text) if text else None
        except ValueError:
            self.problems.append("behind: is no place in the list; begin with the latest")
            return None


def read(query: MultiMapping[str]) -> Filters:
    """The filters of an address. A wrong one is left out, and named among the problems."""
    reader = _Reader(query)
    wanted = Wanted(
        states=reader.names("state", [*JobState]),
        codes=reader.names("code", [*FailureCode]),
        provider=reader.text("provider"),
        account=reader.text("account"),
        operation=reader.text("operation"),
        run=reader.text("run"),
        words=tuple(reader.text("prompt").split()),
        tenant=reader.text(TENANT),
        metadata=tuple(reader.metadata()),
        since=reader.moment("since", 0.0),
        until=reader.moment("until", float("inf")),
    )
    limit, behind = reader.limit(), reader.behind()
    fields: Any = [(name, value.strip()) for name, value in query.items() if name in NAMES and value.strip()]
    return Filters(tuple(fields), wanted, limit, behind, tuple(reader.problems))


#: The fields of the form and of addresses.
NAMES = (
    *("prompt", "state", "code", "provider", "account", "operation", "run", TENANT, "metadata", "since", "until"),
    *("limit", "behind"),
)
