"""Celery's consumer behind a guard: a message that breaks it is rejected, and does not end the worker."""

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
from workers.transport.decompress import limit_decompression
from workers.transport.refusals import RETRY_SECONDS, refusals

log = structlog.get_logger()

#: How long to wait for a broker that is away: the first time, how much longer each time, and at most [seconds].
#: Celery's own 2, 4, 6 and up to 30 s have a worker idle for as long as that after the broker is back.
RETRY_POLICY = {"interval_start": 1.0, "interval_step": 1.0, "interval_max": 4.0}

_TASK_NAME = re.compile(r"[\w.:-]{1,128}")


class GuardedConsumer(Consumer):
    """For Celery's setting `worker_consumer`."""

    # what celery-types leaves out of it
    connection_errors: tuple[type[Exception], ...]
    channel_errors: tuple[type[Exception], ...]
    strategies: dict[str, Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        limit_decompression()

    def update_strategies(self) -> None:
        """Accept bide's own tasks only: Celery's built-in ones call others by name, or wait in the queue for ever."""
        super().update_strategies()
        for name in [name for name in self.strategies if name.startswith("celery.")]:
            del self.strategies[name]

    def note_heartbeat(self) -> None:
        """Write the heartbeat while the consumer waits for Redis; `HeartbeatStep` puts its own function here."""

    def ensure_connected(self, conn: Any) -> Any:
        """Wait for the broker, and for a Redis that accepts writes, for as long as it takes."""
        conn.ensure_connection = partial(_ensure_connection, conn.ensure_connection)
        while True:
            try:
                return self._writable(super().ensure_connected(conn))
            except RefusedError:
                conn.collect()  # the address may lead to another Redis next time
                self.note_heartbeat()
                maybe_shutdown()
                time.sleep(RETRY_SECONDS)

    def _writable(self, conn: Any) -> Any:
        """Declare a queue, as the worker will next, and return the connection; raises `RefusedError`."""
        if conn.transport.driver_type == "redis":
            queue = next(iter(self.app.amqp.queues.consume_from.values()))
            sent_at = time.monotonic()
            queue(conn.default_channel).declare()
            refusals.clear(sent_at=sent_at)
        return conn

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Close the connection. Celery logs a traceback, which a refusal does not need: it has a line of its own."""
        if not isinstance(exc, RefusedError):
            super().on_connection_error_after_connected(exc)
            return
        with suppress(Exception):  # as Celery does: the connection is gone either way
            connection: Any = self.connection
            connection.collect()

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Message], None]:
        """Celery's message handler behind a guard: an exception from it would end one worker after the other."""
        handle = super().create_task_handler(*args, **kwargs)

        def guarded(message: Message) -> None:
            if not _TASK_NAME.fullmatch(str(message.headers.get("task", "unnamed"))):
                message.headers["task"] = "unnamed"  # Celery logs and stores the names of tasks that it does not know
            try:
                handle(message)
            except (*self.connection_errors, *self.channel_errors):
                raise
            except Exception as error:
                log.exception("consumer.message_refused", reason=type(error).__name__)
                if not message.acknowledged:
                    message.reject()

        return guarded

    def on_decode_error(self, message: Message, exc: Exception) -> None:
        """Drop a body that can't be read. Celery's own function prints it first, which some bodies break."""
        log.error("consumer.unreadable_message", reason=type(exc).__name__, content_type=str(message.content_type)[:64])
        message.ack()


def _ensure_connection(
    ensure_connection: Callable[..., Any], errback: Callable[..., Any], *args: Any, **options: Any
) -> Any:
    """Kombu's `ensure_connection` by our retry policy; raises `RefusedError` where Redis answers and refuses."""

    def on_error(error: Exception, interval: float) -> None:
        if isinstance(error, RefusedError):
            raise error
        errback(error, interval)

    return ensure_connection(on_error, *args, reraise_as_library_errors=False, **options, **RETRY_POLICY)
