"""When children that ended are started again: after pauses that grow, and begin anew after a long life."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from bide.polling.backoff import Backoff
from workers.embedded.child import Child
from workers.embedded.terminal import say

#: The pauses before a child is started again [seconds].
PAUSES = Backoff(first_seconds=1.0, factor=2.0, cap_seconds=60.0)

#: A child that lived for as long has ended for a new reason [seconds].
STEADY_SECONDS = 120.0


@dataclass
class _End:
    """How often a child has ended in a row, and when it is started again."""

    tries: int
    due_at: float


class Restarts:
    """Decides for each child that ended, and says so in one line."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ends: dict[str, _End] = {}
        self._noted: dict[str, Child] = {}

    def is_due(self, child: Child) -> bool:
        """Whether to start it again now."""
        if self._noted.get(child.name) is not child:
            self._note(child)
        return self._clock() >= self._ends[child.name].due_at

    def _note(self, child: Child) -> None:
        child.kill()  # what is left of its own children
        now, last = self._clock(), self._ends.get(child.name)
        tries = 0 if last is None or now - child.started_at >= STEADY_SECONDS else last.tries + 1
        pause = PAUSES.delay(tries)
        self._ends[child.name], self._noted[child.name] = _End(tries, now + pause), child
        say(child.name, f"{child.how_it_ended()}; it is started again in {pause:g} s, its log is {child.log}")
