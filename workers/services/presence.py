"""Notes in Redis every few seconds that this process runs, and why it submits nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from time import monotonic

import redis
import structlog

from bide.ledger.processes import NOTE_SECONDS, RunningProcess, forget, note

log = structlog.get_logger()

#: How often the thread looks whether there is something new to note [seconds].
LOOK_SECONDS = 0.5


class Presence:
    """A thread of its own; a Redis that is away is asked again the next time."""

    def __init__(
        self,
        server: redis.Redis,
        node: str,
        queues: Collection[str],
        store_refusal: Callable[[], str],
        ledger_refusal: Callable[[], str] = lambda: "",
    ) -> None:
        self._server, self._node, self._queues = server, node, tuple(sorted(queues))
        self._store_refusal, self._ledger_refusal = store_refusal, ledger_refusal
        self._noted: RunningProcess | None = None
        self._noted_at = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="presence", daemon=True)

    def start(self) -> None:
        """Note this process now, and again every few seconds."""
        self._thread.start()

    def stop(self) -> None:
        """Take the note away; the process is stopping."""
        self._stop.set()
        self._thread.join(timeout=NOTE_SECONDS)

    def _run(self) -> None:
        self._note()
        while not self._stop.wait(LOOK_SECONDS):
            if monotonic() - self._noted_at >= NOTE_SECONDS or self._current() != self._noted:
                self._note()
        if self._noted is not None:
            with suppress(redis.RedisError):  # the note ends by itself, too
                forget(self._server, self._noted)

    def _current(self) -> RunningProcess:
        return RunningProcess(self._node, self._queues, self._store_refusal(), self._ledger_refusal())

    def _note(self) -> None:
        process = self._current()
        self._noted_at = monotonic()
        try:
            note(self._server, process, before=self._noted)
        except redis.RedisError as error:
            log.warning("presence.not_noted", reason=type(error).__name__)
        else:
            self._noted = process
