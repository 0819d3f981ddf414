"""Addresses in answers over real connections: a key goes to its provider's own hosts, or nothing is sent."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any, Literal

import httpx
import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from bide.errors import ForeignAddressError, PollFailedError
from bide.ledger import Claimed
from bide.ledger.records import BoughtWith
from bide.providers.base import Account, Call, Canceled, Ticket
from tasks.steps.ask import ask
from tasks.steps.decision import CancelAsked, PollAnswer
from tests.contract.hostile_net import client_of
from tests.contract.web import serving
from tests.unit.atelier import BASE, KEY, AtelierAdapter
from workers.io.destination import confined
from workers.io.http import HttpClient

Kind = Literal["status", "result", "cancel"]
KINDS: tuple[Kind, ...] = ("status", "result", "cancel")


class Studio(AtelierAdapter):
    """Calls whatever addresses it is given, also without TLS."""

    def poll_call(self, ticket: Ticket, account: Account) -> Call:
        return Call("GET", ticket.cursor or ticket.handle["status_url"], headers=account.bearer)


def job(provider: str, kind: Kind, address: str) -> Claimed:
    """A job whose address of that kind is this one, and whose others are the provider's own."""
    own = f"http://{provider}/7"
    handle = {"status_url": own, "cancel_url": f"{own}/cancel", f"{kind}_url": address}
    bought = BoughtWith(f"http://{provider}/v1", "atelier 3", json.dumps(handle))
    return Claimed("a", 0.0, "paint", "7", "", False, 0, 1e12, 0.0, 0, bought_with=bought, cancel="canceled")


async def asked_about(client: HttpClient, claimed: Claimed) -> PollAnswer:
    """What a poll and a cancel of the job come to."""
    tools: Any = SimpleNamespace(http=client)
    account = Account("http://127.0.0.1:9/elsewhere-by-now", KEY)
    return (await ask(tools, Studio(), account, 0.0, claimed))[1]


ELSEWHERE = [
    "http://{other}/7",
    "HTTP://{other}/7",
    "http://localhost:{port}/7",
    "http://127.1:{port}/7",
    "http://2130706433:{port}/7",
    "http://127.0.0.1:{other_port}/7",
    "http://[::ffff:127.0.0.1]:{port}/7",
    "http://user:pw@{provider}/7",
    "http://user@{provider}/7",
    "http://{provider}@{other}/7",
    "http://{provider}:x@{other}/7",
    "http://{other}\\@{provider}/7",
    "http://{other}#@{provider}/7",
    "http://{other}/?@{provider}/7",
    "http://{provider}.{other}/7",
    "http://{provider}%2e{other}/7",
    "http://{provider}\t@{other}/7",
    "\thttp://{other}/7",
    "http:\\\\{other}\\7",
    "http:/{other}/7",
    "http:{other}/7",
    "//{other}/7",
    "/7",
    "ftp://{provider}/7",
    "ws://{provider}/7",
    "file:///etc/passwd",
    "http://\u2460\u2461\u2466.0.0.1:{other_port}/7",
    "http://127\u30020\u30020\u30021:{other_port}/7",
]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_sent_elsewhere(kind: Kind) -> None:
    """Not to another port, host, scheme or spelling, with the key or without; the provider's own calls are made."""
    came: list[str] = []
    url = ""

    async def provider_answers(request: web.Request) -> web.StreamResponse:
        came.append(f"provider {request.path}")
        return web.json_response({"state": "ready", "result_url": url} if kind == "result" else {"state": "x"})

    async def other_answers(request: web.Request) -> web.StreamResponse:
        came.append(f"other {request.path}")
        return web.json_response({})

    async def main() -> None:
        nonlocal url
        async with serving(provider_answers) as provider, serving(other_answers) as other, client_of() as client:
            ports = {f"{name}port": host.rpartition(":")[2] for name, host in (("", provider), ("other_", other))}
            for address in ELSEWHERE:
                url = address.format(provider=provider, other=other, **ports)
                came.clear()
                answer = await asked_about(client, job(provider, kind, url))
                assert isinstance(answer, CancelAsked), address
                if kind == "cancel":
                    assert (answer.canceled, came) == (Canceled.UNKNOWN, ["provider /7"]), address
                    continue
                assert isinstance(answer.heard, ForeignAddressError), address
                assert came == ["provider /7/cancel", "provider /7"][: 1 if kind == "status" else 2], address
                assert KEY not in str(answer.heard)
                assert "pw" not in str(answer.heard)

    asyncio.run(main())


@pytest.mark.parametrize("kind", KINDS)
def test_no_redirect_is_followed(kind: Kind) -> None:
    """Whether it leads elsewhere or back: its answer says nothing of the job."""
    came: list[str] = []
    statuses = [301, 302, 303, 307, 308]

    async def answers(request: web.Request) -> web.StreamResponse:
        came.append(request.path)
        if request.path == f"/{kind}":
            return web.Response(status=statuses[0], headers={"Location": f"http://127.0.0.1:{request.url.port}/away"})
        return web.json_response({"state": "ready", "result_url": f"http://{request.host}/result"})

    async def main() -> None:
        async with serving(answers) as provider, client_of() as client:
            while statuses:
                came.clear()
                answer = await asked_about(client, job(provider, kind, f"http://{provider}/{kind}"))
                assert isinstance(answer, CancelAsked)
                if kind == "cancel":
                    assert answer.canceled is Canceled.UNKNOWN
                else:
                    assert isinstance(answer.heard, PollFailedError)
                assert "/away" not in came
                assert f"/{kind}" in came
                statuses.pop(0)

    asyncio.run(main())


PARTS = st.sampled_from(
    [
        *(
            "https:",
            "http:",
            "HTTPS:",
            "//",
            "/",
            "\\",
            "@",
            ":",
            "#",
            "?",
            ".",
            "%2f",
            "%40",
            "\t",
            "\n",
            " ",
            "[",
            "]",
        ),
        *("api.atelier.example", "API.ATELIER.EXAMPLE", "jobs.atelier.example", "a.studio.example", "evil.example"),
        *("443", "8443", "user", "v1", "\u3002", "\uff0f", "\uff20", "\u2460", "xn--", "127.0.0.1", "::1", "10.0.0.7"),
    ]
)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(PARTS, max_size=9), st.sampled_from(["", BASE, "https://"]))
def test_what_passes_goes_to_a_declared_host(parts: list[str], begins: str) -> None:
    """Any address is refused, or the request that is made of it goes to the base host or a declared one."""
    address = begins + "".join(parts)
    try:
        call = confined(Call("GET", address), AtelierAdapter(), Account(BASE, KEY))
    except ForeignAddressError:
        return
    url = httpx.Request("GET", call.url).url
    host = url.host.lower().removesuffix(".")
    named = host in ("api.atelier.example", "jobs.atelier.example") or host.endswith(".studio.example")
    assert (named and url.port in (None, 443)) or (host, url.port) == ("10.0.0.7", 8443)
    assert (url.scheme, url.userinfo) == ("https", b"")


@pytest.mark.parametrize(
    ("base_url", "address"),
    [
        ("https://b\u00fccher.example/v1", "https://xn--bcher-kva.example/jobs/7"),
        ("https://xn--bcher-kva.example/v1", "https://B\u00dcCHER.example/jobs/7"),
        ("https://api.example/v1", "https://api\u3002example/jobs/7"),
        ("http://[::1]:8001/v1", "http://[::1]:8001/jobs/7"),
        ("https://api.example:443/v1", "https://api.example/jobs/7"),
    ],
)
def test_another_spelling_of_the_base_host_is_the_base_host(base_url: str, address: str) -> None:
    """As a resolver takes it."""
    assert confined(Call("GET", address), AtelierAdapter(), Account(base_url, KEY)).url == address
