"""Writes the statements of days: a timer of each worker that has an object store, of which one at a time works."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from bide.ledger import Ledger
from bide.redis_errors import is_away
from bide.statements import Statements
from bide.storage import Storage

log = structlog.get_logger()

#: The lock of the process that writes; it ends by itself.
LOCK_KEY = "bide:statements:writer"

#: How often statements are written [seconds].
WRITE_SECONDS = 600.0


class StatementWriter:
    """A timer; a ledger or a store that is away is tried again the next time."""

    def __init__(self, ledger: Ledger, storage: Callable[[], Storage], *, deployment: str = "") -> None:
        self._ledger, self._storage, self._deployment = ledger, storage, deployment
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="statements", daemon=True)

    def start(self) -> None:
        """Start the timer."""
        self._thread.start()

    def stop(self) -> None:
        """End the timer; the process is stopping."""
        self._stop.set()

    def write(self) -> bool:
        """Write now, where no other process does; whether it was this one's turn."""
        taken = self._ledger.server.set(LOCK_KEY, "1", nx=True, ex=int(0.9 * WRITE_SECONDS))
        if taken:
            for day in Statements(self._ledger, self._storage(), deployment=self._deployment).write():
                log.warning(
                    "book.rebuilt",
                    day=day.day.isoformat(),
                    reaches=day.reaches,
                    accounts=list(day.accounts),
                    reason="the ledger lacked the book that a statement has",
                )
        return bool(taken)

    def _run(self) -> None:
        while not self._stop.wait(WRITE_SECONDS / 10):
            try:
                self.write()
            except Exception as error:  # of the store or of Redis: the books are there the next time
                if is_away(error):
                    log.warning("statements.ledger_away", reason=str(error))
                else:
                    log.warning("statements.not_written", reason=f"{type(error).__name__}: {error}"[:300])
