"""How a worker consumes: one script pops several messages and records each as unacked.

kombu pops a message first and records it afterwards, one by one. A worker killed in between loses that message. So does
one that is too busy to read what Redis popped for it. Here `take.lua` does both. While the queues are empty, the worker
waits on commands that pop nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from queue import Empty
from time import monotonic
from typing import Any

import structlog
from kombu.transport.redis import Channel, MultiChannelPoller
from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import loads

from bide.redis_errors import RefusedError
from workers.transport.refusals import RETRY_SECONDS, raise_refusals, refusals
from workers.transport.wait import QueueWait

log = structlog.get_logger()

SCRIPT = (Path(__file__).parent / "take.lua").read_text()

#: Most messages that one call of the script pops: a worker with room for all leaves some to the others.
MAX_MESSAGES = 8

#: The refusals of a replica: its answer does not change until it leads.
REPLICA_CODES = ("READONLY", "MASTERDOWN")

#: Properties of a message that are text where they are given.
TEXT_PROPERTIES = ("correlation_id", "reply_to")


class ConsumingChannel(Channel):
    """A channel that consumes by script. Without an event loop, which workers have, it is kombu's own."""

    # what the stubs leave out of it
    connection: Any
    client: Any
    qos: Any
    async_pool: Any
    priority_steps: list[int]
    connection_errors: tuple[type[Exception], ...]
    ResponseError: type[Exception]
    _queue_cycle: Any
    _closing: bool
    _q_for_pri: Callable[[str, int], str]
    _flush_brpop_reauth: Callable[[], None]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._waits: dict[str, QueueWait] = {}
        self._by_script = self._idle = self._no_ack = False
        self._acks_sent: list[str] = []
        super().__init__(*args, **kwargs)

    def basic_consume(self, queue: str, no_ack: bool, *args: Any, **kwargs: Any) -> Any:
        """A consumer without acknowledgements gets messages from kombu: the script would record them as unacked."""
        self._no_ack = self._no_ack or no_ack
        return super().basic_consume(queue, no_ack, *args, **kwargs)

    def _brpop_start(self, timeout: float | None = None) -> None:
        """Ask for messages; kombu calls `_brpop_read` when the reply is there."""
        self._by_script = self.connection.loop is not None and not self._no_ack and not self.global_keyprefix
        if not self._by_script:
            super()._brpop_start(timeout)  # type: ignore[misc]  # a channel's
            return
        queues = self._queue_cycle.consume(len(self.active_queues))
        if not queues:
            return
        lists = [self._q_for_pri(queue, priority) for priority in self.priority_steps for queue in queues]
        room = self.qos.can_consume_max_estimate()
        limit = MAX_MESSAGES if room is None else min(room, MAX_MESSAGES)
        keys = [self.unacked_key, self.unacked_index_key, *lists]
        self._idle = False
        self._in_poll = self.client.connection
        self._brpop_sent_at = monotonic()
        self._acks_sent = self.qos.pop_acks()
        self._in_poll.send_command("EVAL", SCRIPT, len(keys), *keys, limit, *self._acks_sent)

    def _brpop_read(self, **options: Any) -> Any:
        if not self._by_script:
            return super()._brpop_read(**options)  # type: ignore[misc]  # a channel's
        if self._idle or not self._in_poll:  # no reply is due, so the socket is readable because it was closed
            self.client.connection.disconnect()
            self._in_poll, self._idle = None, False
            raise Empty
        try:
            messages = self._read_reply(**options)
        except (RefusedError, self.ResponseError) as error:
            self.qos.return_acks(self._acks_sent)
            self.on_refusal(error)
            raise Empty from None
        for key, raw, tag in messages:
            self._deliver(bytes_to_str(key).rsplit(self.sep, 1)[0], raw, bytes_to_str(tag))
        if not messages:
            self._wait()
            raise Empty
        return True

    def _read_reply(self, **options: Any) -> list[tuple[bytes, bytes, bytes]]:
        connection, self._in_poll = self._in_poll, None
        try:
            with raise_refusals():
                reply: list[tuple[bytes, bytes, bytes]] = self.client.parse_response(connection, "EVAL", **options)
        except RefusedError:
            raise
        except self.connection_errors:
            self.client.connection.disconnect()
            raise
        finally:
            self._flush_brpop_reauth()
        return reply

    def _deliver(self, queue: str, raw: bytes, tag: str) -> None:
        self._queue_cycle.rotate(queue)
        if tag:
            self.qos.remember_delivered(tag)
        try:
            self.connection._deliver(validated(loads(bytes_to_str(raw))), queue)
        except (*self.connection.connection_errors, *self.connection.channel_errors):
            raise
        except Exception as error:  # the entry is no message; trouble with a message's content is the consumer's
            log.warning("broker.no_message", queue=queue, reason=type(error).__name__)
            self.qos.forget_delivered(tag)

    def on_refusal(self, error: Exception) -> None:
        """Redis answers and refuses: ask again soon. A replica raises, since a new connection may find the leader."""
        if isinstance(error, RefusedError) and error.code in REPLICA_CODES:
            raise error
        refusals.record(error)
        self._in_poll, self._idle = self.client.connection, True
        self.connection.loop.call_later(RETRY_SECONDS, self.on_wait_end)

    def _wait(self) -> None:
        """Wait on every empty queue until a message comes, or the time-out ends the wait.

        Lists of other priorities than 0 are read when the wait ends.
        """
        if self._closing:
            return
        for queue in self.active_queues:
            self._wait_for(self._q_for_pri(queue, 0)).start(self.brpop_timeout or 1)
        self._in_poll, self._idle = self.client.connection, True

    def _wait_for(self, key: str) -> QueueWait:
        wait = self._waits.get(key)
        if wait is None or wait.overdue:
            if wait is not None:
                wait.close()
            wait = self._waits[key] = QueueWait(key, self)
        return wait

    def on_wait_end(self) -> None:
        """A wait has ended: the poller asks for messages again, as soon as there is room."""
        if self._idle:
            self._in_poll, self._idle = None, False

    def close(self) -> None:
        for wait in self._waits.values():
            wait.close()
        self._waits.clear()
        self.on_wait_end()
        super().close()


def validated(raw: Any) -> Any:
    """The message itself; raises `ValueError` where kombu's Redis transport can't have written it."""
    properties = raw.get("properties") if isinstance(raw, dict) else None
    delivery = properties.get("delivery_info") if isinstance(properties, dict) else None
    if not (
        isinstance(properties, dict)
        and isinstance(delivery, dict)
        and all(isinstance(delivery.get(name), str) for name in ("exchange", "routing_key"))
        and isinstance(properties.get("delivery_tag"), str)
        and properties.get("body_encoding") in (None, "base64")
        and all(properties.get(name) is None or isinstance(properties[name], str) for name in TEXT_PROPERTIES)
        and isinstance(properties.get("priority") or 0, int)
        and isinstance(raw.get("body"), str)
        and isinstance(raw.get("headers") or {}, dict)
        and all(isinstance(raw.get(name) or "", str) for name in ("content-type", "content-encoding"))
    ):
        raise ValueError("not of the shape that kombu writes")
    return raw


class ConsumingPoller(MultiChannelPoller):
    """kombu's poller. Each turn of the loop also sends the acknowledgements that have come since the last one."""

    _channels: set[ConsumingChannel]

    def on_poll_start(self) -> None:
        with raise_refusals():
            super().on_poll_start()
            for channel in self._channels:
                channel.qos.on_tick()

    def on_readable(self, fileno: int) -> Any:
        with raise_refusals():
            return super().on_readable(fileno)
