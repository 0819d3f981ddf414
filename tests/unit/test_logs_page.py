"""docs/logs.md and the code name the same events, and no line builds its name of parts."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tasks.steps.fail import OTHERWISE

ROOT = Path(__file__).parents[2]

LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}

NAME = re.compile(r"[a-z]+\.[a-z_]+")


def sources() -> Iterator[Path]:
    """All of the product's code."""
    for top in ("bide", "config", "tasks", "workers"):
        yield from (ROOT / top).rglob("*.py")


def names_of(call: ast.Call) -> Iterator[str]:
    """The event names that a call may log, '?' for one that is not written out; nothing where it logs none."""
    function = call.func
    logs = isinstance(function, ast.Attribute) and function.attr in LEVELS and ast.unparse(function.value) == "log"
    step_logs = isinstance(function, ast.Name) and function.id in ("StepLog", "say")
    if not (logs or step_logs) or not call.args:
        return
    first = call.args[0]
    for each in (first.body, first.orelse) if isinstance(first, ast.IfExp) else (first,):
        known = isinstance(each, ast.Constant) and isinstance(each.value, str)
        name = each.value if isinstance(each, ast.Constant) and known else "?"
        if logs or NAME.fullmatch(str(name)):
            yield str(name)


def events() -> set[str]:
    """What the code can log."""
    calls = (node for path in sources() for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
    return {name for call in calls for name in names_of(call)}


def rows() -> list[str]:
    """The first cells of the page's tables of events."""
    tables = (ROOT / "docs" / "logs.md").read_text().partition("## All events")[2]
    return [line.split("|")[1] for line in tables.splitlines() if line.startswith("| `")]


def test_every_event_stands_on_the_page_and_the_page_names_no_other() -> None:
    """Alerts and searches that are written by the page find what the code logs."""
    named = [name for row in rows() for name in re.findall(r"`([^`]+)`", row)]
    assert sorted(named) == sorted(events())


def test_the_words_of_a_step_stand_on_the_page() -> None:
    """Each verb and each outcome that a line of a step can have is explained."""
    page = (ROOT / "docs" / "logs.md").read_text().partition("## All events")[0]
    code = "".join(path.read_text() for path in (ROOT / "tasks").rglob("*.py") if path.stem != "round")
    outcomes = set(re.findall(r'outcome="(\w+)"', code)) | set(re.findall(r'_note_outcome\("(\w+)"', code))
    outcomes |= set(OTHERWISE.values())
    assert len(outcomes) > 10
    assert {word for word in outcomes if f"`{word}`" not in page} == set()
