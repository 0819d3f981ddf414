"""The sandbox in a process of its own, which notes when each job was polled and what it was told."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
import time
from collections import defaultdict
from typing import Any

import click
from aiohttp import web

from sandbox.jobs import latency_of
from sandbox.server import make_app
from sandbox.world import Options

#: Where the notes are read: for each job of the provider, [seconds since the epoch, whether it was told "success"].
POLLS_PATH = "/_bench/polls"

_JOBS = "/photogpt/api/jobs/"

Handler = Any


class Notes:
    """A middleware: all polls, by the provider's job id."""

    def __init__(self) -> None:
        self._polls: dict[str, list[tuple[float, bool]]] = defaultdict(list)

    @property
    def middleware(self) -> Any:
        @web.middleware
        async def note(request: web.Request, handler: Handler) -> web.StreamResponse:
            arrived = time.time()
            response: web.StreamResponse = await handler(request)
            if request.path.startswith(_JOBS) and isinstance(response, web.Response):
                done = b'"success"' in bytes(response.body or b"").lower()  # type: ignore[arg-type]  # made of bytes
                self._polls[request.path.removeprefix(_JOBS)].append((arrived, done))
            return response

        return note

    async def show(self, _request: web.Request) -> web.Response:
        return web.Response(text=json.dumps(self._polls), content_type="application/json")


def done_at(purchase: dict[str, Any], latency_seconds: float) -> float:
    """When the job of a purchase is done [seconds since the epoch]."""
    return float(purchase["time"]) + latency_of(purchase["digest"], mean_seconds=latency_seconds)


async def serve(options: Options) -> None:
    """Serve on a port that the system chooses, until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    app, notes = make_app(options), Notes()
    app.middlewares.append(notes.middleware)
    app.router.add_get(POLLS_PATH, notes.show)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.0)
    await runner.setup()
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    try:
        await web.SockSite(runner, listener, backlog=4096).start()
        sys.stdout.write(f"ready {listener.getsockname()[1]}\n")
        sys.stdout.flush()
        await stop.wait()
    finally:
        await runner.cleanup()


@click.command()
@click.option("--latency", type=float, required=True)
@click.option("--result-bytes", type=int, required=True)
def main(latency: float, result_bytes: int) -> None:
    """Be PhotoGPT."""
    asyncio.run(serve(Options(latency_seconds=latency, result_bytes=result_bytes)))


if __name__ == "__main__":
    main()
