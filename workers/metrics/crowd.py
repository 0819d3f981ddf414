"""The connections of a server that gives each a thread: few at once, none for long, the silent ones closed first."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress

import structlog

log = structlog.get_logger()

#: The most connections at once: Prometheus needs one or two.
MOST_CONNECTIONS = 32

#: How long a connection may last in all [seconds]; Prometheus itself gives up after ten.
LONGEST_SECONDS = 10.0

#: How long to wait where no connection can be accepted, for want of files, and between two lines about it [seconds].
NO_FILES_SECONDS, LOG_SECONDS = 0.1, 10.0


class Crowd:
    """May be used from any thread. A connection that is closed here is shut down: its thread then lets go of it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: When each connection was accepted, oldest first: those that have sent no whole request, and the others.
        self._silent: dict[socket.socket, float] = {}
        self._heard: dict[socket.socket, float] = {}
        self._closed = 0
        self._logged_at = float("-inf")

    def add(self, connection: socket.socket) -> None:
        """A connection was accepted; where there are too many another one is closed."""
        if len(self._silent) + len(self._heard) >= MOST_CONNECTIONS:
            self.close_one()
        with self._lock:
            self._silent[connection] = time.monotonic()

    def heard(self, connection: socket.socket) -> None:
        """A connection has sent its request."""
        with self._lock:
            if (since := self._silent.pop(connection, None)) is not None:
                self._heard[connection] = since

    def remove(self, connection: socket.socket) -> None:
        """A connection is closed."""
        with self._lock:
            self._silent.pop(connection, None)
            self._heard.pop(connection, None)

    def close_one(self) -> None:
        """Close the oldest connection that is silent, or else the oldest."""
        with self._lock:
            connections = self._silent or self._heard
            self._close([next(iter(connections))] if connections else [])
            self._log()

    def close_old(self) -> None:
        """Close those that have been there for too long."""
        until = time.monotonic() - LONGEST_SECONDS
        with self._lock:
            self._close([one for each in (self._silent, self._heard) for one, since in each.items() if since < until])

    def _close(self, connections: list[socket.socket]) -> None:
        for connection in connections:
            self._silent.pop(connection, None)
            self._heard.pop(connection, None)
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _log(self) -> None:
        """One line now and then: a flood fills no disk."""
        self._closed += 1
        now = time.monotonic()
        if now - self._logged_at >= LOG_SECONDS:
            log.warning("metrics.crowded", most=MOST_CONNECTIONS, closed=self._closed)
            self._logged_at, self._closed = now, 0
