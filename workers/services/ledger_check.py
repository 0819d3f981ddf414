"""Whether the ledger is the one that it was: each worker looks every few seconds, and buys nothing on another one.

It also announces to clients how safe a write has to be.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic

import redis
import structlog

from bide.errors import StorageError
from bide.ledger import Ledger
from bide.ledger.identity import REMEDY, KnownLedger, give_id, mismatch, read_id
from bide.ledger.safety import DISK, announce
from bide.redis_errors import words_of

log = structlog.get_logger()

#: Between two looks at the ledger, and between two log lines about one that is not known [seconds].
LOOK_SECONDS, LOG_AGAIN_SECONDS = 5.0, 60.0


class LedgerCheck:
    """A thread of its own. What it finds stands in `ledger.identity`; a Redis that is away says nothing new.

    `known` opens what the object store knows, once it is needed.
    """

    def __init__(self, ledger: Ledger, known: Callable[[], KnownLedger]) -> None:
        self._ledger, self._identity, self._open = ledger, ledger.identity, known
        self._known: KnownLedger | None = None
        self._logged_at = 0.0
        self._asked, self._stopping, self._buys = threading.Event(), False, False
        self._thread = threading.Thread(target=self._run, name="ledger-check", daemon=True)

    def start(self, *, buys: bool) -> None:
        """Look now, and again every few seconds; a process that `buys` nothing only announces."""
        self._buys = buys
        self._thread.start()

    @property
    def refusal(self) -> str:
        """Why this process buys nothing on its ledger; '' where it does, or never buys."""
        return self._identity.refusal if self._buys else ""

    def stop(self) -> None:
        """End the thread."""
        self._stopping = True
        self._asked.set()

    def doubt(self) -> None:
        """A submit has met another ledger: look now."""
        self._asked.set()

    def look(self) -> None:
        """Compare the ledger's id with the known one, and announce how safe a write has to be."""
        found = read_id(self._ledger.server)
        if not self._identity.expected or self._identity.refusal or found != self._identity.expected:
            self._compare(found)
        if not self._identity.refusal:
            announce(self._ledger.server, self._ledger.executor.safety or DISK)

    def _compare(self, found: str) -> None:
        """Look into the object store, too: a ledger that is known nowhere is new, and gets an id."""
        known = (self._known or self._opened()).read()
        if not known:
            found = known = give_id(self._ledger.server)
            self._opened().write(known)
        refusal = mismatch(found, known)
        returned = bool(self._identity.refusal) and self._identity.looked and not refusal
        self._identity.note(known, refusal)
        if refusal and (not self._logged_at or monotonic() - self._logged_at >= LOG_AGAIN_SECONDS):
            self._logged_at = monotonic()
            log.error("ledger.unknown", reason=refusal, remedy=REMEDY)
        if returned:
            self._logged_at = 0.0
            log.info("ledger.known", ledger=known)

    def _opened(self) -> KnownLedger:
        if self._known is None:
            self._known = self._open()
        return self._known

    def _run(self) -> None:
        while not self._stopping:
            self._asked.clear()
            self._try()
            self._asked.wait(LOOK_SECONDS)

    def _try(self) -> None:
        try:
            if self._buys:
                self.look()
            else:
                announce(self._ledger.server, self._ledger.executor.safety or DISK)
        except redis.RedisError as error:
            log.warning("ledger.not_looked_at", reason=words_of(error))
        except StorageError as error:
            if not self._identity.looked:
                log.warning("ledger.not_looked_at", reason=str(error)[:300])
        except Exception:  # whatever it is, what was known stands
            log.exception("ledger.check_broke")
