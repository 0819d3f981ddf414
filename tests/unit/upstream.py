"""The README of Celery's patches, for the tests that hold its entries to the installed libraries."""

from __future__ import annotations

import re
from pathlib import Path

README = Path(__file__).parents[2] / "workers" / "celery_patches" / "README.md"

#: Its heading without an upstream function: what to do when a test fails.
GUIDE = "When an upgrade breaks the test"


def entries() -> set[str]:
    """The names of all changes that the README lists."""
    return set(re.findall(r"(?m)^## (.+)$", README.read_text(encoding="utf-8"))) - {GUIDE}


def read(entry: str) -> str:
    """The advice of a test that fails."""
    assert entry in entries(), f"{README} has no entry {entry!r}"
    return f"read '## {entry}' and '## {GUIDE}' in workers/celery_patches/README.md"
