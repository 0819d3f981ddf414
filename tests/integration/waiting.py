"""Waiting by condition: as long as it takes, until a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

#: How long anything may take here that takes a few seconds on an idle machine [seconds].
PATIENCE_SECONDS = 45.0


def eventually(condition: Callable[[], T | None], *, what: str, within_seconds: float = PATIENCE_SECONDS) -> T:
    """The first true value of `condition`; raises `AssertionError` when it stays false."""
    until = time.monotonic() + within_seconds
    while True:
        if found := condition():
            return found
        if time.monotonic() > until:
            raise AssertionError(f"not within {within_seconds:g} s: {what} (last: {found!r})")
        time.sleep(0.05)
