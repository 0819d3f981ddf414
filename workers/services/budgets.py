"""The budgets of a process: its file, read again when it changes, and which of them a job must fit into."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from bide.ledger import Record
from bide.money.budgets import Budget
from bide.settings.model import Settings
from bide.settings.problems import ConfigurationProblems
from config.budgets import file_of, load_for

log = structlog.get_logger()

#: How often the file is looked at, at most [seconds].
LOOK_SECONDS = 1.0


class Budgets:
    """Used from all threads. A file that is wrong by now changes nothing: the last good one stays in force."""

    def __init__(
        self, settings: Settings, *, file: Path | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings, self._file, self._clock = settings, file or file_of(settings), clock
        self._lock = threading.Lock()
        self._budgets: tuple[Budget, ...] = ()
        self._seen: tuple[int, int] | None = None
        self._looked_at = float("-inf")

    def load(self) -> None:
        """Read the file; raises `ConfigurationProblems`."""
        with self._lock:
            self._seen = self._mark()
            self._budgets = load_for(self._settings, self._file)

    def current(self) -> tuple[Budget, ...]:
        """All budgets, as the file has them now."""
        with self._lock:
            now = self._clock()
            if now - self._looked_at >= LOOK_SECONDS:
                self._looked_at = now
                self._look()
            return self._budgets

    def over(self, record: Record, lane: str) -> tuple[Budget, ...]:
        """Those that a purchase of a job must fit into."""
        tenant, account = record.text("tenant"), str(record.account)
        return tuple(each for each in self.current() if each.covers(tenant=tenant, account=account, lane=lane))

    def _look(self) -> None:
        mark = self._mark()
        if mark == self._seen:
            return
        self._seen = mark
        try:
            self._budgets = load_for(self._settings, self._file)
        except ConfigurationProblems as problems:
            log.error("budgets.refused", reason=str(problems), remedy="correct the file; the last good one is in force")

    def _mark(self) -> tuple[int, int]:
        """What changes with the file; zeros where there is none."""
        try:
            stat = self._file.stat()
        except OSError:
            return 0, 0
        return stat.st_mtime_ns, stat.st_size
