"""Addresses go out letter by letter: what was signed is what is asked for, at once and after a redirect."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bide.addresses import redirected, target_of, web_address
from bide.providers import find
from bide.providers.base import Account, Answer, Call, InputForm, Media, Succeeded, Ticket
from bide.storage import Storage, StorageOptions
from tests.contract.media_fetch import PNG, client_of
from workers.io.http import HttpClient
from workers.io.inputs import InputFetcher
from workers.io.media import download

#: Path and query as S3, Google Cloud Storage, Azure, CloudFront and others sign them, and as nobody should write them.
TARGETS = (
    "/b/a%2Fb%3Ac.png?X-Amz-Credential=AK%2F20261130%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Signature=0f",
    "/b/it%27s%20%28a%29%20%7Efox%2C%21%2A.png?X-Goog-Credential=x%40y.iam.gserviceaccount.com%2F20261130%2Fauto",
    "/c/%D1%84%D0%BE%D1%82%D0%BE.png?sv=2024-11-04&se=2026-11-30T12%3A00%3A00Z&sig=a%2Bb%2f%3d%3D&sp=r",
    "/d/x.png?Policy=eyJ_-~&Signature=A~b-c_%7E__&Key-Pair-Id=K2",
    "/e/a%2fb%2FC.png",
    "/e//double//slash/../and/./dots.png",
    "/e/%41%7a%2D%2E%5F.png",
    "/e/lone%percent%zz.png?100%",
    "/e/x.png?",
    "/e/x.png?a=1&&b=&=c&a=2",
    "/e/x.png?a+b=c+d%20e",
    "/e/x;v=1,2:3@4!$&'()*+=.png",
    '/e/"<>\\^`{|}[].png?"<>\\^`{|}[]\'',
    "/e/x?y?z=/a:b@c",
)


@dataclass
class Recorder:
    """A server that writes down the first line of each request, and answers by `reply`."""

    host: str = ""
    lines: list[bytes] = field(default_factory=list)
    reply: Callable[[bytes], bytes] = lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(PNG) + PNG

    @property
    def targets(self) -> list[str]:
        return [line.split(b" ")[1].decode() for line in self.lines]

    async def came(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.lines.append(head.partition(b"\r\n")[0])
        writer.write(self.reply(self.lines[-1]).replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
        writer.close()


@asynccontextmanager
async def recording() -> AsyncIterator[Recorder]:
    """One on loopback."""
    recorder = Recorder()
    server = await asyncio.start_server(recorder.came, "127.0.0.1", 0)
    recorder.host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield recorder


def heard(ask: Callable[[HttpClient, Recorder], Awaitable[object]]) -> list[str]:
    """The targets that a server hears of when `ask` uses a client."""

    async def main() -> list[str]:
        async with recording() as recorder, client_of() as client:
            await ask(client, recorder)
            return recorder.targets

    return asyncio.run(main())


@pytest.mark.parametrize("target", TARGETS)
def test_a_result_is_fetched_as_its_provider_wrote_it(target: str) -> None:
    """From an answer through the adapter and the guard to the request line, also as a fallback."""

    async def ask(client: HttpClient, recorder: Recorder) -> None:
        output = f"http://{recorder.host}{target}"
        body = json.dumps({"status": "success", "output": [output], "proxy_links": [f"{output}#f"]}).encode()
        outcome = find("dreambooth").poll_outcome(
            Answer(200, {}, body), Ticket("text2img", "1"), Account("https://p.example", "k")
        )
        assert isinstance(outcome, Succeeded)
        [media] = outcome.outputs
        for url in (media.url, *media.fallback_urls):
            media = Media("image", "http://127.0.0.1:1/", fallback_urls=(url,))
            (await download(client, media, max_bytes=10**6, allowed_hosts=["127.0.0.1"])).file.close()

    assert heard(ask) == [target, target]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("form", ["{host}{target}", "//{host}{target}", "{target}"])
def test_a_redirect_is_followed_as_it_was_written(target: str, form: str) -> None:
    """Absolute, without a scheme, and a path alone; a second redirect, too."""
    if form == "{target}" and target.startswith("//"):
        pytest.skip("this is a host")

    async def ask(client: HttpClient, recorder: Recorder) -> None:
        location = form.format(host=recorder.host if form[0] == "/" else f"http://{recorder.host}", target=target)
        whole = recorder.reply

        def reply(line: bytes) -> bytes:
            moved = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: %b\r\n\r\n" % location.encode()
            return moved if len(recorder.lines) < 3 else whole(line)

        recorder.reply = reply
        media = Media("image", f"http://{recorder.host}/start?x=%7E")
        (await download(client, media, max_bytes=10**6, allowed_hosts=[recorder.host])).file.close()

    assert heard(ask) == ["/start?x=%7E", target, target]


@pytest.mark.parametrize("target", TARGETS)
def test_other_addresses_go_out_alike(target: str) -> None:
    """A picture of a request, a callback, and a call to a provider."""

    async def ask(client: HttpClient, recorder: Recorder) -> None:
        url = f"http://{recorder.host}{target}"
        fetcher = InputFetcher(
            client,
            Storage(StorageOptions("unused")),
            max_bytes=10**6,
            url_expires_seconds=60,
            allowed_hosts=[recorder.host],
        )
        await fetcher.prepare({"face": url}, InputForm.FILE, key_for=str)
        assert (await fetcher.prepare({"face": url}, InputForm.URL, key_for=str))["face"].url == url
        await client.post(url, b"{}", headers={}, guarded=False, total_seconds=5)
        await client.call(Call("GET", url), buys=False)
        await client.call(Call("GET", url), buys=True)

    assert heard(ask) == [target] * 4


def test_a_query_is_added_to_a_call() -> None:
    """What an adapter gives as `query` is escaped, and what stood there stays."""

    async def ask(client: HttpClient, recorder: Recorder) -> None:
        for path in ("/jobs", "/jobs?a=%7E"):
            call = Call("GET", f"http://{recorder.host}{path}", query={"start": "2026-11-30T12:00:00Z", "q": "ä /&"})
            await client.call(call, buys=False)

    added = "start=2026-11-30T12%3A00%3A00Z&q=%C3%A4+%2F%26"
    assert heard(ask) == [f"/jobs?{added}", f"/jobs?a=%7E&{added}"]


@pytest.mark.parametrize(
    ("address", "target"),
    [
        ("https://h.example", "/"),
        ("https://h.example?a=1", "/?a=1"),
        ("https://h.example#f", "/"),
        ("https://h.example/a b.png?c d", "/a%20b.png?c%20d"),
        ("https://bücher.example/Fuß/寿司.png?q=é", "/Fu%C3%9F/%E5%AF%BF%E5%8F%B8.png?q=%C3%A9"),
        ("HTTPS://H.EXAMPLE:443/%c3%a9é#é", "/%c3%a9%C3%A9"),
        ("https://h.example/a%23b#c?d", "/a%23b"),
    ],
)
def test_what_no_request_line_can_hold_is_escaped(address: str, target: str) -> None:
    """Blanks and letters beyond ASCII, as UTF-8; what is escaped already stays as it is."""
    assert target_of(address) == target


@pytest.mark.parametrize(
    ("location", "leads_to"),
    [
        ("b.png?x=%7E", "http://h.example/a%2F/b.png?x=%7E"),
        ("./%2Fb", "http://h.example/a%2F/%2Fb"),
        ("../b%3A", "http://h.example/b%3A"),
        ("?c=%27", "http://h.example/a%2F/x.png?c=%27"),
        ("../../../b/./c/..", "http://h.example/b/"),
        ("b//c?d=/../e", "http://h.example/a%2F/b//c?d=/../e"),
        ("", "http://h.example/a%2F/x.png?q=1"),
        ("#f", "http://h.example/a%2F/x.png?q=1"),
        ("/\u00c3\u00a9.png", "http://h.example/é.png"),
        ("/\u00e9.png", "http://h.example/%E9.png"),
        ("HTTP://Other.example:80/%7e", "HTTP://Other.example:80/%7e"),
    ],
)
def test_a_relative_redirect_is_resolved(location: str, leads_to: str) -> None:
    """Against the address that was asked for; raw bytes in a header are read as UTF-8 where they are."""
    assert redirected("http://h.example/a%2F/x.png?q=1", location) == leads_to


@settings(max_examples=300, derandomize=True)
@given(rest=st.text(st.characters(codec="utf-8"), max_size=40))
def test_any_rest_is_a_target_or_no_address(rest: str) -> None:
    """Whatever an address ends in: one word of visible ASCII, its own visible ASCII in order."""
    address = f"http://h.example/{rest}"
    try:
        web_address(address)
    except ValueError:
        return
    target = target_of(address)
    assert target.isascii()
    assert target.isprintable()
    assert " " not in target
    own = f"/{rest}".partition("#")[0]
    if own.isascii() and " " not in own:
        assert target == own
