"""A worker says every few seconds which messages it holds; what nobody speaks for goes back to its queue.

kombu's own visibility timeout knows only when a message was taken. It must be longer than the longest step, which is
minutes, and for so long a killed worker's messages would be lost to everybody. With this they come back in seconds, and
a message may be held for any time. Of jobs that have a record the sweeper takes care faster than either.
"""

from __future__ import annotations

from time import monotonic, time
from typing import Any

import structlog
from kombu.transport.redis import QoS
from kombu.utils.json import loads

log = structlog.get_logger()

#: How old a holder's last word is when it may be dead [seconds]; it speaks at each `unacked_restore_interval`.
SILENT_SECONDS = 8.0

#: Queues whose workers speak. A foreign worker on the same Redis does not, and keeps its messages.
OURS = "bide."


class HoldingQoS(QoS):
    """For `SharingChannel.QoS`."""

    #: For how long the same last word must have been seen [seconds]: longer than `unacked_restore_interval`.
    sure_seconds = 6.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.channel: Any
        self._suspects: dict[str, tuple[float, float]] = {}

    def restore_visible(self, start: int = 0, num: int = 10, interval: int = 10) -> None:
        """What kombu calls every `unacked_restore_interval`: speak, look after the silent ones, then as ever."""
        with self.channel.conn_or_acquire() as client:
            self._speak(client)
            self._restore_silent(client)
        super().restore_visible(start, num, interval)

    def _speak(self, client: Any) -> None:
        if held := list(self._delivered or ()):
            client.zadd(self.unacked_index_key, dict.fromkeys(held, time()), xx=True)

    def _restore_silent(self, client: Any) -> None:
        """A holder that has said nothing new for longer than two words lie apart is dead, whatever its clock says."""
        found = client.zrange(self.unacked_index_key, 0, time() - SILENT_SECONDS, byscore=True, withscores=True)
        now, seen = monotonic(), self._suspects
        still = {tag: seen[tag] for tag, word in found if tag in seen and seen[tag][0] == word}
        self._suspects = {tag: still.get(tag, (word, now)) for tag, word in found}
        silent = [tag for tag, (_, since) in still.items() if now - since >= self.sure_seconds]
        for tag, kept in zip(silent, client.hmget(self.unacked_key, silent) if silent else (), strict=True):
            if kept and str(loads(kept)[2]).startswith(OURS):
                self.restore_by_tag(tag, client)
                log.info("broker.message_restored", reason="its worker is silent")
