"""Celery's events for Flower, sent twice a second instead of one message after each turn of the worker's loop.

Measured: one broadcast for each event or two is an eighth of a busy worker's CPU.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from celery.app.events import Events
from celery.events.dispatcher import EventDispatcher

#: Least time between two broadcasts of buffered events [seconds].
FLUSH_SECONDS = 0.5


class BatchDispatcher(EventDispatcher):  # what celery-types leaves out of it is declared below
    """Sends buffered events together. Celery's heartbeat flushes what is left, after 2 s at most."""

    buffer_limit: int
    _group_buffer: dict[str, list[Any]]
    _outbound_buffer: Any
    _publish: Callable[..., Any]
    mutex: threading.Lock
    producer: Any
    _flushed_at = 0.0

    def flush(self, errors: bool = True, groups: bool = True) -> None:
        """Send what is buffered, unless that was done just now."""
        size = max(map(len, self._group_buffer.values()), default=0)
        due = time.monotonic() - self._flushed_at >= FLUSH_SECONDS or size >= self.buffer_limit
        if errors and self._outbound_buffer:
            super().flush(errors=True, groups=False)
        if groups and due and size:
            self._flushed_at = time.monotonic()
            self._send_groups()

    def _send_groups(self) -> None:
        """Send and remove the same events. Celery empties the buffer: an event added meanwhile would be lost."""
        with self.mutex:
            for group, buffer in list(self._group_buffer.items()):
                if events := buffer[:]:
                    self._publish(events, self.producer, f"{group}.multi")
                    del buffer[: len(events)]

    def publish(self, type: str, *args: Any, **kwargs: Any) -> Any:  # noqa: A002 - Celery's name
        """Send one unbuffered event, after the buffered ones.

        It is sent once. Celery retries a heartbeat for as long as the broker is away, and the worker's loop waits.
        """
        self.flush()
        return super().publish(type, *args, **{**kwargs, "retry": False})


class BatchEvents(Events):
    """For `Celery(events=BatchEvents)`."""

    dispatcher_cls = "workers.celery_patches.events:BatchDispatcher"
