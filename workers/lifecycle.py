"""What a process has, from its start to its end: its toolbox, its sweeper and its traces, by Celery's signals."""

from __future__ import annotations

import gc
import threading
from typing import Any

from celery import Celery
from celery.signals import celeryd_init, worker_init, worker_ready, worker_shutdown

from config.settings import settings
from workers.app import app
from workers.telemetry.tracing import Tracing
from workers.toolbox import Toolbox

#: Python's own are for small programs: a step makes some thousand objects, nearly all freed without a collection.
#: With `gc.freeze` a twentieth of a busy worker's CPU (docs/performance.md).
GARBAGE_THRESHOLDS = (20_000, 50, 50)


class Process:
    """The one holder of what tasks and signals share; used from all threads."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._toolbox: Toolbox | None = None
        self.tracing = Tracing(lambda: self.toolbox.ledger)

    @property
    def toolbox(self) -> Toolbox:
        """The toolbox of this process, made at its first use."""
        with self._lock:
            if self._toolbox is None:
                made = Toolbox(settings(), self._app)
                made.open()
                self._toolbox = made
            return self._toolbox

    def start(self) -> None:
        """Begin what a worker does beside its tasks."""
        gc.freeze()  # what is there now stays: no collection need look through it
        gc.set_threshold(*GARBAGE_THRESHOLDS)
        self.toolbox.sweeper.start()

    def stop(self) -> None:
        """End all of it, the traces last."""
        with self._lock:
            made, self._toolbox = self._toolbox, None
        try:
            if made is not None:
                made.close()
        finally:
            self.tracing.stop()


#: This process's.
process = Process(app)


@celeryd_init.connect
def _equip_worker(**_: Any) -> None:
    from workers.celery_patches.remote_control import register_revoke  # noqa: PLC0415 - only workers need it
    from workers.celery_patches.retry_cost import cache_code  # noqa: PLC0415 - only workers need it
    from workers.health.heartbeat_step import HeartbeatStep  # noqa: PLC0415 - only workers need it

    cache_code()
    register_revoke(lambda job_id: process.toolbox.canceler.cancel(job_id, known_only=True))
    app.steps["consumer"].add(HeartbeatStep)


@worker_init.connect
def _start_traces(**_: Any) -> None:
    process.tracing.start()


@worker_ready.connect
def _start(**_: Any) -> None:
    process.start()


@worker_shutdown.connect
def _stop(**_: Any) -> None:
    process.stop()
