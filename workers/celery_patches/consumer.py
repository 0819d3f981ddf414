"""Celery's consumer with a net under it: a message that it stumbles over is rejected instead of ending the worker."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import structlog
from celery.worker.consumer import Consumer
from celery.worker.state import maybe_shutdown
from kombu.message import Message

from bide.redis_errors import RefusedError
from workers.transport.decompress import limit_unpacking
from workers.transport.refusals import AGAIN_SECONDS, refusals

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

    def note_heartbeat(self) -> None:
        """Tell the health check that the worker waits; the step that notes its heartbeat sets it."""

    def ensure_connected(self, conn: Any) -> Any:
        """Wait for the broker, and for a Redis that takes writes, for as long as it takes."""
        conn.ensure_connection = partial(_ensure, conn.ensure_connection)
        while True:
            try:
                return self._writable(super().ensure_connected(conn))
            except RefusedError:
                conn.collect()  # by its address another Redis may be found next time
                self.note_heartbeat()
                maybe_shutdown()
                time.sleep(AGAIN_SECONDS)

    def _writable(self, conn: Any) -> Any:
        """Declare a queue, as the worker will next, and give the connection back; raises `RefusedError`."""
        if conn.transport.driver_type == "redis":
            queue = next(iter(self.app.amqp.queues.consume_from.values()))
            asked_at = time.monotonic()
            queue(conn.default_channel).declare()
            refusals.over(asked_at=asked_at)
        return conn

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Celery shows where a connection was lost; a refusal, of which a line tells already, needs no traceback."""
        if not isinstance(exc, RefusedError):
            super().on_connection_error_after_connected(exc)
            return
        with suppress(Exception):  # as Celery's: it is gone either way
            connection: Any = self.connection
            connection.collect()

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


def _ensure(ensure_connection: Callable[..., Any], tell: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Kombu's way of connecting with our waits; it ends with `RefusedError` where Redis is there and refuses."""

    def failed(error: Exception, interval: float) -> None:
        if isinstance(error, RefusedError):
            raise error
        tell(error, interval)

    return ensure_connection(failed, *args, reraise_as_library_errors=False, **options, **AGAIN)
