"""Unacked messages: each worker refreshes the times of its own, and stale ones go back to their queue.

kombu's visibility timeout knows only when a message was delivered. It must exceed the longest step, which is minutes.
For so long a killed worker's messages would be lost to all others. With refreshed times they come back in seconds, and
a message may stay unacked for any time. Jobs that have a record are rescued faster still, by the sweeper.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from time import monotonic
from typing import Any

import structlog
from kombu.transport import virtual
from kombu.transport.redis import QoS
from kombu.utils.json import loads

from bide.redis_errors import RefusedError

log = structlog.get_logger()

#: A message is stale when its time is older than this [seconds]; a worker refreshes at `unacked_restore_interval`.
STALE_SECONDS = 7.0

#: A loop without a turn for so long has stopped [seconds]; its timers wake it every second or so.
STALLED_LOOP_SECONDS = 4.0

#: Queues whose workers refresh. A foreign worker on the same Redis does not, and keeps its messages.
OWN_PREFIX = "bide."


class UnackedQoS(QoS):
    """kombu's QoS for `WorkerChannel.QoS`: acknowledgements are sent together, and unacked messages refreshed."""

    #: A stale message is restored after its time has stood still for this long [seconds]: two polls lie as far apart.
    #: After an outage of Redis all are stale, and each worker that lives refreshes its own between two polls.
    confirm_seconds = 3.5

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.channel: Any
        self._stale: dict[str, tuple[float, float]] = {}
        self._in_redis: set[str] = set()
        self._acks: deque[str] = deque()
        self._requeues: deque[str] = deque()
        self._ticked_at = -STALLED_LOOP_SECONDS

    def remember_delivered(self, tag: str) -> None:
        """Redis has this message among the unacked ones already."""
        self._in_redis.add(tag)

    def forget_delivered(self, tag: str) -> None:
        """An entry recorded as unacked was no message: acknowledge it."""
        if tag in self._in_redis:
            self._in_redis.discard(tag)
            self._acks.append(tag)

    def append(self, message: Any, delivery_tag: str) -> None:
        if delivery_tag in self._in_redis:
            self._in_redis.discard(delivery_tag)
            virtual.QoS.append(self, message, delivery_tag)
        else:
            super().append(message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Acknowledge. Redis gets it at the next turn of the loop, with others; at once where the loop has stopped."""
        self._acks.append(delivery_tag)
        virtual.QoS.ack(self, delivery_tag)
        if monotonic() - self._ticked_at > STALLED_LOOP_SECONDS:
            self.flush_acks()

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Acknowledge, or requeue. While Redis refuses to requeue it, the message stays unacked and takes a place."""
        if not requeue:
            self.ack(delivery_tag)
            return
        try:
            self.restore_by_tag(delivery_tag, leftmost=True)
        except RefusedError:
            self._requeues.append(delivery_tag)
        else:
            virtual.QoS.ack(self, delivery_tag)

    def pop_acks(self) -> list[str]:
        """The tags to acknowledge in Redis; the caller sends them, or returns them."""
        tags: list[str] = []
        with suppress(IndexError):  # several threads may ask at once
            while True:
                tags.append(self._acks.popleft())
        return tags

    def return_acks(self, tags: list[str]) -> None:
        """Redis did not accept these acknowledgements: send them again."""
        self._acks.extend(tags)

    def on_tick(self) -> None:
        """The event loop turns: send what is left over."""
        self._ticked_at = monotonic()
        self.flush_acks()
        self._retry_requeues()

    def _retry_requeues(self) -> None:
        with suppress(RefusedError):
            while self._requeues:
                self.restore_by_tag(self._requeues[0], leftmost=True)
                virtual.QoS.ack(self, self._requeues.popleft())

    def flush_acks(self) -> None:
        """Send all acknowledgements to Redis in one pipeline."""
        if tags := self.pop_acks():
            try:
                with self.channel.conn_or_acquire() as client, client.pipeline() as pipe:
                    pipe.zrem(self.unacked_index_key, *tags).hdel(self.unacked_key, *tags).execute()
            except (RefusedError, self.channel.ResponseError):
                self.return_acks(tags)

    def restore_unacked_once(self, stderr: Any = None) -> None:
        """Requeue all at shutdown; acknowledgements go first, so that no finished message is delivered again."""
        with suppress(*self.channel.connection_errors):  # without them a message is processed again: nothing changes
            self.flush_acks()
        super().restore_unacked_once(stderr)

    def restore_visible(self, start: int = 0, num: int = 10, interval: int = 10) -> None:
        """Kombu's timer, every `unacked_restore_interval`: refresh own messages, restore stale ones, then kombu's."""
        with self.channel.conn_or_acquire() as client:
            seconds, microseconds = client.time()  # one clock for all, however wrong this machine's own is
            now = seconds + microseconds / 1e6
            self._refresh(client, now)
            self._restore_stale(client, now)
        super().restore_visible(start, num, interval)

    def _refresh(self, client: Any, now: float) -> None:
        if tags := list(self._delivered or ()):
            client.zadd(self.unacked_index_key, dict.fromkeys(tags, now), xx=True)

    def _restore_stale(self, client: Any, now: float) -> None:
        """Restore messages whose time two polls in a row have found old and unchanged: their worker is dead."""
        entries = client.zrange(self.unacked_index_key, 0, now - STALE_SECONDS, byscore=True, withscores=True)
        polled_at, before = monotonic(), self._stale
        unchanged = {tag: before[tag] for tag, time in entries if tag in before and before[tag][0] == time}
        self._stale = {tag: unchanged.get(tag, (time, polled_at)) for tag, time in entries}
        dead = [tag for tag, (_, since) in unchanged.items() if polled_at - since >= self.confirm_seconds]
        for tag, entry in zip(dead, client.hmget(self.unacked_key, dead) if dead else (), strict=True):
            if entry and str(loads(entry)[2]).startswith(OWN_PREFIX):
                self.restore_by_tag(tag, client)
                log.info("broker.message_restored", reason="its worker is silent")
