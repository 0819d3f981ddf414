"""Whether the ledger is the one that it was: each worker looks every few seconds, and buys nothing on another one.

It also announces to clients how safe a write has to be.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from time import monotonic

import redis
import structlog

from bide.errors import LedgerAwayError, StorageError
from bide.ledger import Ledger
from bide.ledger.identity import REMEDY, KnownLedger, LedgerState, Look, give_id, mismatch
from bide.ledger.safety import DISK, announce
from bide.redis_errors import words_of

log = structlog.get_logger()

#: Between two looks at the ledger, and between two log lines about one that is not known [seconds].
LOOK_SECONDS, LOG_AGAIN_SECONDS = 5.0, 60.0


class LedgerCheck:
    """A thread of its own. What it finds stands in `ledger.identity`; a Redis that is away says nothing new.

    `known` opens what the object store knows, once it is needed. `receipts`: where they are written, '' for nowhere.
    """

    def __init__(self, ledger: Ledger, known: Callable[[], KnownLedger], *, receipts: str = "") -> None:
        self._receipts = receipts
        self._ledger, self._identity, self._open = ledger, ledger.identity, known
        self._known: KnownLedger | None = None
        self._logged_at, self._kept_at = 0.0, 0.0
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
        """Compare the ledger with what is known of it, and announce how safe a write has to be."""
        known, look = LedgerState(self._identity.expected, self._identity.seen_at), None
        if known.id and not self._identity.refusal:
            look = self._look_for(known)
        if look is None or mismatch(look.state, known):
            known = self._known_elsewhere(known)
            look = self._look_for(known)
        self._note(known, look)
        if not self._identity.refusal:
            self._announce()
        if look.keeps:
            self._keep()

    def _announce(self) -> None:
        announce(self._ledger.server, self._ledger.executor.safety or DISK, receipts=self._receipts)

    def _look_for(self, known: LedgerState) -> Look:
        return self._ledger.executor.look(known.id, known.looked_at)

    def _known_elsewhere(self, ours: LedgerState) -> LedgerState:
        """What the object store knows of the ledger; one that is known nowhere is new, and gets an id."""
        known = self._opened().read()
        if not known.id:
            known = LedgerState(give_id(self._ledger.server))
            self._opened().write(known)
        return replace(known, looked_at=max(known.looked_at, ours.looked_at)) if known.id == ours.id else known

    def _note(self, known: LedgerState, look: Look) -> None:
        refusal = mismatch(look.state, known)
        returned = bool(self._identity.refusal) and self._identity.looked and not refusal
        seen_at = look.state.looked_at if look.safe and not refusal else known.looked_at
        self._identity.note(known.id, seen_at, refusal)
        if refusal and (not self._logged_at or monotonic() - self._logged_at >= LOG_AGAIN_SECONDS):
            self._logged_at = monotonic()
            log.error("ledger.unknown", reason=refusal, remedy=REMEDY)
        if returned:
            self._logged_at = 0.0
            log.info("ledger.known", ledger=known.id)

    def _keep(self) -> None:
        """Have the object store know the latest look, for processes that come later."""
        self._kept_at = self._identity.seen_at
        self._opened().keep_look(self._identity.expected, self._identity.seen_at)

    def _keep_last(self) -> None:
        """The ledger is away, or this process ends: what comes back may be older."""
        if self._kept_at < self._identity.seen_at and not self._identity.refusal:
            with suppress(StorageError):
                self._keep()

    def _opened(self) -> KnownLedger:
        if self._known is None:
            self._known = self._open()
        return self._known

    def _run(self) -> None:
        while not self._stopping:
            self._asked.clear()
            self._try()
            self._asked.wait(LOOK_SECONDS)
        self._keep_last()

    def _try(self) -> None:
        try:
            if self._buys:
                self.look()
            else:
                self._announce()
        except (redis.RedisError, LedgerAwayError) as error:
            log.warning("ledger.not_looked_at", reason=words_of(error))
            if self._kept_at < self._identity.seen_at and not self._identity.refusal:
                self._keep()  # what comes back may be older
        except StorageError as error:
            if not self._identity.looked:
                log.warning("ledger.not_looked_at", reason=str(error)[:300])
        except Exception:  # whatever it is, what was known stands
            log.exception("ledger.check_broke")
