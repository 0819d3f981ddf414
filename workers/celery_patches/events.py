"""Celery's events for Flower, sent a few times a second instead of one message after each turn of the worker's loop.

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
TOGETHER_SECONDS = 0.5


class CalmDispatcher(EventDispatcher):  # what celery-types leaves out of it is declared below
    """Sends buffered events together; what is left is sent with the worker's next heartbeat, after 2 s at most."""

    buffer_limit: int
    _group_buffer: dict[str, list[Any]]
    _outbound_buffer: Any
    _publish: Callable[..., Any]
    mutex: threading.Lock
    producer: Any
    _flushed_at = 0.0

    def flush(self, errors: bool = True, groups: bool = True) -> None:
        """Send what is buffered, unless that was done just now."""
        waiting = max(map(len, self._group_buffer.values()), default=0)
        due = time.monotonic() - self._flushed_at >= TOGETHER_SECONDS or waiting >= self.buffer_limit
        if errors and self._outbound_buffer:
            super().flush(errors=True, groups=False)
        if groups and due and waiting:
            self._flushed_at = time.monotonic()
            self._send_groups()

    def _send_groups(self) -> None:
        """Celery's own way sends a buffer, then empties it: what a task's thread has added meanwhile would be lost."""
        with self.mutex:
            for group, buffer in list(self._group_buffer.items()):
                if events := buffer[:]:
                    self._publish(events, self.producer, f"{group}.multi")
                    del buffer[: len(events)]

    def publish(self, type: str, *args: Any, **kwargs: Any) -> Any:  # noqa: A002 - Celery's name
        """Send one unbuffered event, after those that wait.

        Once: Celery tries a heartbeat again for as long as the broker is away, and the worker's loop stands still.
        """
        self.flush()
        return super().publish(type, *args, **{**kwargs, "retry": False})


class CalmEvents(Events):
    """For `Celery(events=CalmEvents)`."""

    dispatcher_cls = "workers.celery_patches.events:CalmDispatcher"
