"""Redirects of downloads: each hop is checked, and only a few are followed."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from bide.errors import BadMediaError, DownloadError
from bide.providers.base import Media
from tests.contract.media_fetch import PNG, always, client_of, fetch
from tests.contract.web import Handler, serving
from workers.io.media import download


def redirecting(location: str) -> Handler:
    """A handler that redirects as often as the path says, in the end to `location`, and serves a picture at /out."""

    async def handler(request: web.Request) -> web.StreamResponse:
        if request.path == "/out":
            return web.Response(body=PNG)
        left = int(request.path.strip("/"))
        target = location if left <= 1 else f"/{left - 1}"
        return web.Response(status=(301, 302, 303, 307, 308)[left % 5], headers={"Location": target})

    return handler


@pytest.mark.parametrize("hops", [1, 5])
def test_a_few_redirects_are_followed(hops: int) -> None:
    """Five redirects of any kind, relative ones too."""
    with fetch(redirecting("/out"), f"/{hops}") as fetched:
        assert fetched.size == len(PNG)


def test_many_redirects_are_not_followed() -> None:
    """The sixth is one too many."""
    with pytest.raises(DownloadError, match="more than 5 redirects"):
        fetch(redirecting("/out"), "/6")


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://127.0.0.1:1/out",
        "http://0x7f.1/out",
        "http://[::1]/out",
        "http://localhost/out",
        "//localhost/out",
        "file:///etc/passwd",
        "http://user:SECRET@example.com/",
    ],
)
def test_each_redirect_is_checked_again(location: str) -> None:
    """A listed host may not lead on to an inside address: not by number, not by name, not by another scheme."""
    with pytest.raises(BadMediaError) as refused:
        fetch(redirecting(location), "/1")
    assert "SECRET" not in str(refused.value)


@pytest.mark.parametrize("location", [None, "http://[broken"])
def test_a_redirect_to_nowhere_is_tried_again(location: str | None) -> None:
    """A redirect that can't be followed says nothing about the result."""
    headers = {} if location is None else {"Location": location}
    with pytest.raises((DownloadError, BadMediaError)):
        fetch(always(b"", status=302, headers=headers))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_inside_addresses_are_refused_unless_listed(host: str) -> None:
    """The server is there and would answer; it is never asked."""
    asked = []

    async def handler(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        return web.Response(body=PNG)

    async def main() -> None:
        async with serving(handler) as served, client_of() as client:
            port = served.rpartition(":")[2]
            await download(client, Media("image", f"http://{host}:{port}/"), max_bytes=10_000)

    with pytest.raises(BadMediaError, match="not a public address"):
        asyncio.run(main())
    assert asked == []
