"""Lets so many connections in at once: over that, the oldest one without a call under way is closed for a new one.

The health check comes the same way, and is let in like any call: a crowd that holds connections can't keep it out.
"""

from __future__ import annotations

import asyncio
import errno
import resource
import socket
import time
from collections import Counter
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass

import structlog

log = structlog.get_logger()

#: The most connections at once, and the files that a process needs besides them.
MOST_CONNECTIONS, OTHER_FILES = 512, 100

#: The least connections, should there be few files.
LEAST_CONNECTIONS = 16

#: How many connections may wait to be let in.
BACKLOG = 1024

#: What accepting a connection fails with where there are no files left, or no memory; it passes.
_NOTHING_LEFT = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

#: How long to wait then, and how often a crowd is worth a line in the log [seconds].
NOTHING_LEFT_SECONDS, LOG_SECONDS = 0.1, 10.0


def most_connections() -> int:
    """How many connections there may be, by the number of files that the process may open."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_CONNECTIONS if files < 0 else max(min(MOST_CONNECTIONS, files - OTHER_FILES), LEAST_CONNECTIONS)


@dataclass(frozen=True)
class Guest:
    """A connection that was let in."""

    peer: str
    transport: asyncio.Transport


class Door:
    """Accepts connections for a server; `busy` holds the server's protocols that have a call under way."""

    def __init__(
        self, server: Callable[[], asyncio.BaseProtocol], *, busy: Container[object], most: int | None = None
    ) -> None:
        self._server, self._busy = server, busy
        self._most = most or most_connections()
        self._guests: dict[asyncio.BaseProtocol, Guest] = {}
        self._turned_away = 0
        self._logged_at = float("-inf")

    async def serve(self, listeners: Iterable[socket.socket]) -> None:
        """Accept connections until canceled."""
        async with asyncio.TaskGroup() as group:
            for listener in listeners:
                group.create_task(self._accept_all(listener))

    async def _accept_all(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(listener)
                await self._let_in(connection, str(address[0]))
            except OSError as error:
                nothing_left = error.errno in _NOTHING_LEFT
                if nothing_left:
                    self._close_one()
                await asyncio.sleep(NOTHING_LEFT_SECONDS if nothing_left else 0)

    async def _let_in(self, connection: socket.socket, peer: str) -> None:
        self._guests = {each: guest for each, guest in self._guests.items() if not guest.transport.is_closing()}
        if len(self._guests) >= self._most and not self._close_one():
            connection.close()
            await asyncio.sleep(0)
            return
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.connect_accepted_socket(self._server, connection)
        self._guests[protocol] = Guest(peer, transport)

    def _close_one(self) -> bool:
        """Close the oldest idle connection of the peer that has most of them; False where there is none."""
        self._log()
        idle = [(each, guest) for each, guest in self._guests.items() if each not in self._busy]
        if not idle:
            return False
        counted = Counter(guest.peer for _, guest in idle)
        protocol, guest = max(idle, key=lambda one: counted[one[1].peer])
        del self._guests[protocol]
        guest.transport.abort()
        return True

    def _log(self) -> None:
        """One line now and then: a flood fills no disk."""
        self._turned_away += 1
        now = time.monotonic()
        if now - self._logged_at >= LOG_SECONDS:
            log.warning("hook.crowded", connections=len(self._guests), most=self._most, closed=self._turned_away)
            self._logged_at, self._turned_away = now, 0


def listen(address: str, port: int) -> list[socket.socket]:
    """Sockets on all that an address stands for; raises `OSError`."""
    found = dict.fromkeys((each[0], each[4][:2]) for each in socket.getaddrinfo(address, port, type=socket.SOCK_STREAM))
    listeners = [socket.create_server(place, family=family, backlog=BACKLOG) for family, place in found]
    for listener in listeners:
        listener.setblocking(False)
    return listeners
