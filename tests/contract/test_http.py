"""The HTTP client over real connections: above all, which failures leave a purchase open."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import zlib

import httpx
import pytest
from aiohttp import ClientError, client_exceptions, web

from bide import __version__
from bide.errors import ConfigurationError, NotSentError, PollFailedError, SubmissionUnknownError
from bide.providers.base import Answer, Call
from tests.contract.http_faults import (
    FAULTS_AFTER_SENDING,
    ask,
    ask_at,
    client_of,
    serving,
    stay_silent,
)
from tests.contract.web import Handler
from workers.io.http import HttpOptions, Timeouts
from workers.io.http_errors import never_sent


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("fault", FAULTS_AFTER_SENDING)
def test_a_purchase_that_fails_after_sending_stays_open(fault: Handler, method: str) -> None:
    """Once a byte has left, the provider may have accepted: never "not sent", never repeated, never in silence."""
    asked: list[str] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        asked.append(request.method)
        return await fault(request)

    with pytest.raises(SubmissionUnknownError) as unknown:
        ask(handler, buys=True, method=method, max_answer_bytes=10_000)

    assert asked == [method]
    assert "SECRET" not in str(unknown.value)
    assert "/v1" in str(unknown.value)


def test_a_connection_cut_in_the_middle_of_a_large_body_leaves_the_purchase_open() -> None:
    """The transport calls this a connect time-out; it is none, part of the request has arrived."""

    async def handler(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    form = {"photo": ("a.png", b"\0" * 30_000_000, "image/png")}
    with pytest.raises(SubmissionUnknownError):
        ask(handler, buys=True, method="POST", form=form)


@pytest.mark.parametrize("fault", FAULTS_AFTER_SENDING)
def test_a_poll_that_fails_is_only_late(fault: Handler) -> None:
    """No trouble of a poll says anything about the job."""
    with pytest.raises(PollFailedError) as failed:
        ask(fault, buys=False, max_answer_bytes=10_000)
    assert "SECRET" not in str(failed.value)


#: aiohttp's errors that come before the first byte leaves; every other one may come after.
BEFORE_SENDING = {
    "ClientConnectorError",
    "ClientConnectorCertificateError",
    "ClientConnectorDNSError",
    "ClientConnectorSSLError",
    "ClientProxyConnectionError",
    "ClientSSLError",
    "ConnectionTimeoutError",
    "UnixClientConnectorError",
}
ALL_CLIENT_ERRORS = [kind for kind in vars(client_exceptions).values() if isinstance(kind, type)]


@pytest.mark.parametrize("kind", [kind for kind in ALL_CLIENT_ERRORS if issubclass(kind, ClientError)])
def test_every_error_of_aiohttp_is_known_as_before_or_after_sending(kind: type[ClientError]) -> None:
    """The map is complete: what it does not name counts as sent, whatever httpx calls it."""
    error = httpx.ConnectTimeout("as the transport calls most of them")
    error.__cause__ = kind.__new__(kind)
    assert never_sent(error) == (kind.__name__ in BEFORE_SENDING)


def _closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_refused_connection_bought_nothing() -> None:
    """Nobody listens, so nothing was sent, and the submit may be tried again."""
    with pytest.raises(NotSentError, match="no connection"):
        ask_at(f"http://127.0.0.1:{_closed_port()}/", buys=True)


def test_a_connection_that_is_never_made_bought_nothing() -> None:
    """A server too busy to take the connection: the connect time-out differs from all later ones."""
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(busy.getsockname())
        try:
            with pytest.raises(NotSentError, match="in time"):
                ask_at(f"http://127.0.0.1:{busy.getsockname()[1]}/", buys=True)
        finally:
            for one in waiting:
                one.close()


def test_a_failed_tls_handshake_bought_nothing() -> None:
    """Without TLS the request itself never leaves."""

    async def main() -> None:
        async with serving(stay_silent) as base, client_of() as client:
            await client.call(Call("POST", base.replace("http:", "https:")), buys=True)

    with pytest.raises(NotSentError):
        asyncio.run(main())


def test_a_full_pool_bought_nothing() -> None:
    """A purchase that waits for a connection of its own until its time is up was never sent."""

    async def main() -> None:
        arrived = asyncio.Event()

        async def handler(request: web.Request) -> web.StreamResponse:
            arrived.set()
            return await stay_silent(request)

        patient = HttpOptions(purchase=Timeouts(1, 9, 9), max_connections=1)
        async with serving(handler) as base, client_of(patient) as client:
            first = asyncio.create_task(client.call(Call("POST", base), buys=True))
            await arrived.wait()
            with pytest.raises(NotSentError, match="in time"):
                await client.call(Call("POST", base), buys=True)
            first.cancel()

    asyncio.run(main())


def test_a_closed_client_buys_nothing() -> None:
    """A process that is stopping sends no more purchases, and says so."""

    async def main() -> None:
        async with client_of() as client:
            await client.aclose()
            await client.call(Call("POST", "http://127.0.0.1:9/"), buys=True)

    with pytest.raises(NotSentError, match="stopping"):
        asyncio.run(main())


@pytest.mark.parametrize("buys", [True, False])
@pytest.mark.parametrize(
    "url", ["", "/v1", "ftp://h/", "http://", "http://u:SECRET@h:x/?SECRET", "http://u:SECRET@h/", "http://h:99999/"]
)
def test_an_address_that_can_not_be_called_is_a_matter_of_configuration(url: str, buys: bool) -> None:
    """A bad base URL is not retried; the message shows no secrets."""
    with pytest.raises(ConfigurationError) as wrong:
        ask_at(url, buys=buys)
    assert "SECRET" not in str(wrong.value)


@pytest.mark.parametrize("key", ["SECRET\n", "SECRÉT", "SECRET\r\nX-Other: 1"])
def test_a_key_that_no_header_can_carry_is_a_matter_of_configuration(key: str) -> None:
    """A key read with its line break must not end as a purchase that may have happened."""
    with pytest.raises(ConfigurationError) as wrong:
        ask(_echo, buys=True, headers={"Authorization": f"Bearer {key}"})
    assert "SECR" not in str(wrong.value)


async def _echo(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    body = await request.read()
    return web.json_response(
        {
            "method": request.method,
            "path": request.raw_path,
            "headers": {name.lower(): value for name, value in request.headers.items()},
            "body": body.decode("latin-1"),
            "peer": request.transport.get_extra_info("peername")[1],
        },
        headers={"Set-Cookie": "session=1", "X-Mixed": "yes"},
    )


def test_json_goes_out_as_json() -> None:
    """Body, type, query and headers arrive; nothing else is invented."""
    answer = ask(_echo, method="POST", json={"prompt": "é"}, headers={"Authorization": "Bearer k"}, query={"a": "b c"})
    seen = answer.json()
    assert json.loads(seen["body"]) == {"prompt": "é"}
    assert seen["path"] == "/v1?key=SECRET&a=b+c"
    assert seen["headers"] == {
        "host": seen["headers"]["host"],
        "user-agent": f"bide/{__version__}",
        "accept": "*/*",
        "accept-encoding": "identity",
        "authorization": "Bearer k",
        "content-type": "application/json",
        "content-length": str(len(seen["body"])),
    }


def test_a_form_goes_out_as_multipart_in_one_piece() -> None:
    """Fields and files arrive as multipart with a length, since some servers take no chunks."""

    async def handler(request: web.Request) -> web.StreamResponse:
        fields = await request.post()
        photo = fields["photo"]
        assert isinstance(photo, web.FileField)
        return web.json_response(
            {
                "type": fields["type"],
                "photo": [photo.filename, photo.content_type, len(photo.file.read())],
                "length": request.headers.get("Content-Length"),
            }
        )

    form = {"type": "4", "photo": ("person.png", b"\x89PNG" * 30_000, "image/png")}
    seen = ask(handler, method="POST", form=form, buys=True).json()
    assert (seen["type"], seen["photo"]) == ("4", ["person.png", "image/png", 120_000])
    assert int(seen["length"]) > 120_000


def test_an_answer_comes_whole_with_status_and_plain_header_names() -> None:
    """Any status is an answer; names of headers are in lower case."""

    async def handler(_: web.Request) -> web.StreamResponse:
        return web.json_response({"detail": "slow down"}, status=429, headers={"Retry-After": "7"})

    answer = ask(handler, buys=True)
    assert (answer.status, answer.retry_after_seconds, answer.json()) == (429, 7.0, {"detail": "slow down"})


@pytest.mark.parametrize("status", [301, 302, 307])
def test_redirects_are_answers(status: int) -> None:
    """Nothing is followed: a purchase followed elsewhere would be another purchase."""

    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, headers={"Location": "http://[broken"})

    assert ask(handler, buys=True).status == status


@pytest.mark.parametrize("buys", [True, False])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_does_not_take_the_key_elsewhere(status: int, buys: bool) -> None:
    """Neither on the same server nor on another one is the place asked where a redirect leads."""
    asked: list[str] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        port = request.url.port
        return web.Response(status=status, headers={"Location": f"http://localhost:{port}/elsewhere"})

    answer = ask(handler, buys=buys, method="POST", headers={"Authorization": "Bearer key"})
    assert (answer.status, asked) == (status, ["/v1"])


@pytest.mark.parametrize(
    ("packed", "encoding"),
    [
        (gzip.compress(b'{"ok": 1}', mtime=0), "gzip"),
        (zlib.compress(b'{"ok": 1}'), "deflate"),
        (zlib.compress(b'{"ok": 1}', wbits=-15), "deflate"),
    ],
    ids=["gzip", "deflate", "raw deflate"],
)
def test_an_answer_that_is_packed_unasked_is_unpacked(packed: bytes, encoding: str) -> None:
    """Some servers compress although the request asks for none."""

    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(body=packed, headers={"Content-Encoding": encoding})

    assert ask(handler).json() == {"ok": 1}


def test_polls_share_a_connection_and_purchases_never_do() -> None:
    """A kept connection that the server has just closed would look like a lost answer."""

    async def main() -> tuple[list[int], list[int]]:
        async with serving(_echo) as base, client_of() as client:
            polls = [(await client.call(Call("GET", base), buys=False)).json()["peer"] for _ in range(3)]
            purchases = [(await client.call(Call("POST", base), buys=True)).json()["peer"] for _ in range(3)]
            return polls, purchases

    polls, purchases = asyncio.run(main())
    assert len(set(polls)) == 1
    assert len(set(purchases)) == 3


def test_nothing_is_carried_from_one_call_to_the_next() -> None:
    """Cookies of one account must not reach another."""

    async def main() -> Answer:
        async with serving(_echo) as base, client_of() as client:
            named = base.replace("127.0.0.1", "localhost")  # for numbers no jar keeps cookies
            await client.call(Call("GET", named), buys=False)
            return await client.call(Call("GET", named), buys=False)

    assert "cookie" not in asyncio.run(main()).json()["headers"]


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """An API key goes to its provider and nowhere else."""
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{_closed_port()}")
    monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{_closed_port()}")
    assert ask(_echo).status == 200


def test_keys_are_in_no_repr() -> None:
    """What is logged of a call shows neither headers nor body."""
    call = Call("POST", "https://example.com", headers={"Authorization": "SECRET"}, json={"key": "SECRET"})
    assert "SECRET" not in repr(call)


@pytest.mark.parametrize("buys", [False, True], ids=["poll", "purchase"])
@pytest.mark.parametrize("label", ["gzip", "x-gzip", "deflate", "br", "aws-chunked", "UTF-8", "none", "gzip, gzip"])
def test_a_label_on_a_plain_answer_means_nothing(label: str, buys: bool) -> None:
    """The bytes decide: a submit is not in doubt for what an edge writes above its answer."""

    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(body=b'{"ok": 1}', headers={"Content-Encoding": label})

    assert ask(handler, buys=buys).json() == {"ok": 1}
