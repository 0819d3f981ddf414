"""Calls that buy nothing are by aiohttp alone what they are by httpx: the same requests, answers and errors."""

from __future__ import annotations

import asyncio
import gzip
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import certifi
import pytest

from bench.polls import ByHttpx
from bide.errors import BideError, PollFailedError
from bide.providers.base import Answer, Call
from tests.contract.http_faults import closed_port
from tests.integration.guarded_redis import certificates
from workers.io.http import HttpClient, HttpOptions, Timeouts

OPTIONS = HttpOptions(api=Timeouts(connect_seconds=0.4, read_seconds=0.4, total_seconds=0.8))
LIMIT = 1000
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"

#: What servers send, in form or out of it. Each is one answer, after which the connection is closed.
ANSWERS = {
    "in form": OK + b"X-A: 1\r\n\r\n{}",
    "without a reason": b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\n{}",
    "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}",
    "HTTP/1.0 without a length": b"HTTP/1.0 200 OK\r\n\r\n{}",
    "a header twice": OK + b"X-A: 1\r\nX-A: 2\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n{}",
    "a header in Latin-1": OK + b"X-A: caf\xe9\r\n\r\n{}",
    "a header in UTF-8": OK + "X-A: café\r\n\r\n{}".encode(),
    "more than a hundred headers": OK + b"".join(b"X-%d: y\r\n" % number for number in range(120)) + b"\r\n{}",
    "a long header": OK + b"X-A: " + b"a" * 50_000 + b"\r\n\r\n{}",
    "an unknown status": b"HTTP/1.1 599 Odd\r\nContent-Length: 2\r\n\r\n{}",
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "moved": b"HTTP/1.1 302 Found\r\nLocation: http://[broken\r\nContent-Length: 0\r\n\r\n",
    "slow down": b"HTTP/1.1 429 No\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\n{}",
    "an early hint": b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK + b"\r\n{}",
    "in chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
    "packed": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b"{}", mtime=0),
    "packed, and over the limit then": b"HTTP/1.1 200 OK\r\n\r\n" + gzip.compress(b" " * 5000, mtime=0),
    "packed, and cut": b"HTTP/1.1 200 OK\r\n\r\n" + gzip.compress(b"{}" * 99, mtime=0)[:-9],
    "a label that lies": b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 2\r\n\r\n{}",
    "as long as the limit": b"HTTP/1.1 200 OK\r\n\r\n" + b" " * LIMIT,
    "over the limit": b"HTTP/1.1 200 OK\r\n\r\n" + b" " * (LIMIT + 1),
    "over the limit, and says so": b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n" + b" " * 1001,
    "over the limit in chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    + (b"3e8\r\n" + b" " * 1000 + b"\r\n") * 2
    + b"0\r\n\r\n",
    "cut short": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",
    "cut in a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{}",
    "no chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "a NUL in a header": OK + b"X-A: a\x00b\r\n\r\n{}",
    "another protocol": b"SSH-2.0-OpenSSH_9.9\r\n\r\n",
    "nothing": b"",
    "silence": None,
}


@dataclass
class Server:
    """Sends each request the same bytes, or nothing at all; what came to it."""

    answer: bytes | None
    origin: str = ""
    heads: list[bytes] = field(default_factory=list)
    body: bytes = b""
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def came(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.heads.append(head := await reader.readuntil(b"\r\n\r\n"))
            length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
            self.body = await reader.readexactly(int(length[1])) if length else b""
            self.arrived.set()
            if self.answer is None:
                await reader.read()
            else:
                writer.write(self.answer)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(answer: bytes | None, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """One on loopback."""
    made = Server(answer)
    server = await asyncio.start_server(made.came, "127.0.0.1", 0, ssl=tls)
    made.origin = f"http{'s' if tls else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield made


async def heard(client: HttpClient, address: str) -> Answer | str:
    """What a poll comes to: its answer, or the words of its error."""
    call = Call("GET", address, headers={"Authorization": "Bearer SECRET"}, max_answer_bytes=LIMIT)
    try:
        return await client.call(call, buys=False)
    except BideError as error:
        return f"{type(error).__name__}: {error}"


def both(work: Callable[[HttpClient], Awaitable[Answer | str]], options: HttpOptions = OPTIONS) -> list[Answer | str]:
    """What comes of it by the lean client, and by httpx alone."""

    async def main() -> list[Answer | str]:
        found = []
        for kind in (HttpClient, ByHttpx):
            client = kind(options)
            try:
                found.append(await work(client))
            finally:
                await client.aclose()
        return found

    return asyncio.run(main())


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_is_what_httpx_makes_of_it(name: str) -> None:
    """Status, headers and body alike; an error has the same class and the same words."""

    async def work(client: HttpClient) -> Answer | str:
        async with serving(ANSWERS[name]) as server:
            return _without_port(await heard(client, f"{server.origin}/v1/jobs/7?key=SECRET"), server)

    by_lean, by_httpx = both(work)
    assert by_lean == by_httpx
    assert isinstance(by_lean, Answer) or "SECRET" not in by_lean


def _without_port(found: Answer | str, server: Server) -> Answer | str:
    """Without what differs."""
    return found if isinstance(found, Answer) else found.replace(server.origin, "http://h")


def test_nobody_there_is_said_as_by_httpx() -> None:
    """The system's own words tell an operator what is wrong."""
    port = closed_port()
    by_lean, by_httpx = both(lambda client: heard(client, f"http://127.0.0.1:{port}/v1"))
    assert by_lean == by_httpx
    assert "no connection (" in str(by_lean)


def test_a_poll_that_gets_no_connection_says_so() -> None:
    """Its time for one is up while all are in use."""

    async def work(client: HttpClient) -> Answer | str:
        async with serving(None) as server:
            first = asyncio.create_task(heard(client, f"{server.origin}/v1"))
            await server.arrived.wait()
            found = await heard(client, f"{server.origin}/v1")
            await first
            return _without_port(found, server)

    narrow = replace(OPTIONS, api=Timeouts(connect_seconds=0.2, read_seconds=1.0, total_seconds=1.0), max_connections=1)
    by_lean, by_httpx = both(work, narrow)
    assert by_lean == by_httpx == "PollFailedError: GET http://h/v1: no connection in time"


@pytest.fixture
def authority(tmp_path: Path) -> tuple[Path, ssl.SSLContext]:
    """An authority of our own, and a server's context with its certificate."""
    trusted, certificate, key = certificates(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return trusted, context


#: Calls of every kind that an adapter may make without buying.
CALLS: dict[str, dict[str, Any]] = {
    "a poll": {"method": "GET"},
    "a query": {"method": "GET", "query": {"page": "2", "of": "a b&c"}},
    "a header": {"method": "GET", "headers": {"authorization": "Bearer SECRET", "Accept": "application/json"}},
    "a poll by POST": {"method": "POST", "json": {"key": "SECRET", "name": "é"}},
    "an empty object": {"method": "POST", "json": {}},
    "a form": {"method": "POST", "form": {"id": "7", "photo": ("a.png", b"PNG", "image/png")}},
    "a cancel by POST": {"method": "POST"},
    "a cancel by PUT": {"method": "PUT"},
    "a cancel by DELETE": {"method": "DELETE"},
}


@pytest.mark.parametrize("name", CALLS)
def test_a_request_says_what_httpx_would_say(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Letter by letter, but for the case of its headers' names and their order."""
    monkeypatch.setattr("os.urandom", lambda size: b"7" * size)  # httpx takes a form's boundary from there

    async def work(client: HttpClient) -> Answer | str:
        async with serving(ANSWERS["in form"]) as server:
            url = f"{server.origin}/v1/a%2Fb%7E?empty=&x=%27"
            assert (await client.call(Call(url=url, **CALLS[name]), buys=False)).status == 200
            line, *headers = server.heads[0].replace(server.origin[7:].encode(), b"h").decode().split("\r\n")
            return "\n".join([line, *sorted(_small(each) for each in headers), repr(server.body)])

    by_lean, by_httpx = both(work)
    assert by_lean == by_httpx
    assert " /v1/a%2Fb%7E?empty=&x=%27" in str(by_lean)


def _small(header: str) -> str:
    name, colon, value = header.partition(":")
    return f"{name.lower()}{colon}{value}"


@pytest.mark.parametrize(
    "url",
    ["ftp://h/v1", "http://[h/v1", "http://h:0/v1", "http://k:SECRET@h/v1", "http://h/\n", "http://h/\ud800", "/v1"],
)
def test_an_address_that_can_not_be_asked_is_refused_as_by_httpx(url: str) -> None:
    """Before anything is sent; no message holds a password."""
    by_lean, by_httpx = both(lambda client: heard(client, url))
    assert str(by_lean).startswith("ConfigurationError: ")
    assert "SECRET" not in f"{by_lean}{by_httpx}"
    assert str(by_lean).rpartition("'")[2] == str(by_httpx).rpartition("'")[2]


@pytest.mark.parametrize(("call", "times"), [("a poll", 2), ("a cancel by PUT", 2), ("a poll by POST", 1)])
def test_what_is_lost_is_sent_again_as_by_httpx(call: str, times: int) -> None:
    """Once and at once, where its method says that it may be repeated."""

    async def work(client: HttpClient) -> Answer | str:
        async with serving(b"") as server:
            with pytest.raises(PollFailedError):
                await client.call(Call(url=f"{server.origin}/v1", **CALLS[call]), buys=False)
            return str(len(server.heads))

    assert both(work) == [str(times), str(times)]


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_nobody_is_trusted_but_by_certifi(
    variable: str, authority: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the system's list nor the environment adds an authority."""
    trusted, context = authority
    monkeypatch.setenv(variable, str(trusted if variable == "SSL_CERT_FILE" else trusted.parent))

    async def work(client: HttpClient) -> Answer | str:
        async with serving(ANSWERS["in form"], tls=context) as server:
            found = _without_port(await heard(client, f"{server.origin}/v1"), server)
            return f"{found}, {len(server.heads)} requests"

    by_lean, by_httpx = both(work)
    assert by_lean == by_httpx
    assert str(by_lean).endswith(", 0 requests")


def test_certifi_s_authorities_are_trusted(
    authority: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By both."""
    trusted, context = authority
    monkeypatch.setattr(certifi, "where", lambda: str(trusted))

    async def work(client: HttpClient) -> Answer | str:
        async with serving(ANSWERS["in form"], tls=context) as server:
            return await heard(client, f"{server.origin}/v1")

    assert all(isinstance(found, Answer) for found in both(work))


def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys go to their provider alone."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port()}")

    async def work(client: HttpClient) -> Answer | str:
        async with serving(ANSWERS["in form"]) as server:
            return await heard(client, f"{server.origin}/v1")

    assert all(isinstance(found, Answer) for found in both(work))
