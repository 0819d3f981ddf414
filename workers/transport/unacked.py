"""A worker says every few seconds which messages it holds; what nobody speaks for goes back to its queue.

kombu's own visibility timeout knows only when a message was taken. It must be longer than the longest step, which is
minutes, and for so long a killed worker's messages would be lost to everybody. With this they come back in seconds, and
a message may be held for any time. Of jobs that have a record the sweeper takes care faster than either.
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

#: How old a holder's last word is when it may be dead [seconds]; it speaks at each `unacked_restore_interval`.
SILENT_SECONDS = 7.0

#: A loop that has not turned for so long does not turn [seconds]; its timers turn it every second or so.
STANDSTILL_SECONDS = 4.0

#: Queues whose workers speak. A foreign worker on the same Redis does not, and keeps its messages.
OURS = "bide."


class UnackedQoS(QoS):
    """For `SharingChannel.QoS`."""

    #: For how long the same last word must have been seen [seconds]: from one look to the next. Where all were silent
    #: because Redis was away, whoever lives speaks in between.
    sure_seconds = 3.5

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.channel: Any
        self._suspects: dict[str, tuple[float, float]] = {}
        self._noted: set[str] = set()
        self._done_with: deque[str] = deque()
        self._given_back: deque[str] = deque()
        self._turned_at = -STANDSTILL_SECONDS

    def noted(self, tag: str) -> None:
        """Redis knows already that this message is held."""
        self._noted.add(tag)

    def forget(self, tag: str) -> None:
        """What was noted turned out to be no message."""
        if tag in self._noted:
            self._noted.discard(tag)
            self._done_with.append(tag)

    def append(self, message: Any, delivery_tag: str) -> None:
        if delivery_tag in self._noted:
            self._noted.discard(delivery_tag)
            virtual.QoS.append(self, message, delivery_tag)
        else:
            super().append(message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Done with: Redis is told at the next turn of the loop, together with others; at once where none turns."""
        self._done_with.append(delivery_tag)
        virtual.QoS.ack(self, delivery_tag)
        if monotonic() - self._turned_at > STANDSTILL_SECONDS:
            self.tell()

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Done with, or given back to its queue; while Redis refuses that, it stays held and takes a place."""
        if not requeue:
            self.ack(delivery_tag)
            return
        try:
            self.restore_by_tag(delivery_tag, leftmost=True)
        except RefusedError:
            self._given_back.append(delivery_tag)
        else:
            virtual.QoS.ack(self, delivery_tag)

    def done_with(self) -> list[str]:
        """The tags that Redis is to be told of; whoever asks tells it."""
        tags: list[str] = []
        with suppress(IndexError):  # several threads may ask at once
            while True:
                tags.append(self._done_with.popleft())
        return tags

    def untold(self, tags: list[str]) -> None:
        """Redis would not hear of these: it is to be told again."""
        self._done_with.extend(tags)

    def turn(self) -> None:
        """The loop turns."""
        self._turned_at = monotonic()
        self.tell()
        self._give_back()

    def _give_back(self) -> None:
        """Try again what Redis refused to put back."""
        with suppress(RefusedError):
            while self._given_back:
                self.restore_by_tag(self._given_back[0], leftmost=True)
                virtual.QoS.ack(self, self._given_back.popleft())

    def tell(self) -> None:
        """Tell Redis what is done with."""
        if tags := self.done_with():
            try:
                with self.channel.conn_or_acquire() as client, client.pipeline() as pipe:
                    pipe.zrem(self.unacked_index_key, *tags).hdel(self.unacked_key, *tags).execute()
            except (RefusedError, self.channel.ResponseError):
                self.untold(tags)

    def restore_unacked_once(self, stderr: Any = None) -> None:
        """The end: first what is done with, so that nobody does it again."""
        with suppress(*self.channel.connection_errors):  # untold, it is done again, which changes nothing
            self.tell()
        super().restore_unacked_once(stderr)

    def restore_visible(self, start: int = 0, num: int = 10, interval: int = 10) -> None:
        """What kombu calls every `unacked_restore_interval`: speak, look after the silent ones, then as ever."""
        with self.channel.conn_or_acquire() as client:
            seconds, microseconds = client.time()  # one clock for all, however wrong this machine's own is
            now = seconds + microseconds / 1e6
            self._speak(client, now)
            self._restore_silent(client, now)
        super().restore_visible(start, num, interval)

    def _speak(self, client: Any, now: float) -> None:
        if held := list(self._delivered or ()):
            client.zadd(self.unacked_index_key, dict.fromkeys(held, now), xx=True)

    def _restore_silent(self, client: Any, now: float) -> None:
        """A holder that has said nothing new for longer than two words lie apart is dead."""
        found = client.zrange(self.unacked_index_key, 0, now - SILENT_SECONDS, byscore=True, withscores=True)
        looked_at, seen = monotonic(), self._suspects
        still = {tag: seen[tag] for tag, word in found if tag in seen and seen[tag][0] == word}
        self._suspects = {tag: still.get(tag, (word, looked_at)) for tag, word in found}
        silent = [tag for tag, (_, since) in still.items() if looked_at - since >= self.sure_seconds]
        for tag, kept in zip(silent, client.hmget(self.unacked_key, silent) if silent else (), strict=True):
            if kept and str(loads(kept)[2]).startswith(OURS):
                self.restore_by_tag(tag, client)
                log.info("broker.message_restored", reason="its worker is silent")
