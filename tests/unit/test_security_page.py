"""docs/security.md: its list of dependencies is that of the pins, and the tests that it names are there."""

from __future__ import annotations

import re
import tomllib
from datetime import date
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text()

_NAME = re.compile(r"[A-Za-z0-9._-]+")
_PIN = re.compile(r"(?m)^([A-Za-z0-9._-]+)==([^\s;]+)")
_ROW = re.compile(r"(?m)^\| ([a-z0-9-]+) \| (\S+) \| (\d{4}-\d{2}) \| (\w+) \|$")


def normal(name: str) -> str:
    """A package's name as indexes spell it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def named() -> set[str]:
    """The packages that pyproject.toml names for callers and for all extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    found = {normal(match[0]) for each in lists for entry in each if (match := _NAME.match(entry))}
    return found - {normal(project["name"])}


def test_every_dependency_is_listed_with_its_pin() -> None:
    """A new package or a new version is not in use before it has been looked at."""
    pins = {normal(name): version for name, version in _PIN.findall((ROOT / "constraints.txt").read_text())}
    listed = {name: version for name, version, _, _ in _ROW.findall(PAGE)}

    assert len(listed) > 40
    assert listed == {name: pins[name] for name in named()}


def test_the_list_has_a_day() -> None:
    """It is no older than what it lists."""
    days = re.findall(r"\*\*Listed on (\d{4}-\d{2}-\d{2})", PAGE)

    assert len(days) == 1
    assert date.fromisoformat(days[0]).strftime("%Y-%m") >= max(month for _, _, month, _ in _ROW.findall(PAGE))


def test_the_tests_that_it_names_are_there() -> None:
    """Who reads that something is held finds what holds it."""
    files = re.findall(r"`(tests/[\w./-]+)`", PAGE)

    assert len(files) > 10
    assert [name for name in files if not (ROOT / name).exists()] == []
