"""Waiting for something to be in a list of Redis, without taking it: what a worker does while its queues are empty."""

from __future__ import annotations

from time import monotonic
from typing import Any

from bide.redis_errors import RefusedError
from workers.transport.refusals import noticing, refusals

#: How often a wait that should have ended by itself may fail to, before its connection counts as dead.
OVERDUE = 5


class QueueWait:
    """A connection of its own on which a worker waits for something to be in one list.

    It waits by moving the list's next message to where it is. That blocks while there is none, and changes nothing.
    """

    def __init__(self, key: str, channel: Any) -> None:
        self._key, self._channel, self._loop = key, channel, channel.connection.loop
        self._pool = channel.async_pool
        self._connection = self._pool.get_connection()
        self._connection.connect()
        self._socket: Any = None
        self._file = -1
        self._armed_at, self._seconds = 0.0, 0.0
        self._listen()

    @property
    def overdue(self) -> bool:
        """Whether the server should have answered long ago."""
        return bool(self._armed_at) and monotonic() - self._armed_at > OVERDUE * self._seconds

    def arm(self, seconds: float) -> None:
        """Wait for that long at most, if not waiting already."""
        if not self._armed_at:
            self._armed_at, self._seconds = monotonic(), seconds
            self._connection.send_command("BLMOVE", self._key, self._key, "RIGHT", "RIGHT", seconds)
            self._listen()  # what was idle for long may have connected anew

    def close(self) -> None:
        """End the wait and its connection; idempotent."""
        if self._socket is not None:
            self._loop.remove_reader(self._file)
            self._socket = None
            self._connection.disconnect()
            self._pool.release(self._connection)

    def _listen(self) -> None:
        socket = self._connection._sock
        if socket is not self._socket:
            if self._socket is not None:
                self._loop.remove_reader(self._file)
            self._socket, self._file = socket, socket.fileno()
            self._loop.add_reader(self._file, self._ring)

    def _ring(self) -> None:
        armed_at, self._armed_at = self._armed_at, 0.0
        try:
            with noticing():
                self._connection.read_response()
        except (RefusedError, self._channel.ResponseError) as error:
            self._channel.refused(error)
        except self._channel.connection_errors:
            self.close()
            raise
        else:
            refusals.over(asked_at=armed_at)
            self._channel.rung()
