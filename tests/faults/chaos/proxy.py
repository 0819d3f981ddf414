"""A wire to a server: it can be cut, or swallow all. One to the broker reads commands, doubles messages, drops some."""

from __future__ import annotations

import asyncio
import re
import threading
import uuid
from collections import Counter
from collections.abc import Coroutine
from random import Random
from typing import Any, Self

#: Redis commands that put a message into a queue.
_PUTS = (b"LPUSH", b"RPUSH")

_TAG = re.compile(rb'"delivery_tag": ?"[^"]+"')

_PIECE_BYTES = 64 * 1024


class Wire:
    """Forwards one TCP port to another, in a thread of its own; `with Wire(...) as wire: wire.port`."""

    def __init__(self, to_port: int, *, host: str = "127.0.0.1", reads: bool, seed: int = 0) -> None:
        self.host, self.port = host, 0
        self._to_port, self._reads = to_port, reads
        self._random = Random(seed)
        #: What happens to messages that pass now.
        self.doubling, self.drop_share = False, 0.0
        #: Whether all that comes is swallowed, while the connections stay.
        self.swallows = False
        self.counts: Counter[str] = Counter()
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="wire", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._run(self._listen())
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut(self) -> None:
        """Break every connection there is; new ones are served."""
        self._run(self._cut())

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._serve, self.host, self.port)

    async def _cut(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def _end(self) -> None:
        self._server.close()
        await self._cut()
        while others := asyncio.all_tasks() - {asyncio.current_task()}:  # their connections are broken: they end
            await asyncio.wait(others)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._to_port)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, back}
        forwards = self._commands(reader, back) if self._reads else self._copy(reader, back)
        there_and_back = [asyncio.create_task(forwards), asyncio.create_task(self._copy(there, writer))]
        try:
            await asyncio.wait(there_and_back, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in there_and_back:
                task.cancel()
            await asyncio.gather(*there_and_back, return_exceptions=True)
            for each in (writer, back):
                each.transport.abort()
            self._writers -= {writer, back}

    async def _commands(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                command = await _command(reader)
                writer.write(_packed(self._meddled(command)))
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            return

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while piece := await reader.read(_PIECE_BYTES):
                if not self.swallows:
                    writer.write(piece)
                    await writer.drain()
        except OSError:
            return

    def _meddled(self, command: list[bytes]) -> list[bytes]:
        """A put of one message as the put of two, or of none: Redis answers each with the queue's length."""
        if command[0].upper() not in _PUTS or len(command) != 3:
            return command
        self.counts["messages"] += 1
        if self._random.random() < self.drop_share:
            self.counts["dropped"] += 1
            return [b"LLEN", command[1]]
        if not self.doubling:
            return command
        self.counts["doubled"] += 1
        return [*command, _TAG.sub(b'"delivery_tag": "%s"' % str(uuid.uuid4()).encode(), command[2])]


async def _command(reader: asyncio.StreamReader) -> list[bytes]:
    """One command as clients send it: an array of byte strings."""
    parts = []
    for _ in range(int((await reader.readuntil(b"\r\n"))[1:])):
        size = int((await reader.readuntil(b"\r\n"))[1:])
        parts.append((await reader.readexactly(size + 2))[:-2])
    return parts


def _packed(command: list[bytes]) -> bytes:
    return b"*%d\r\n" % len(command) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in command)
