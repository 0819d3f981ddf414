"""Taking messages: several at once, each noted as held in the very move that takes it out of its queue.

kombu pops a message first and notes it afterwards, one by one. A worker killed in between, or while it is too busy to
read what was popped for it, takes that message with it. Here a script does both (`take.lua`); while the queues are
empty the worker waits on commands that take nothing.
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
from workers.transport.refusals import AGAIN_SECONDS, noticing, refusals
from workers.transport.wait import QueueWait

log = structlog.get_logger()

SCRIPT = (Path(__file__).parent / "take.lua").read_text()

#: Most messages taken at once: a worker with room for all leaves some to the others.
MOST = 8

#: The refusals of a replica: what it says does not change until it leads.
REPLICA = ("READONLY", "MASTERDOWN")

#: Properties of a message that are text where they are given.
TEXTS = ("correlation_id", "reply_to")


class ConsumingChannel(Channel):
    """A channel that takes so, where there is an event loop, as workers have; without one it is kombu's own."""

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
        self._watches: dict[str, QueueWait] = {}
        self._taking = self._waiting = self._unacknowledged = False
        self._telling: list[str] = []
        super().__init__(*args, **kwargs)

    def basic_consume(self, queue: str, no_ack: bool, *args: Any, **kwargs: Any) -> Any:
        """Whoever acknowledges nothing must have nothing noted."""
        self._unacknowledged = self._unacknowledged or no_ack
        return super().basic_consume(queue, no_ack, *args, **kwargs)

    def _brpop_start(self, timeout: float | None = None) -> None:
        """Ask for messages; kombu has `_brpop_read` called when the answer is there."""
        self._taking = self.connection.loop is not None and not self._unacknowledged and not self.global_keyprefix
        if not self._taking:
            super()._brpop_start(timeout)  # type: ignore[misc]  # a channel's
            return
        queues = self._queue_cycle.consume(len(self.active_queues))
        if not queues:
            return
        lists = [self._q_for_pri(queue, priority) for priority in self.priority_steps for queue in queues]
        room = self.qos.can_consume_max_estimate()
        most = MOST if room is None else min(room, MOST)
        keys = [self.unacked_key, self.unacked_index_key, *lists]
        self._waiting = False
        self._in_poll = self.client.connection
        self._brpop_sent_at = monotonic()
        self._telling = self.qos.done_with()
        self._in_poll.send_command("EVAL", SCRIPT, len(keys), *keys, most, *self._telling)

    def _brpop_read(self, **options: Any) -> Any:
        if not self._taking:
            return super()._brpop_read(**options)  # type: ignore[misc]  # a channel's
        if self._waiting or not self._in_poll:  # nothing was asked, so what is to be read is the connection's end
            self.client.connection.disconnect()
            self._in_poll, self._waiting = None, False
            raise Empty
        try:
            taken = self._answer(**options)
        except (RefusedError, self.ResponseError) as error:
            self.qos.untold(self._telling)
            self.refused(error)
            raise Empty from None
        for where, raw, tag in taken:
            self._hand_over(bytes_to_str(where).rsplit(self.sep, 1)[0], raw, bytes_to_str(tag))
        if not taken:
            self._wait()
            raise Empty
        return True

    def _answer(self, **options: Any) -> list[tuple[bytes, bytes, bytes]]:
        asked, self._in_poll = self._in_poll, None
        try:
            with noticing():
                answer: list[tuple[bytes, bytes, bytes]] = self.client.parse_response(asked, "EVAL", **options)
        except RefusedError:
            raise
        except self.connection_errors:
            self.client.connection.disconnect()
            raise
        finally:
            self._flush_brpop_reauth()
        return answer

    def _hand_over(self, queue: str, raw: bytes, tag: str) -> None:
        self._queue_cycle.rotate(queue)
        if tag:
            self.qos.noted(tag)
        try:
            self.connection._deliver(checked(loads(bytes_to_str(raw))), queue)
        except (*self.connection.connection_errors, *self.connection.channel_errors):
            raise
        except Exception as error:  # what lay there can't be read; of a message's own troubles the consumer takes care
            log.warning("broker.no_message", queue=queue, reason=type(error).__name__)
            self.qos.forget(tag)

    def refused(self, error: Exception) -> None:
        """Redis is there and will not do it: look again soon. In place of a replica another one may lead: connect."""
        if isinstance(error, RefusedError) and error.code in REPLICA:
            raise error
        refusals.seen(error)
        self._in_poll, self._waiting = self.client.connection, True
        self.connection.loop.call_later(AGAIN_SECONDS, self.rung)

    def _wait(self) -> None:
        """Nothing is there: watch the queues, and look again when something comes, or the wait has run out.

        Lists of other priorities than the usual one are seen when the wait runs out.
        """
        if self._closing:
            return
        for queue in self.active_queues:
            self._watch(self._q_for_pri(queue, 0)).arm(self.brpop_timeout or 1)
        self._in_poll, self._waiting = self.client.connection, True

    def _watch(self, key: str) -> QueueWait:
        watch = self._watches.get(key)
        if watch is None or watch.overdue:
            if watch is not None:
                watch.close()
            watch = self._watches[key] = QueueWait(key, self)
        return watch

    def rung(self) -> None:
        """A wait has ended: ask again, as soon as there is room."""
        if self._waiting:
            self._in_poll, self._waiting = None, False

    def close(self) -> None:
        for watch in self._watches.values():
            watch.close()
        self._watches.clear()
        self.rung()
        super().close()


def checked(raw: Any) -> Any:
    """A message as it was given; raises `ValueError` for what kombu's Redis transport can't have written."""
    properties = raw.get("properties") if isinstance(raw, dict) else None
    delivery = properties.get("delivery_info") if isinstance(properties, dict) else None
    if not (
        isinstance(properties, dict)
        and isinstance(delivery, dict)
        and all(isinstance(delivery.get(name), str) for name in ("exchange", "routing_key"))
        and isinstance(properties.get("delivery_tag"), str)
        and properties.get("body_encoding") in (None, "base64")
        and all(properties.get(name) is None or isinstance(properties[name], str) for name in TEXTS)
        and isinstance(properties.get("priority") or 0, int)
        and isinstance(raw.get("body"), str)
        and isinstance(raw.get("headers") or {}, dict)
        and all(isinstance(raw.get(name) or "", str) for name in ("content-type", "content-encoding"))
    ):
        raise ValueError("not of the shape that kombu writes")
    return raw


class ConsumingPoller(MultiChannelPoller):
    """kombu's poller, which at each turn of the loop also has Redis told what was done with meanwhile."""

    _channels: set[ConsumingChannel]

    def on_poll_start(self) -> None:
        with noticing():
            super().on_poll_start()
            for channel in self._channels:
                channel.qos.turn()

    def on_readable(self, fileno: int) -> Any:
        with noticing():
            return super().on_readable(fileno)
