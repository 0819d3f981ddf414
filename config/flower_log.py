"""What Flower logs while its broker is away: each line once a minute, instead of every second."""

from __future__ import annotations

import logging
import time

#: How often a line may come again [seconds].
AGAIN_SECONDS = 60.0

#: Whose lines these are: those of Flower's receiver of events, and of kombu's way of consuming them.
LOGGERS = ("flower.events", "kombu.mixins")


class Seldom(logging.Filter):
    """Lets a line through where the last one of its kind is long past."""

    def __init__(self) -> None:
        super().__init__()
        self._said_at: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to say it."""
        now = time.monotonic()
        if now - self._said_at.get(record.msg, -AGAIN_SECONDS) < AGAIN_SECONDS:
            return False
        self._said_at[record.msg] = now
        return True


def calm() -> None:
    """Have the loggers say what repeats itself once a minute."""
    for name in LOGGERS:
        logging.getLogger(name).addFilter(Seldom())
