"""One HTTP server for all providers."""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from sandbox.control import Control
from sandbox.provider import Provider
from sandbox.providers.bfl import BFL
from sandbox.providers.comfyui import ComfyUI
from sandbox.providers.cyberphotobooth import CyberPhotoBooth
from sandbox.providers.dreambooth import Dreambooth
from sandbox.providers.fal import Fal
from sandbox.providers.guild import Guild
from sandbox.providers.nextry import Nextry
from sandbox.providers.openai_videos import OpenAIVideos
from sandbox.providers.photogpt import PhotoGPT
from sandbox.providers.photogpt_films import PhotoGPTFilms
from sandbox.providers.replicate import Replicate
from sandbox.world import Options, World

#: Largest request that is read [bytes].
_LARGEST_REQUEST_BYTES = 64 * 1024 * 1024

_PARTS: tuple[type[Provider], ...] = (
    *(CyberPhotoBooth, Dreambooth, Fal, Nextry, PhotoGPT, PhotoGPTFilms, Replicate),
    *(ComfyUI, BFL, OpenAIVideos, Guild),
)

#: Base path of each provider, below the server's address.
BASE_PATHS = {part.name: part.root for part in _PARTS}


@dataclass(frozen=True)
class Address:
    """Where to listen; port 0: the system chooses."""

    host: str = "127.0.0.1"
    port: int = 0
    #: Key and certificate in one file, for a second port that speaks TLS; None: there is none.
    certificate: Path | None = None


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


async def serve(options: Options, address: Address, ready: Callable[[int, int], None]) -> None:
    """Serve until SIGTERM or SIGINT; `ready` gets the ports without and with TLS (0: none).

    Requests that hang then are cut off.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    runner = web.AppRunner(make_app(options), access_log=None, handler_cancellation=True, shutdown_timeout=0.0)
    await runner.setup()
    listener = socket.create_server((address.host, address.port), backlog=4096)
    try:
        await web.SockSite(runner, listener, backlog=4096).start()
        ready(listener.getsockname()[1], await _serve_tls(runner, address))
        await stop.wait()
    finally:
        await runner.cleanup()


async def _serve_tls(runner: web.AppRunner, address: Address) -> int:
    """Serve on a second port, which speaks TLS; the port, 0 where there is no certificate."""
    if address.certificate is None:
        return 0
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(address.certificate)
    listener = socket.create_server((address.host, 0))
    await web.SockSite(runner, listener, ssl_context=context).start()
    return int(listener.getsockname()[1])
