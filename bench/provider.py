"""The sandbox in a process of its own, which notes when each job was polled and what the answer was."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
import time
import uuid
from collections import defaultdict
from typing import Any

import click
import uvloop
from aiohttp import web

from bench.workload import params
from sandbox.control import Control
from sandbox.jobs import Draft, latency_of
from sandbox.providers.photogpt import PhotoGPT
from sandbox.providers.photogpt_films import PhotoGPTFilms
from sandbox.world import Options, World

#: Where the notes are read: for each job of the provider, [seconds since the epoch, whether the answer was "success"].
POLLS_PATH = "/_bench/polls"

#: Where jobs are accepted by the hundred, without the requests that would submit them: a JSON list of prompts.
JOBS_PATH = "/_bench/jobs"

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


def make_app(world: World) -> web.Application:
    """PhotoGPT as the sandbox plays it, and the bench's own paths."""
    notes = Notes()
    app = web.Application(middlewares=[notes.middleware], client_max_size=64 * 1024 * 1024)
    for part in (PhotoGPT, PhotoGPTFilms):
        app.add_routes(part(world).routes())
    app.add_routes(Control(world).routes())

    async def accept(request: web.Request) -> web.Response:
        return web.json_response([_accepted(world, name) for name in await request.json()])

    app.router.add_get(POLLS_PATH, notes.show)
    app.router.add_post(JOBS_PATH, accept)
    return app


def _accepted(world: World, name: str) -> str:
    details = {"count": 1, "width": 512, "height": 512, "model": params(name)["modelID"]}
    return world.accept(Draft("photogpt", "images.generation", params(name), name, details), str(uuid.uuid4())).id


async def serve(options: Options) -> None:
    """Serve on a port that the system chooses, until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    runner = web.AppRunner(make_app(World(options)), access_log=None, handler_cancellation=True, shutdown_timeout=0.0)
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
    uvloop.run(serve(Options(latency_seconds=latency, result_bytes=result_bytes)))


if __name__ == "__main__":
    main()
