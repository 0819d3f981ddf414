"""A filter for Flower's log while its broker is away: each line once a minute, instead of every second."""

from __future__ import annotations

import logging
import time

#: How often a line may come again [seconds].
REPEAT_SECONDS = 60.0

#: The loggers of Flower's receiver of events, and of kombu's consumer of them.
LOGGERS = ("flower.events", "kombu.mixins")


class RepeatFilter(logging.Filter):
    """Lets a line through where the last one with the same format is a minute old."""

    def __init__(self) -> None:
        super().__init__()
        self._logged_at: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to log it."""
        now = time.monotonic()
        if now - self._logged_at.get(record.msg, -REPEAT_SECONDS) < REPEAT_SECONDS:
            return False
        self._logged_at[record.msg] = now
        return True


def filter_repeats() -> None:
    """Give each of the loggers a filter of its own."""
    for name in LOGGERS:
        logging.getLogger(name).addFilter(RepeatFilter())
