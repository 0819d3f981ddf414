"""The callers' answers, and when each came: read all the time, by one clock that does not jump."""

from __future__ import annotations

import time
from collections.abc import Sequence

from tests.faults.chaos.contenders import CallerAnswer, Contender
from tests.faults.chaos.reader import Reader

#: Between two reads [seconds].
READ_SECONDS = 0.5


class Answers:
    """Reads answers from its making until `stop`."""

    def __init__(self, contender: Contender, names: Sequence[str]) -> None:
        self._contender = contender
        self._missing = list(names)
        self.by_name: dict[str, CallerAnswer] = {}
        #: When each answer was first seen [seconds since the epoch].
        self.seen_at: dict[str, float] = {}
        self._reader = Reader("answers", self._read, every_seconds=READ_SECONDS)

    def wait(self, *, patience_seconds: float) -> None:
        """Returns when every caller has an answer, or no further one came for so long."""
        number, until = len(self.by_name), time.monotonic() + patience_seconds
        while self._missing and time.monotonic() < until:
            time.sleep(READ_SECONDS)
            if len(self.by_name) > number:
                number, until = len(self.by_name), time.monotonic() + patience_seconds

    def stop(self) -> None:
        self._reader.stop()

    def _read(self) -> None:
        found = self._contender.answers(self._missing)
        now = time.time()
        self.by_name |= found
        self.seen_at |= dict.fromkeys(found, now)
        self._missing = [name for name in self._missing if name not in found]
