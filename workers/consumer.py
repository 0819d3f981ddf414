"""Celery's consumer with a net under it: a message that it stumbles over is rejected instead of ending the worker."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import structlog
from celery.worker.consumer import Consumer
from kombu.message import Message

from workers.unpacking import limit_unpacking

log = structlog.get_logger()

#: How long to wait for a broker that is away: the first time, how much longer each time, and at most [seconds].
#: Celery's own 2, 4, 6 and up to 30 s have a worker idle for as long as that after the broker is back.
AGAIN = {"interval_start": 1.0, "interval_step": 1.0, "interval_max": 4.0}

_TASK_NAME = re.compile(r"[\w.:-]{1,128}")


class CarefulConsumer(Consumer):
    """For Celery's setting `worker_consumer`."""

    # what celery-types leaves out of it
    connection_errors: tuple[type[Exception], ...]
    channel_errors: tuple[type[Exception], ...]
    strategies: dict[str, Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        limit_unpacking()

    def update_strategies(self) -> None:
        """Take bide's own tasks only: Celery's built-in ones call others by name, or wait in the queue for ever."""
        super().update_strategies()
        for name in [name for name in self.strategies if name.startswith("celery.")]:
            del self.strategies[name]

    def ensure_connected(self, conn: Any) -> Any:
        """Wait for the broker, for as long as it takes."""
        conn.ensure_connection = partial(conn.ensure_connection, **AGAIN)
        return super().ensure_connected(conn)

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Message], None]:
        """Celery's way of taking a message. What it raises would otherwise end one worker after the other."""
        take = super().create_task_handler(*args, **kwargs)

        def careful(message: Message) -> None:
            if not _TASK_NAME.fullmatch(str(message.headers.get("task", "unnamed"))):
                message.headers["task"] = "unnamed"  # Celery logs and stores the names of tasks that it does not know
            try:
                take(message)
            except (*self.connection_errors, *self.channel_errors):
                raise
            except Exception as error:
                log.exception("consumer.message_refused", reason=type(error).__name__)
                if not message.acknowledged:
                    message.reject()

        return careful

    def on_decode_error(self, message: Message, exc: Exception) -> None:
        """A body that can't be read. Celery's own way describes it, which not every body survives."""
        log.error("consumer.unreadable_message", reason=type(exc).__name__, content_type=str(message.content_type)[:64])
        message.ack()
