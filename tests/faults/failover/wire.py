"""The wire in front of one Redis: all reach that server by it, and its replicas get what is written late, or never."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Self

_PIECE_BYTES = 64 * 1024

_LISTEN_BACKLOG = 200


class LaggingWire:
    """Forwards one TCP port to another, in a thread of its own.

    A connection that carries PSYNC is a replica's: what the server sends it takes `lag_seconds`. When the server dies,
    what is still on its way is lost, as with the buffers of a host that fails.
    """

    def __init__(self, to_port: int) -> None:
        self.port, self.lag_seconds = 0, 0.0
        self._to_port = to_port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="lagging-wire", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=_LISTEN_BACKLOG))
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _end(self) -> None:
        self._server.close()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._to_port)
        except OSError:
            writer.transport.abort()
            return
        replica = asyncio.Event()
        both = [
            asyncio.create_task(self._forwards(reader, back, replica)),
            asyncio.create_task(self._back(there, writer, replica)),
        ]
        with suppress(asyncio.CancelledError):  # the end of the run, which may come while this ends by itself
            try:
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in both:
                    task.cancel()
                await asyncio.gather(*both, return_exceptions=True)
        writer.transport.abort()
        back.transport.abort()

    async def _forwards(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, replica: asyncio.Event
    ) -> None:
        try:
            while piece := await reader.read(_PIECE_BYTES):
                if b"PSYNC" in piece.upper():
                    replica.set()
                writer.write(piece)
                await writer.drain()
        except OSError:
            return

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, replica: asyncio.Event) -> None:
        """Pieces in their order, each as late as the wire is at its arrival; returns when the server's end is gone."""
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        sending = asyncio.create_task(self._send(queue, writer))
        try:
            while piece := await reader.read(_PIECE_BYTES):
                late = self.lag_seconds if replica.is_set() else 0.0
                queue.put_nowait((self._loop.time() + late, piece))
        except OSError:
            return
        finally:
            if not replica.is_set():
                await asyncio.sleep(0)  # a last answer to a client still goes out
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    async def _send(self, queue: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        while True:
            at, piece = await queue.get()
            if (seconds := at - self._loop.time()) > 0:
                await asyncio.sleep(seconds)
            writer.write(piece)
            await writer.drain()
