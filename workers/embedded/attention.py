"""Signals as questions: a handler only counts, and the code asks where it may be stopped, so nothing is half done."""

from __future__ import annotations

import signal
import time
from types import FrameType

#: What ends the stack in good order.
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

#: How often a wait checks for signals [seconds].
BLINK_SECONDS = 0.05


class Stopped(Exception):  # noqa: N818 - no error: the operator ends the stack
    """A signal asked for the end; `signum` is the first one."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.signum = signum


class Attention:
    """The signals that came since `listen`."""

    def __init__(self) -> None:
        self._came: list[int] = []

    def listen(self) -> None:
        """Take the signals from now on."""
        for signum in STOPPING:
            signal.signal(signum, self._note)

    @property
    def hurried(self) -> bool:
        """Whether a second signal came: the operator does not want to wait."""
        return len(self._came) > 1

    def check(self) -> None:
        """Raise `Stopped` if a signal came."""
        if self._came:
            raise Stopped(self._came[0])

    def sleep(self, seconds: float = BLINK_SECONDS) -> None:
        """Wait; raises `Stopped` at most a blink after a signal."""
        until = time.monotonic() + seconds
        self.check()
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, BLINK_SECONDS))
            self.check()

    def _note(self, signum: int, _: FrameType | None) -> None:
        self._came.append(signum)
