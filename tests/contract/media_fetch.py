"""A server of media, and what a download of it comes to."""

from __future__ import annotations

import asyncio
import io
from functools import partial

from aiohttp import web
from PIL import Image

from bide.providers.base import Media
from tests.contract.web import Handler, http_client, serving
from workers.io.http import HttpOptions, Timeouts
from workers.io.media import Fetched, download

OPTIONS = HttpOptions(media=Timeouts(connect_seconds=1, read_seconds=0.4, total_seconds=3))

#: A client with these options, closed at the end.
client_of = partial(http_client, OPTIONS)


def picture(kind: str = "PNG", size: tuple[int, int] = (40, 30)) -> bytes:
    """A real picture."""
    file = io.BytesIO()
    Image.effect_noise(size, 80).save(file, kind)
    return file.getvalue()


PNG = picture()
JPEG = picture("JPEG")


def fetch(handler: Handler, *paths: str, max_bytes: int = 10_000_000) -> Fetched:
    """What comes of an output that a server, listed in MEDIA_HOSTS, offers at `paths`."""

    async def main() -> Fetched:
        async with serving(handler) as host, client_of() as client:
            url, *others = [f"http://{host}{path}" for path in paths or ("/out.png?sig=SECRET",)]
            media = Media("image", url, fallback_urls=tuple(others))
            return await download(client, media, max_bytes=max_bytes, allowed_hosts=[host])

    return asyncio.run(main())


def always(body: bytes, **options: object) -> Handler:
    """A handler with one answer."""

    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body, **options)  # type: ignore[arg-type]  # the options of web.Response

    return handler


def cut_after(count: int, *, declared: bool) -> Handler:
    """A handler that sends the start of a picture and hangs up, with or without saying how long it would have been."""

    async def handler(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        length = f"Content-Length: {len(PNG)}\r\n" if declared else ""
        request.transport.write(f"HTTP/1.1 200 OK\r\n{length}\r\n".encode() + PNG[:count])
        request.transport.close()
        return web.Response()

    return handler
