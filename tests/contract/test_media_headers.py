"""An adapter's headers for downloads go to the origin of its base URL over real connections, and nowhere else."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bide.errors import BadMediaError, DownloadError
from bide.providers.base import Media
from tests.contract.hostile_net import PlayedNet, client_of, played
from tests.contract.media_fetch import PNG
from tests.integration.guarded_redis import certificates
from workers.io.media import download
from workers.io.origin import OriginHeaders

KEY = "planted-key-0123456789"
HEADERS = {"Authorization": f"Bearer {KEY}", "X-Team": "team-canary-0123456789"}


@dataclass
class Host:
    """A server, where its paths lead to (a picture, unless redirected), and what each request brought along."""

    url: str = ""
    redirects: dict[str, str] = field(default_factory=dict)
    #: Path, and whether the headers came along.
    asked: list[tuple[str, bool]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        keys = {request.headers.get(name) for name in HEADERS}
        assert keys in ({None}, set(HEADERS.values())), "all of them or none"
        self.asked.append((request.path, keys != {None}))
        if location := self.redirects.get(request.path):
            return web.Response(status=302, headers={"Location": location})
        return web.Response(body=PNG)


@asynccontextmanager
async def hosting(tls: ssl.SSLContext | None = None) -> AsyncIterator[Host]:
    """A server on this machine."""
    host = Host()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", host.answer)
    server = TestServer(app, scheme="https" if tls else "http")
    await server.start_server(ssl=tls, shutdown_timeout=0.1)
    host.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.port}"
    try:
        yield host
    finally:
        await server.close()


async def fetched(url: str, base_url: str, *copies: str, allowed: tuple[str, ...] = ("127.0.0.1",)) -> int:
    """Download an output of a provider with this base URL."""
    async with client_of() as client:
        own = OriginHeaders(base_url, HEADERS)
        media = Media("image", url, fallback_urls=copies)
        with await download(client, media, max_bytes=10_000_000, allowed_hosts=allowed, own_headers=own) as file:
            return file.size


def between(work: Callable[[Host, Host], Coroutine[Any, Any, None]]) -> None:
    """Run a test's work with the provider's server and another one."""

    async def main(net: PlayedNet) -> None:
        net.names["provider.example"] = net.names["provider.example."] = [["127.0.0.1"]]
        async with hosting() as provider, hosting() as other:
            await work(provider, other)

    played(main)


def test_they_go_to_the_origin_of_the_base_url() -> None:
    """Whatever the path, also behind redirects within it."""

    async def work(provider: Host, _: Host) -> None:
        provider.redirects["/a"] = "/b?sig=1"
        provider.redirects["/b"] = f"{provider.url}/c"
        assert await fetched(f"{provider.url}/a", f"{provider.url}/v1/deep") == len(PNG)
        assert provider.asked == [("/a", True), ("/b", True), ("/c", True)]

    between(work)


def test_another_origin_gets_none() -> None:
    """Another port is another origin; so is the same host by another name."""

    async def work(provider: Host, other: Host) -> None:
        port = provider.url.rpartition(":")[2]
        await fetched(f"{other.url}/a", provider.url)
        await fetched(f"http://localhost:{port}/a", provider.url, allowed=("localhost",))
        assert (provider.asked, other.asked) == ([("/a", False)], [("/a", False)])

    between(work)


@pytest.mark.parametrize("host", ["provider.example", "PROVIDER.Example", "provider.example."])
def test_another_spelling_of_the_host_is_the_same_origin(host: str) -> None:
    """Capitals, and the dot at the end of a whole name."""

    async def work(provider: Host, _: Host) -> None:
        port = provider.url.rpartition(":")[2]
        url = f"HTTP://{host}:{port}/a"
        await fetched(url, f"http://provider.example:{port}", allowed=("provider.example",))
        assert provider.asked == [("/a", True)]

    between(work)


def test_a_redirect_elsewhere_drops_them_for_good() -> None:
    """Elsewhere they don't come along, nor back at the provider: who sent us there does not choose what a key opens."""

    async def work(provider: Host, other: Host) -> None:
        provider.redirects["/a"] = f"{other.url}/x"
        other.redirects["/x"] = f"{provider.url}/jobs/7/delete"
        await fetched(f"{provider.url}/a", provider.url)
        assert provider.asked == [("/a", True), ("/jobs/7/delete", False)]
        assert other.asked == [("/x", False)]

    between(work)


def test_a_stranger_that_leads_to_the_provider_brings_no_key_along() -> None:
    """An address that begins elsewhere never has them."""

    async def work(provider: Host, other: Host) -> None:
        other.redirects["/x"] = f"{provider.url}/jobs/7/delete"
        await fetched(f"{other.url}/x", provider.url)
        assert provider.asked == [("/jobs/7/delete", False)]

    between(work)


def test_a_copy_is_an_address_of_its_own() -> None:
    """Where the first address fails, a copy at the provider gets them."""

    async def work(provider: Host, other: Host) -> None:
        other.redirects["/x"] = "http://[broken"
        await fetched(f"{other.url}/x", provider.url, f"{provider.url}/copy")
        assert (other.asked, provider.asked) == ([("/x", False)], [("/copy", True)])

    between(work)


def test_a_way_without_tls_gets_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From https down to http, at the same host, and up from http to https: neither is the origin."""
    authority, certificate, key = certificates(tmp_path)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, key)
    monkeypatch.setattr(httpx, "create_ssl_context", lambda **_: ssl.create_default_context(cafile=authority))

    async def work(plain: Host, _: Host) -> None:
        async with hosting(tls) as safe:
            safe.redirects["/a"] = f"{plain.url}/b"
            await fetched(f"{safe.url}/a", safe.url)
            assert (safe.asked, plain.asked) == ([("/a", True)], [("/b", False)])
            await fetched(f"{safe.url}/c", plain.url)
            assert safe.asked[-1] == ("/c", False)

    between(work)


@pytest.mark.parametrize(
    "address",
    [
        "https://api.example@evil.example/a",
        "https://user:pass@api.example/a",
        "https://user@api.example/a",
        "https://evil.example\\@api.example/a",
        "https://api.example\\.evil.example/a",
        "https://api.example.evil.example/a",
        "https://evil.example#@api.example/a",
        "https://evil.example?@api.example/a",
        "https://api.example:8443/a",
        "https://api.example:80/a",
        "http://api.example/a",
        "http://api.example:443/a",
        "https://xapi.example/a",
        "https://api.example../a",
        "https://api\u3002evil.example/a",
        "https://[::1]/a",
        "//api.example/a",
        "/a",
        "",
    ],
)
def test_no_odd_address_is_taken_for_the_origin(address: str) -> None:
    """User names, backslashes, other ports and schemes, and what is no address at all."""
    own = OriginHeaders("https://api.example/v1", HEADERS)
    assert own.of("https://API.example:443/a") == HEADERS
    assert own.of(address) == {}


def test_addresses_with_a_user_name_are_not_fetched() -> None:
    """Neither at once nor behind a redirect."""

    async def work(provider: Host, _: Host) -> None:
        tricky = provider.url.replace("//", "//user:pass@")
        provider.redirects["/a"] = f"{tricky}/b"
        for url, asked in ((f"{tricky}/b", []), (f"{provider.url}/a", [("/a", True)])):
            with pytest.raises(BadMediaError, match="user name"):
                await fetched(url, provider.url)
            assert provider.asked == asked

    between(work)


@pytest.mark.parametrize("host", ["127.0.0.1", "provider.example", "localhost", "2130706433", "[::ffff:127.0.0.1]"])
def test_the_guard_stands_before_the_key(host: str) -> None:
    """A base URL opens no private address: what is not listed is not asked, with or without headers."""

    async def work(provider: Host, _: Host) -> None:
        base = f"http://{host}:{provider.url.rpartition(':')[2]}"
        with pytest.raises(BadMediaError, match="public address"):
            await fetched(f"{base}/a", base, allowed=())
        assert provider.asked == []

    between(work)


def test_no_error_tells_them() -> None:
    """Not that of an answer, nor of a key that no header can hold, nor a repr."""

    async def refuse(_: web.Request) -> web.StreamResponse:
        return web.Response(status=401)

    async def main() -> None:
        app = web.Application()
        app.router.add_get("/a", refuse)
        async with TestServer(app) as server, client_of() as client:
            base = f"http://{server.host}:{server.port}"
            for value in (KEY, f"{KEY}\nX: y", f"{KEY}\u00fc"):
                own = OriginHeaders(base, {"Authorization": value})
                with pytest.raises(DownloadError) as error:
                    await download(
                        client,
                        Media("image", f"{base}/a?sig=SECRET"),
                        max_bytes=100,
                        allowed_hosts=[server.host],
                        own_headers=own,
                    )
                shown = f"{error.value!r} {error.value.__cause__!r} {error.value.__context__!r} {own!r}"
                assert KEY not in shown
                assert "SECRET" not in shown

    asyncio.run(main())
