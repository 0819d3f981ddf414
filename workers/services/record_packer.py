"""Packs records of finished jobs together, in a thread of its own: many in one round trip, for which no step waits."""

from __future__ import annotations

import threading

import structlog

from bide.ledger import Ledger

log = structlog.get_logger()

#: How long a finished record waits for others at most [seconds].
PACK_SECONDS = 0.25


class RecordPacker:
    """Packs a few times a second, from `start` on. What a killed process has not packed stays as it was."""

    def __init__(self, ledger: Ledger) -> None:
        self._packer = ledger.packer
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="packer", daemon=True)

    def start(self) -> None:
        """Have records wait for one another from now on."""
        self._packer.waits = True
        self._thread.start()

    def stop(self) -> None:
        """End the thread, and pack what waits; from then on each record is packed at once."""
        self._packer.waits = False
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)
        self._flush()

    def _run(self) -> None:
        while not self._stop.wait(PACK_SECONDS):
            self._flush()

    def _flush(self) -> None:
        try:
            self._packer.flush()
        except Exception:  # the records stay whole; the next ones are tried
            log.exception("packer.broke")
