"""A server that means harm: it accepts every connection, and answers none, or sends a little again and again."""

from __future__ import annotations

import asyncio
import threading
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

#: How often a drip is sent [seconds].
DRIP_SECONDS = 0.1


class Tarpit:
    """Listens on a port of its own, on all of `addresses`; `drip` is what each connection gets again and again.

    Each address first answers `answers` calls at once, as a good receiver does.
    """

    def __init__(self, *addresses: str, drip: bytes = b"", answers: int = 0) -> None:
        self._addresses, self._drip = addresses or ("127.0.0.1",), drip
        self._answers = dict.fromkeys(self._addresses, answers)
        self._ready, self._stop = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._loop: asyncio.AbstractEventLoop
        #: What is aborted at the end, also where the loop ends before the connection's task has begun.
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        #: How many connections are open, and the most that ever were.
        self.open = self.most_open = 0
        self.port = 0

    def url(self, address: str = "127.0.0.1", path: str = "/hook") -> str:
        return f"http://{address}:{self.port}{path}"

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with AsyncExitStack() as servers:
            for address in self._addresses:
                server = await asyncio.start_server(self._accept, address, self.port, backlog=1024)
                servers.push_async_callback(_close, server)
                self.port = server.sockets[0].getsockname()[1]
            self._ready.set()
            await self._stop.wait()
        accepting = asyncio.all_tasks() - self._tasks - {asyncio.current_task()}
        await asyncio.gather(*accepting, return_exceptions=True)  # their connections come to `_accept`, too
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.sleep(0)  # the loop closes the sockets in its next turn

    @property
    def trusted(self) -> bool:
        """Whether every address has given its answers."""
        return not any(self._answers.values())

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        self._tasks.add(asyncio.create_task(self._take(reader, writer)))

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = writer.get_extra_info("sockname")[0]
        if not self._answers[address]:
            await self._keep_open(reader, writer)
            return
        self._answers[address] -= 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async def _keep_open(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        dripping = asyncio.create_task(self._send(writer))
        self._tasks.add(dripping)
        try:
            while await reader.read(65536):
                pass
        except (OSError, asyncio.CancelledError):
            pass  # as good as its end
        finally:
            self.open -= 1
            dripping.cancel()
            writer.transport.abort()

    async def _send(self, writer: asyncio.StreamWriter) -> None:
        while self._drip:
            writer.write(self._drip)
            await asyncio.sleep(DRIP_SECONDS)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()


async def _close(server: asyncio.Server) -> None:
    server.close()
