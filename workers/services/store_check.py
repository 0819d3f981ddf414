"""Whether the object store takes results: each worker tests it, and no submit buys while it does not.

A thread makes the test at the worker's start, again while the store refuses, and when a submit or a failed upload asks
for it. A submit waits for a test at most a few seconds: polls, downloads and uploads go on.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from time import monotonic

import structlog

from bide.storage import Storage
from workers.io.store_probe import probe

log = structlog.get_logger()

#: How long a test that went well counts: a later submit waits for another one [seconds].
FRESH_SECONDS = 60.0

#: The longest a submit waits for a test that is under way [seconds].
WAIT_SECONDS = 5.0

#: Between two tests of a store that refuses, and between two log lines about it [seconds].
AGAIN_SECONDS, LOG_AGAIN_SECONDS = 3.0, 60.0

#: What the objects of the tests begin with, in the bucket.
PREFIX = "bide-probe/"


class StoreCheck:
    """The latest test of this process's object store; shared by all threads.

    `open_storage` gives a store that has no connection yet. After a refusal a test reads the access keys anew by it, so
    that mended ones are found. `on_return` is called when a store that refused takes objects again.
    """

    def __init__(self, open_storage: Callable[[], Storage], *, on_return: Callable[[], None] = lambda: None) -> None:
        self._open, self._on_return = open_storage, on_return
        self._store: Storage | None = None
        self._key = f"{PREFIX}{uuid.uuid4()}"  # one for all tests: what may not be removed stays once
        self._changed = threading.Condition()
        self._asked = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._refusal = ""
        self._refused_since = self._logged_at = 0.0
        #: When the test began that went well last, and when the one began that is under way or wanted; 0 for none.
        self._well_at = self._asked_at = 0.0

    def start(self) -> None:
        """Make a test now; idempotent."""
        with self._changed:
            if self._thread is None and not self._stopping:
                self._ask()
                self._thread = threading.Thread(target=self._run, name="store-check", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """End the thread; a test under way is left to itself."""
        with self._changed:
            self._stopping = True
            self._asked.set()
            self._changed.notify_all()

    @property
    def refusal(self) -> str:
        """Why the store took no test object at last, '' where it did or was not tested yet."""
        return self._refusal

    def wait(self) -> str:
        """'' where the store takes objects, else why not. Waits for a test where the last one is too old."""
        self.start()
        with self._changed:
            if not self._refusal and not self._fresh():
                if not self._asked_at:
                    self._ask()
                left = self._asked_at + WAIT_SECONDS - monotonic()
                self._changed.wait_for(lambda: self._refusal or self._fresh() or self._stopping, timeout=max(left, 0))
            if self._refusal or self._fresh():
                return self._refusal
            return f"the object store has not answered a test within {WAIT_SECONDS:g} s"

    def doubt(self) -> None:
        """An upload has failed: submits wait for a new test."""
        with self._changed:
            if not self._refusal:
                self._well_at = 0.0
                self._ask()

    def _fresh(self) -> bool:
        return self._well_at > 0 and monotonic() - self._well_at < FRESH_SECONDS

    def _ask(self) -> None:
        self._asked_at = self._asked_at or monotonic()
        self._asked.set()

    def _run(self) -> None:
        while not self._stopping:
            self._asked.clear()
            began_at = monotonic()
            self._record(self._test(), began_at)
            self._asked.wait(AGAIN_SECONDS if self._refusal else None)

    def _test(self) -> str:
        store, self._store = self._store or self._open(), None
        try:
            failure = probe(store, self._key)
        except Exception as error:  # whatever it is, nothing is bought on it
            log.exception("store.check_broke")
            return f"the test of the object store broke: {type(error).__name__}"
        if failure:
            return f"the object store does not take a test object: {failure.answer}"
        self._store = store
        return ""

    def _record(self, refusal: str, began_at: float) -> None:
        now = monotonic()
        with self._changed:
            returned = bool(self._refusal) and not refusal
            if refusal and not self._refusal:
                self._refused_since, self._logged_at = now, 0.0
            due = bool(refusal) and (not self._logged_at or now - self._logged_at >= LOG_AGAIN_SECONDS)
            self._refusal, self._well_at = refusal, 0.0 if refusal else began_at
            self._asked_at = 0.0
            self._logged_at = now if due else self._logged_at
            self._changed.notify_all()
        if due:
            remedy = "`bide doctor` says what to do; until then nothing is submitted"
            log.error("store.refuses", reason=refusal, remedy=remedy)
        if returned:
            self._on_return()
            log.info("store.accepts", refused_seconds=round(now - self._refused_since))
