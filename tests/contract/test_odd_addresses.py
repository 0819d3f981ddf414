"""Addresses that parsers stumble over: each is a failure of that address alone, and a working copy is fetched."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from bide.addresses import web_address
from bide.errors import BadMediaError, ConfigurationError, DownloadError, InvalidRequestError
from bide.providers import find
from bide.providers.base import Account, Answer, Call, InputForm, Media, Succeeded, Ticket
from bide.storage import Storage, StorageOptions
from tests.contract.hostile_net import PlayedNet, client_of, played, redirect_to
from tests.contract.media_fetch import PNG
from tests.contract.web import serving
from workers.io.inputs import InputFetcher
from workers.io.media import SPOOL_BYTES, download

#: What may stand between `//` and the path.
HOSTS = (
    "xn--127-", "XN--127-", "xn--", "xn--a", "xn--0", "xn--zzzzzz", "xn--ls8h.example", "xn--a-ecp.example",
    "a.xn--127-", "xn--127-.xn--127-", "a\uff0eb.", "\uff0e", "a\uff0e\uff0eb", "[fe80::1%\uff0e]", "[::1%\u00fc]",
    "[::1%25]", "a..b", ".a", ".", "..", "a" * 64 + ".example", "a." * 140 + "example", "-a.example", "a-.example",
    "\u2603.example", "a_b.example", "a\x00b", "\ud800", "\udfff.example", "a\u202eb", "[v1.a]", "[", "]", "[]",
    "%", "%00", "%zz", "a%2eb", "xn--\u00fc", "\u0130.example", "\u200d.example", "\u0660.example",
    "\u2488.example", "1.2.3.4.5", "1.2.3.256", "0x", "09.1", "a\u3002b.", "a\u00adb.example", "\ufeffa.example",
    "*", "a b", "a\tb", "::1", "a:b", "a:99999", "a:-1", "a:0", "a:\u0661", "a:1e3", "a:80:80", "a:" + "9" * 5000,
    "@", "u@", "u@a", "a#", "a?", "", "\u0378.example", "\U0001f4a9.example", "a\\b",
)  # fmt: skip

#: And where it may stand.
FORMS = ("http://{}/a.png", "http://{}", "https://{}:443/x?y=\ud800", "http://{}/\ud800", "http://{}/a\u2028b", "//{}/")

WHOLE = (
    "", "http:", "http:/", "http:///", "://", "\ud800", "http\ud800://a/", "http://" + "a" * 70_000,
    "http://a/" + "b" * 70_000, "http://a.example/b\r\nX: y", "http:\\\\a", "http://a/\\..", "javascript:alert(1)",
    "file:///etc/passwd", "http://[::1",
)  # fmt: skip

ODD = (*(form.format(host) for host in HOSTS for form in FORMS), *WHOLE)


class NowhereNet(PlayedNet):
    """A net in which the names of the table are looked up as the system does it, up to the question itself."""

    async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> list[Any]:
        if host == "127.0.0.1":
            return await super().getaddrinfo(host, port, **options)
        host.encode("idna")
        raise OSError(f"{host} is not known")


def test_each_odd_address_is_a_failure_of_its_own() -> None:
    """With one of the two errors that the store step knows, in one printable line; nobody is called."""

    async def work(net: PlayedNet) -> None:
        async with client_of() as client:
            for url in ODD:
                with pytest.raises((BadMediaError, DownloadError)) as failed:
                    await download(client, Media("image", url or "http://"), max_bytes=1000)
                assert str(failed.value).isprintable(), ascii(url)
        assert net.dialled == []

    played(work, net_of=NowhereNet)


@settings(max_examples=300, derandomize=True)
@given(host=st.text(max_size=30) | st.text("xn--.\uff0e%[]:@1\u00fc\ud800", max_size=20))
def test_any_text_is_an_address_or_none(host: str) -> None:
    """What is one has all of its parts, in ASCII, as a request needs them."""
    try:
        url = web_address(f"http://{host}/a.png")
    except ValueError:
        with pytest.raises(ValueError, match=r"^the address "):
            web_address(f"http://{host}/a.png")
    else:
        assert str(url).isascii()
        assert isinstance(url.host, str)
        url.raw_host.decode("ascii").rstrip(".").encode("idna")


def test_the_copy_of_each_odd_address_is_fetched() -> None:
    """The first address fails in whatever way, directly or behind a redirect; the working one is tried."""

    async def work(_net: PlayedNet) -> None:
        async def good(_: web.Request) -> web.StreamResponse:
            return web.Response(body=PNG)

        async with client_of() as client, serving(good) as host:
            for url in ODD:
                media = Media("image", url or "http://", fallback_urls=(f"http://{host}/a.png",))
                with await download(client, media, max_bytes=1_000_000, allowed_hosts=[host]) as fetched:
                    assert fetched.read() == PNG

    played(work, net_of=NowhereNet)


@pytest.mark.parametrize(
    "location", ["http://xn--127-/a.png", "http://a..b/", "http://[::1%\u00fc]/", "http://[broken"]
)
def test_a_redirect_to_an_odd_address_fails_that_address(location: str) -> None:
    """The next one is tried."""

    async def work(_net: PlayedNet) -> None:
        async def good(_: web.Request) -> web.StreamResponse:
            return web.Response(body=PNG)

        async with client_of() as client, serving(good) as host, serving(redirect_to(location)) as leading:
            media = Media("image", f"http://{leading}/", fallback_urls=(f"http://{host}/",))
            with await download(client, media, max_bytes=1_000_000, allowed_hosts=[host, leading]) as fetched:
                assert fetched.read() == PNG

    played(work)


@contextmanager
def small_disk(limit_bytes: int) -> Iterator[None]:
    """No file of this process may become larger."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_without_room_is_tried_again_later() -> None:
    """That is nobody's address: the paid result is fetched once there is room, and the error says what was missing."""

    async def work(_net: PlayedNet) -> None:
        async def large(_: web.Request) -> web.StreamResponse:
            return web.Response(body=PNG + bytes(SPOOL_BYTES + 1))

        async with client_of() as client, serving(large) as host:
            with small_disk(1024 * 1024), pytest.raises(DownloadError, match=r"OSError .File too large"):
                await download(client, Media("image", f"http://{host}/"), max_bytes=10**9, allowed_hosts=[host])

    played(work)


# Copies that a provider names


def outputs(body: dict[str, object]) -> tuple[Media, ...]:
    """What DreamBooth's answer with these fields offers."""
    answer = Answer(200, {}, web.json_response({"status": "success", "id": 7, **body}).body)  # type: ignore[arg-type]  # bytes
    outcome = find("dreambooth").poll_outcome(answer, Ticket("text2img", "7"), Account("https://p.example", "k"))
    assert isinstance(outcome, Succeeded)
    return outcome.outputs


@pytest.mark.parametrize(
    "odd", ["http://[broken/a.png", "http://a\u2215b]/", "http://a.example/\x00.png", "http://", 5]
)
def test_a_copy_stands_in_for_what_can_not_be_read(odd: object) -> None:
    """An output that is no address at all has a working copy, like one that can't be fetched."""
    good, other = "https://copy.example/a.png", "https://other.example/a.png"
    [media] = outputs({"output": [odd], "proxy_links": [good], "future_links": [other]})
    assert (media.url, media.fallback_urls) == (good, (other,))


def test_an_odd_copy_takes_no_other_copy_with_it() -> None:
    """Each address counts for itself; places in the lists go on telling whose copy it is."""
    found = outputs(
        {
            "output": ["https://a.example/0.png", "https://a.example/1.png"],
            "proxy_links": ["http://[broken", "https://copy.example/1.png"],
        }
    )
    assert [media.fallback_urls for media in found] == [(), ("https://copy.example/1.png",)]


# Inputs and calls


@pytest.mark.parametrize("form", list(InputForm))
def test_an_input_address_that_can_not_be_sent_is_refused(form: InputForm) -> None:
    """Before anything is bought, and also where the provider is to fetch it."""

    async def work(_net: PlayedNet) -> None:
        async with client_of() as client:
            storage = Storage(StorageOptions("bucket"))
            fetcher = InputFetcher(client, storage, max_bytes=1000, url_expires_seconds=60)
            for url in ("http://xn--127-/a.png", "http://[::1%\uff0e]/", "https://a..b/", "https://[broken"):
                with pytest.raises(InvalidRequestError, match=r"^inputs.person: "):
                    await fetcher.prepare({"person": url}, form, key_for=str)

    played(work)


@pytest.mark.parametrize(
    "call",
    [
        Call("POST", "http://xn--127-/jobs"),
        Call("POST", "http://a..b/jobs"),
        Call("POST", "http://[::1%\u00fc]/jobs"),
        Call("POST", "http://127.0.0.1:1/jobs", query={"a": "\ud800"}),
        Call("POST", "http://127.0.0.1:1/jobs", json={"a": {1}}),
        Call("POST", "http://127.0.0.1:1/jobs\ud800"),
    ],
    ids=["a-label", "empty label", "scope", "query", "body", "path"],
)
@pytest.mark.parametrize("buys", [False, True], ids=["poll", "purchase"])
def test_a_call_of_which_no_request_can_be_made_is_surely_not_sent(call: Call, buys: bool) -> None:
    """It is a mistake of the set-up or of an adapter, and never an unconfirmed submit."""

    async def work(_net: PlayedNet) -> None:
        async with client_of() as client:
            with pytest.raises(ConfigurationError):
                await client.call(call, buys=buys)

    played(work)
