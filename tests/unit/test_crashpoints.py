"""The named points stand where they say, one line each, and nobody watches them in production."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from bide import crashpoints
from bide.crashpoints import POINTS, Point, reached

ROOT = Path(__file__).parents[2]

#: Uploads go out whole or in parts.
IN_TWO_PLACES = {"half_uploaded"}


def test_each_point_is_reached_at_one_place() -> None:
    """A point that nobody reaches proves nothing; a name that is no point would never be killed at."""
    sources = [path.read_text() for folder in ("bide", "tasks", "workers") for path in (ROOT / folder).rglob("*.py")]
    found = Counter(name for source in sources for name in re.findall(r"\breached\(\"(\w+)\"\)", source))

    assert found == {point: 2 if point in IN_TWO_PLACES else 1 for point in POINTS}


def test_nobody_watches() -> None:
    """Production code installs no watcher; only the fault tests' own module names the list."""
    assert crashpoints.watchers == []
    users = [path for folder in ("bide", "tasks", "workers", "config") for path in (ROOT / folder).rglob("*.py")]
    assert [
        path.name for path in users if "crashpoints import" in path.read_text() and "watchers" in path.read_text()
    ] == []


def test_a_watcher_is_called() -> None:
    """A watcher gets the name of the point, at once."""
    seen: list[Point] = []
    crashpoints.watchers.append(seen.append)
    try:
        reached("intent_written")
    finally:
        crashpoints.watchers.clear()

    assert seen == ["intent_written"]
