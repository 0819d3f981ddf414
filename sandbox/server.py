"""One HTTP server for all providers."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from sandbox.control import Control
from sandbox.faults import PROVIDERS
from sandbox.provider import Provider
from sandbox.providers import bfl, comfyui, cyberphotobooth, dreambooth, nextry, openai_videos, photogpt_part
from sandbox.providers.bfl import BFL
from sandbox.providers.comfyui import ComfyUI
from sandbox.providers.cyberphotobooth import CyberPhotoBooth
from sandbox.providers.dreambooth import Dreambooth
from sandbox.providers.nextry import Nextry
from sandbox.providers.openai_videos import OpenAIVideos
from sandbox.providers.photogpt import PhotoGPT
from sandbox.providers.photogpt_films import PhotoGPTFilms
from sandbox.world import Options, World

#: Largest request that is read [bytes].
_LARGEST_REQUEST_BYTES = 64 * 1024 * 1024

_PARTS: tuple[type[Provider], ...] = (
    *(CyberPhotoBooth, Dreambooth, Nextry, PhotoGPT, PhotoGPTFilms),
    *(ComfyUI, BFL, OpenAIVideos),
)

_ROOTS = (
    *(cyberphotobooth.ROOT, dreambooth.ROOT, nextry.ROOT, photogpt_part.ROOT),
    *(comfyui.ROOT, bfl.ROOT, openai_videos.ROOT),
)

#: Base path of each provider, below the server's address.
BASE_PATHS = dict(zip(PROVIDERS, _ROOTS, strict=True))


@dataclass(frozen=True)
class Address:
    """Where to listen; port 0: the system chooses."""

    host: str = "127.0.0.1"
    port: int = 0


def make_app(options: Options | None = None) -> web.Application:
    """The whole sandbox as an application, with a state of its own."""
    world = World(options or Options())
    app = web.Application(client_max_size=_LARGEST_REQUEST_BYTES)
    for part in _PARTS:
        app.add_routes(part(world).routes())
    app.add_routes(Control(world).routes())

    async def close(_app: web.Application) -> None:
        await world.hooks.close()
        world.close()

    app.on_cleanup.append(close)
    return app


def base_urls(origin: str) -> dict[str, str]:
    """The base address of each provider, as it goes into a client's configuration."""
    return {name: origin + path for name, path in BASE_PATHS.items()}


async def serve(options: Options, address: Address, ready: Callable[[int], None]) -> None:
    """Serve until SIGTERM or SIGINT; `ready` gets the port. Requests that hang then are cut off."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    runner = web.AppRunner(make_app(options), access_log=None, handler_cancellation=True, shutdown_timeout=0.0)
    await runner.setup()
    listener = socket.create_server((address.host, address.port), backlog=4096)
    try:
        await web.SockSite(runner, listener, backlog=4096).start()
        ready(listener.getsockname()[1])
        await stop.wait()
    finally:
        await runner.cleanup()
