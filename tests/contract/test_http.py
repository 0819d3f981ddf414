"""The HTTP client over real connections: above all, which failures leave a purchase open."""

from __future__ import annotations

import asyncio
import socket

import httpx
import pytest
from aiohttp import ClientError, client_exceptions, web

from bide.errors import ConfigurationError, NotSentError, PollFailedError, SubmissionUnknownError
from bide.providers.base import Call
from tests.contract.http_faults import (
    FAULTS_AFTER_SENDING,
    ask,
    ask_at,
    client_of,
    closed_port,
    echo,
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


def test_a_refused_connection_bought_nothing() -> None:
    """Nobody listens, so nothing was sent, and the submit may be tried again."""
    with pytest.raises(NotSentError, match="no connection"):
        ask_at(f"http://127.0.0.1:{closed_port()}/", buys=True)


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
        ask(echo, buys=True, headers={"Authorization": f"Bearer {key}"})
    assert "SECR" not in str(wrong.value)
