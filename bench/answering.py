"""A server that answers each GET at once with the same short JSON, so that what asks is what is measured."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from typing import cast

import uvloop

_BODY = json.dumps({"status": "OK", "result": {"status": "processing", "progress": 0.5, "note": "x" * 120}}).encode()
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY)


class Answering(asyncio.Protocol):
    """One connection; a request ends with its head."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self._heard = cast(asyncio.Transport, transport), b""  # uvloop's are of a kind of their own

    def data_received(self, data: bytes) -> None:
        *heads, self._heard = (self._heard + data).split(b"\r\n\r\n")
        self._transport.write(_ANSWER * len(heads))


async def main() -> None:
    """Serve on a port that the system chooses, until SIGTERM."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    server = await loop.create_server(Answering, "127.0.0.1", 0, backlog=4096)
    sys.stdout.write(f"ready {server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await stop.wait()
    server.close()


if __name__ == "__main__":
    uvloop.run(main())
