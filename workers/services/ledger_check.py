"""What each worker does for the ledger as a whole: it announces to clients how safe a write has to be."""

from __future__ import annotations

import threading

import redis
import structlog

from bide.ledger.safety import Safety, announce
from bide.redis_errors import words_of

log = structlog.get_logger()

#: Between two looks at the ledger [seconds].
LOOK_SECONDS = 5.0


class LedgerCheck:
    """A thread of its own; a Redis that is away is asked again the next time."""

    def __init__(self, server: redis.Redis, safety: Safety) -> None:
        self._server, self._safety = server, safety
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ledger-check", daemon=True)

    def start(self) -> None:
        """Look now, and again every few seconds."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()

    def look(self) -> None:
        """Announce how safe a write has to be: after a failover, or a loss, the ledger may lack it."""
        announce(self._server, self._safety)

    def _run(self) -> None:
        while True:
            try:
                self.look()
            except redis.RedisError as error:
                log.warning("ledger.not_looked_at", reason=words_of(error))
            if self._stop.wait(LOOK_SECONDS):
                return
