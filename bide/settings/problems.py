"""Problems of the configuration, reported all at once and without a single secret."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pydantic import ValidationError

from bide.settings.variables import Leaf, Path, find, variable_name


@dataclass(frozen=True)
class Problem:
    """One problem: the variable's full name, what is wrong with it, what to set instead."""

    variable: str
    wrong: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.variable}: {self.wrong}; {self.remedy}"


class ConfigurationProblems(Exception):  # noqa: N818 - several at once, never a single error
    """The configuration can't be used; the message has a line for each problem."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        super().__init__("\n".join([f"{count} with the configuration:", *(f"  {line}" for line in self.problems)]))


def problems_of(error: ValidationError, known: tuple[Leaf, ...]) -> Iterator[Problem]:
    """The problems of a validation error, by variable; values are left out, since they may be secret."""
    for details in error.errors(include_input=False, include_url=False):
        path: Path = tuple(part for part in details["loc"] if isinstance(part, str))
        # Errors of the other type are about a default that builds on a value with a problem of its own.
        if leaf := details["type"] != "default_factory_not_called" and find(known, path):
            yield Problem(variable_name(path), must(details["msg"]), f"set it to {leaf.field.description}")


def must(message: str) -> str:
    """A message of pydantic as the rest of a sentence about a variable or field."""
    return message.removeprefix("Value error, ").replace("Input should", "must").replace("String should", "must")
