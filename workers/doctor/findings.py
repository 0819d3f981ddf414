"""What a check says: how it stands, in words, and what to do about it. No secret stands in any of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from config.logging import without_secrets


class Level(StrEnum):
    """How bad it is; a problem alone makes the command fail."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """One line of the report. `remedy` is '' where there is nothing to do."""

    check: str
    level: Level
    says: str
    remedy: str = ""


Check = Callable[[], Iterable[Finding]]


def ok(check: str, says: str) -> Finding:
    """It is as it should be."""
    return Finding(check, Level.OK, says)


def warning(check: str, says: str, remedy: str) -> Finding:
    """It works, and may cost something one day."""
    return Finding(check, Level.WARNING, says, remedy)


def problem(check: str, says: str, remedy: str) -> Finding:
    """A promise does not hold, now or at the next restart."""
    return Finding(check, Level.PROBLEM, says, remedy)


def run(name: str, check: Check) -> Iterator[Finding]:
    """All that one check finds, without secrets; a check that breaks is a finding too, and stops no other."""
    try:
        for found in check():
            yield Finding(found.check, found.level, without_secrets(found.says), without_secrets(found.remedy))
    except Exception as error:
        reason = without_secrets(f"{type(error).__name__}: {error}")
        yield problem(name, f"the check itself broke: {reason[:300]}", "report this, with the version of bide")
