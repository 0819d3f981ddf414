"""Strangers at the endpoint that providers call: broken, silent and large requests fill neither log nor places."""

from __future__ import annotations

import asyncio
import logging

import pytest
from aiohttp.test_utils import TestServer

from tests.unit.hooks_scene import Scene
from workers.hooks import endpoint
from workers.hooks.endpoint import Endpoint


@pytest.mark.parametrize(
    "sent", [b"\x00\xff no HTTP\r\n\r\n", b"POST / HTTP/9.9\r\n\r\n", b"POST /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n"]
)
def test_what_is_no_http_is_answered_and_not_logged(
    scene: Scene, caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    """Strangers fill no disk with tracebacks."""
    web_log = logging.getLogger("aiohttp.server")

    async def run() -> bytes:
        server = TestServer(Endpoint(scene.handler).application())
        async with server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(sent)
            answer = await reader.read(12)
            writer.close()
            await writer.wait_closed()
            return answer

    endpoint.keep_to_ourselves()
    try:
        assert asyncio.run(run()) == b"HTTP/1.0 400"
    finally:
        web_log.removeFilter(endpoint._is_ours)
    assert [record for record in caplog.records if record.name == web_log.name] == []


async def raw(scene: Scene, sent: bytes, **changed: float) -> bytes:
    """The endpoint's whole answer to some bytes, until it closes the connection; `changed` replaces some limits."""
    server = TestServer(Endpoint(scene.handler).application())
    await server.start_server(**endpoint.LIMITS | changed)
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(sent)
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        return answer
    finally:
        await server.close()


BROKEN_BODIES = {
    "gzip": b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd",
    "deflate": b"Content-Encoding: deflate\r\nContent-Length: 4\r\n\r\nabcd",
    "chunks": b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabcd\r\n",
    "cut off": b"Content-Length: 400\r\n\r\nabcd",
}


@pytest.mark.parametrize("body", BROKEN_BODIES.values(), ids=BROKEN_BODIES)
@pytest.mark.parametrize("known", [True, False])
def test_a_broken_body_is_not_logged(
    scene: Scene, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, body: bytes, known: bool
) -> None:
    """A broken body writes no log line, whether the address is ours or not."""
    monkeypatch.setattr(endpoint, "BODY_SECONDS", 0.05)
    path = scene.path().encode() if known else b"/x"
    endpoint.keep_to_ourselves()
    try:
        answer = asyncio.run(
            raw(scene, b"POST " + path + b" HTTP/1.1\r\nHost: h\r\n" + body, keepalive_timeout=0.1, lingering_time=0.1)
        )
    finally:
        logging.getLogger("aiohttp.server").removeFilter(endpoint._is_ours)
    assert answer.startswith(b"HTTP/1.")
    assert [record for record in caplog.records if record.name == "aiohttp.server"] == []


@pytest.mark.parametrize("sent", [b"", b"POST /x HTTP/1.1\r\nHost: h\r\nX-Half"])
def test_a_silent_connection_is_closed(scene: Scene, sent: bytes) -> None:
    """A connection that sends nothing, or half a request, is closed long before an hour."""
    assert endpoint.LIMITS["keepalive_timeout"] < 60
    assert asyncio.run(raw(scene, sent, keepalive_timeout=0.1)) == b""


@pytest.mark.parametrize(
    "headers", [b"X: " + b"x" * 2100 + b"\r\n", b"".join(b"X%d: 1\r\n" % number for number in range(65))]
)
def test_headers_are_few_and_small(scene: Scene, headers: bytes) -> None:
    """Headers over 2 KiB, or more than 64 of them, are refused; providers and proxies send less."""
    sent = b"POST /x HTTP/1.1\r\nHost: h\r\n" + headers + b"\r\n"
    assert asyncio.run(raw(scene, sent, keepalive_timeout=0.1)).startswith(b"HTTP/1.0 400")
