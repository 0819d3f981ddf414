"""The consumer's step that writes the heartbeat, by the loop's own timer: a loop that hangs has none."""

from __future__ import annotations

import os
import time
from functools import partial
from typing import Any

import structlog
from celery import bootsteps
from celery.signals import task_received
from celery.worker import state

from workers.health.heartbeat import Heartbeat, start_time
from workers.transport.refusals import refusals

log = structlog.get_logger()

#: Between two heartbeats [seconds]; one costs less than half a millisecond.
TICK_SECONDS = 2.0


class HeartbeatStep(bootsteps.StartStopStep):
    """For `app.steps["consumer"]`: starts with each connection to the broker, and stops when it is lost."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    @staticmethod
    def store_refusal() -> str:
        """Why the object store of this process takes nothing. What equips the worker puts its own function here."""
        return ""

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, **options)
        self._queues: tuple[str, ...] = ()
        self._taken_at = self._free_since = 0.0
        self._pid, self._born = os.getpid(), start_time(os.getpid())
        self._timer: Any = None
        self._writable = True
        task_received.connect(self._on_received)
        consumer.note_heartbeat = partial(self._tick, consumer)

    def start(self, consumer: Any) -> None:
        # Kept from the first start, so that a queue is missed that a remote command took from the consumer.
        self._queues = self._queues or tuple(sorted(queue.name for queue in consumer.task_consumer.queues))
        self._taken_at = self._free_since = time.monotonic()
        self._timer = consumer.timer.call_repeatedly(TICK_SECONDS, self._tick, (consumer,))

    def stop(self, consumer: Any) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _on_received(self, **_: Any) -> None:
        """The consumer has received a message, with or without a countdown."""
        self._taken_at = time.monotonic()

    def _tick(self, consumer: Any) -> None:
        now, running, threads = time.monotonic(), len(state.active_requests), consumer.pool.num_processes
        if running >= threads:
            self._free_since = now
        self._write(
            Heartbeat(
                node=consumer.hostname,
                pid=self._pid,
                born=self._born,
                queues=self._queues,
                running=running,
                threads=threads,
                ticked_at=now,
                taken_at=self._taken_at,
                free_since=self._free_since,
                refused=refusals.reason(),
                store_refused=self.store_refusal(),
            )
        )

    def _write(self, heartbeat: Heartbeat) -> None:
        """Write the file; a full disk stops no worker, and is worth one log line."""
        try:
            heartbeat.write()
        except OSError as error:
            if self._writable:
                log.warning("heartbeat.not_written", node=heartbeat.node, reason=str(error))
            self._writable = False
        else:
            self._writable = True
