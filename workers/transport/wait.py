"""A blocking wait until a Redis list has an entry, which pops nothing: a worker's idle state."""

from __future__ import annotations

from time import monotonic
from typing import Any

from bide.redis_errors import RefusedError
from workers.transport.refusals import raise_refusals, refusals

#: A connection counts as dead when a wait takes this many times as long as its time-out.
OVERDUE_FACTOR = 5


class QueueWait:
    """A connection of its own on which a worker waits for one list to have an entry.

    `BLMOVE` from the list's end to the same end blocks while the list is empty, and changes nothing.
    """

    def __init__(self, key: str, channel: Any) -> None:
        self._key, self._channel, self._loop = key, channel, channel.connection.loop
        self._pool = channel.async_pool
        self._connection = self._pool.get_connection()
        self._connection.connect()
        self._socket: Any = None
        self._file = -1
        self._started_at, self._seconds = 0.0, 0.0
        self._add_reader()

    @property
    def overdue(self) -> bool:
        """Whether the server should have answered long ago."""
        return bool(self._started_at) and monotonic() - self._started_at > OVERDUE_FACTOR * self._seconds

    def start(self, seconds: float) -> None:
        """Wait for that long at most; does nothing while a wait is under way."""
        if not self._started_at:
            self._started_at, self._seconds = monotonic(), seconds
            self._connection.send_command("BLMOVE", self._key, self._key, "RIGHT", "RIGHT", seconds)
            self._add_reader()  # a connection that was idle for long may have a new socket

    def close(self) -> None:
        """End the wait and its connection; idempotent."""
        if self._socket is not None:
            self._loop.remove_reader(self._file)
            self._socket = None
            self._connection.disconnect()
            self._pool.release(self._connection)

    def _add_reader(self) -> None:
        socket = self._connection._sock
        if socket is not self._socket:
            if self._socket is not None:
                self._loop.remove_reader(self._file)
            self._socket, self._file = socket, socket.fileno()
            self._loop.add_reader(self._file, self._on_readable)

    def _on_readable(self) -> None:
        sent_at, self._started_at = self._started_at, 0.0
        try:
            with raise_refusals():
                self._connection.read_response()
        except (RefusedError, self._channel.ResponseError) as error:
            self._channel.on_refusal(error)
        except self._channel.connection_errors:
            self.close()
            raise
        else:
            refusals.clear(sent_at=sent_at)
            self._channel.on_wait_end()
