"""The door of the hooks endpoint: whom it closes for a new connection, over real sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from workers.hooks.door import LEAST_CONNECTIONS, MOST_CONNECTIONS, Door, listen, most_connections


class Busy(asyncio.Protocol):
    """A server's side of a connection: it says hello, and has a call under way once a byte has come."""

    def __init__(self, busy: set[object]) -> None:
        self._busy = busy
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(b"hello")

    def data_received(self, data: bytes) -> None:
        self._busy.add(self)
        self.transport.write(data)


@asynccontextmanager
async def serving(*, most: int) -> AsyncIterator[int]:
    """A door with so many connections at most; gives its port."""
    [listener] = listen("127.0.0.1", 0)
    busy: set[object] = set()
    door = asyncio.create_task(Door(lambda: Busy(busy), busy=busy, most=most).serve([listener]))
    try:
        yield listener.getsockname()[1]
    finally:
        door.cancel()
        with suppress(asyncio.CancelledError):
            await door
        listener.close()


class Guests(AsyncExitStack):
    """Connections to a door, closed at the end."""

    async def come(self, port: int, *, address: str = "127.0.0.1", busy: bool = False) -> asyncio.StreamReader:
        """Another one, which has been let in, or was turned away: then it is at its end."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
        self.push_async_callback(_close, writer)
        if await reader.read(5) and busy:
            writer.write(b"x")
            assert await reader.read(1) == b"x"
        return reader


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def closed(reader: asyncio.StreamReader) -> bool:
    """Whether the other side has closed a connection; one that has not says no more, either."""
    try:
        return await asyncio.wait_for(reader.read(1), 0.2) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def test_the_oldest_idle_one_makes_room() -> None:
    """A connection with a call under way stays, however old; of the others the oldest goes."""

    async def scene() -> list[bool]:
        async with serving(most=3) as port, Guests() as guests:
            readers = [await guests.come(port, busy=True), *[await guests.come(port) for _ in range(3)]]
            return [await closed(each) for each in readers]

    assert asyncio.run(scene()) == [False, True, False, False]


def test_a_crowd_makes_room_by_itself() -> None:
    """The address that holds most loses one, and not the one that came before it."""

    async def scene() -> list[bool]:
        async with serving(most=4) as port, Guests() as guests:
            addresses = ["127.0.0.2", *["127.0.0.1"] * 3, "127.0.0.3"]
            readers = [await guests.come(port, address=each) for each in addresses]
            return [await closed(each) for each in readers]

    assert asyncio.run(scene()) == [False, True, False, False, False]


def test_where_all_are_busy_a_new_one_is_turned_away() -> None:
    """Calls under way are taken to their end."""

    async def scene() -> list[bool]:
        async with serving(most=2) as port, Guests() as guests:
            readers = [await guests.come(port, busy=True) for _ in range(3)]
            return [await closed(each) for each in readers]

    assert asyncio.run(scene()) == [False, False, True]


def test_connections_leave_files_for_the_rest() -> None:
    """The bound follows from the files that the process may open."""
    assert LEAST_CONNECTIONS <= most_connections() <= MOST_CONNECTIONS


def test_all_addresses_of_a_name_are_listened_on() -> None:
    """`localhost` may be two."""
    listeners = listen("localhost", 0)
    for listener in listeners:
        listener.close()
    assert {each.family for each in listeners} <= {socket.AF_INET, socket.AF_INET6}
