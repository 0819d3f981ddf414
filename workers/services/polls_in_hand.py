"""How many polls a process has under way: no more than it has connections for, however many rounds run at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Share:
    """A round's part of the polls that a process may have in hand."""

    def __init__(self, hand: PollsInHand, polls: int) -> None:
        self._hand, self.polls = hand, polls

    def give_back(self, polls: int) -> None:
        """So many of them are not needed, or no more: other rounds may have them."""
        self.polls -= polls
        self._hand.free(polls)


class PollsInHand:
    """Shared by all threads of a process; `most` polls are under way at once."""

    def __init__(self, most: int) -> None:
        self._free = most
        self._lock = threading.Lock()

    @contextmanager
    def share(self, most: int) -> Iterator[Share]:
        """At most `most` polls for one round, none where all are in hand; what it still has at its end is given back.

        A round gets half of what is free, so that rounds of other accounts find some beside a slow provider's.
        """
        with self._lock:
            polls = min(most, (self._free + 1) // 2)
            self._free -= polls
        share = Share(self, polls)
        try:
            yield share
        finally:
            share.give_back(share.polls)

    def free(self, polls: int) -> None:
        """So many more may be taken in hand."""
        with self._lock:
            self._free += polls
