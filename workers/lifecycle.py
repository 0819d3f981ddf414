"""What a process has, from its start to its end: its toolbox, its sweeper and its traces, by Celery's signals."""

from __future__ import annotations

import gc
import threading
from collections.abc import Collection
from typing import Any

from celery import Celery
from celery.signals import celeryd_init, worker_init, worker_ready, worker_shutdown, worker_shutting_down

from bide.contract import SUBMIT_QUEUE
from config.settings import settings
from workers.app import app
from workers.server_check import end_on_a_cluster
from workers.services.presence import Presence
from workers.telemetry.tracing import Tracing
from workers.toolbox import Toolbox

#: Python's own are for small programs: a step makes some thousand objects, nearly all freed without a collection.
#: With `gc.freeze` a twentieth of a busy worker's CPU (docs/performance-tried.md).
GARBAGE_THRESHOLDS = (20_000, 50, 50)


class Process:
    """The one holder of what tasks and signals share; used from all threads."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._toolbox: Toolbox | None = None
        self._presence: Presence | None = None
        self.tracing = Tracing(lambda: self.toolbox.ledger)

    @property
    def toolbox(self) -> Toolbox:
        """The toolbox of this process, made at its first use."""
        with self._lock:
            if self._toolbox is None:
                made = Toolbox(settings(), self._app)
                made.open()
                made.ledger.identity.expect_look()
                self._toolbox = made
            return self._toolbox

    def start(self, node: str, queues: Collection[str]) -> None:
        """Begin what the worker `node` does beside its tasks; `queues` are those that it consumes."""
        gc.freeze()  # what is there now stays: no collection need look through it
        gc.set_threshold(*GARBAGE_THRESHOLDS)
        tools = self.toolbox
        if SUBMIT_QUEUE in queues:
            tools.store_check.start()
            tools.statements.start()
        tools.record_packer.start()
        tools.ledger_check.start(buys=SUBMIT_QUEUE in queues)
        self._presence = Presence(
            tools.ledger.server,
            node,
            queues,
            store_refusal=lambda: tools.store_check.refusal,
            ledger_refusal=lambda: tools.ledger_check.refusal,
        )
        self._presence.start()
        tools.sweeper.start()

    @property
    def store_refusal(self) -> str:
        """Why this process submits nothing, for its object store or its ledger; '' where it does."""
        made = self._toolbox
        return made.store_check.refusal or made.ledger_check.refusal if made is not None else ""

    def end_soon(self) -> None:
        """Hasten what runs; called in a signal handler, so it takes no lock."""
        if self._toolbox is not None:
            self._toolbox.end_soon()

    def stop(self) -> None:
        """End all of it, the traces last."""
        with self._lock:
            made, self._toolbox = self._toolbox, None
            presence, self._presence = self._presence, None
        try:
            if presence is not None:
                presence.stop()
            if made is not None:
                made.close()
        finally:
            self.tracing.stop()


#: This process's.
process = Process(app)


@celeryd_init.connect
def _equip_worker(**_: Any) -> None:
    from workers.celery_patches.remote_control import register_revoke  # noqa: PLC0415 - only workers need it
    from workers.celery_patches.task_cost import make_ends_cheap  # noqa: PLC0415 - only workers need it
    from workers.health.heartbeat_step import HeartbeatStep  # noqa: PLC0415 - only workers need it

    end_on_a_cluster(settings())
    make_ends_cheap()
    register_revoke(lambda job_id: process.toolbox.canceler.cancel(job_id, known_only=True))
    HeartbeatStep.store_refusal = staticmethod(lambda: process.store_refusal)  # type: ignore[method-assign]  # meant so
    app.steps["consumer"].add(HeartbeatStep)


@worker_init.connect
def _start_traces(**_: Any) -> None:
    process.tracing.start()


@worker_ready.connect
def _start(sender: Any, **_: Any) -> None:
    process.start(sender.hostname, [queue.name for queue in sender.task_consumer.queues])


@worker_shutting_down.connect
def _end_soon(**_: Any) -> None:
    process.end_soon()


@worker_shutdown.connect
def _stop(**_: Any) -> None:
    process.stop()
