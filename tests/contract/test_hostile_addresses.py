"""Addresses that lead inside, and origins that ask for keys, over real connections: nothing is reached, all say why."""

from __future__ import annotations

import json

import pytest
from aiohttp import web

from bide.errors import DownloadError
from bide.providers import find
from bide.providers.base import Account, Answer, Call, Media, Submission, Submitted, Ticket
from tests.contract.hostile_net import OUTSIDE, PlayedNet, client_of, listening, played, redirect_to, refused
from tests.contract.web import serving
from workers.io.media import download

#: This machine and its like, in every spelling that some parser or resolver takes for it.
SPELLINGS = (
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "017700000001",
    "0177.0.0.1",
    "127.0.0.1.",
    "0",
    "0.0.0.0",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "\uff11\uff12\uff17.0.0.1",
    "127\u30020\u30020\u30021",
    "%31%32%37.0.0.1",
    "localhost",
    "LOCALHOST",
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "[::ffff:169.254.169.254]",
    "[fd00:ec2::254]",
    "[fe80::1]",
)


@pytest.mark.parametrize("redirected", [False, True], ids=["direct", "redirected"])
@pytest.mark.parametrize("host", SPELLINGS)
def test_no_spelling_of_an_inside_address_is_dialled(host: str, redirected: bool) -> None:
    """Neither at once nor behind a redirect of a host that may be fetched from."""

    async def work(net: PlayedNet) -> None:
        async with listening() as inside, client_of() as client:
            url = f"http://{host}:{inside.port}/latest/meta-data/"
            if redirected:
                async with serving(redirect_to(url)) as provider:
                    why = await refused(client, f"http://{provider}/", allowed=(provider,))
                assert len(net.dialled) == 1
            else:
                why = await refused(client, url)
                assert net.dialled == []
            assert inside.heard == []
            assert "public address" in why or "no host" in why or "can't be read" in why

    played(work)


@pytest.mark.parametrize("redirected", [False, True], ids=["direct", "redirected"])
@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["10.0.0.7"],
        ["169.254.169.254"],
        ["100.64.0.1"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::a9fe:a9fe"],
        ["fd12:3456::1"],
        [OUTSIDE, "127.0.0.1"],
        ["127.0.0.1", OUTSIDE],
    ],
    ids=str,
)
def test_a_name_that_leads_inside_is_not_dialled(addresses: list[str], redirected: bool) -> None:
    """All addresses of a name are judged before one is dialled; the error names the address."""

    async def work(net: PlayedNet) -> None:
        net.names["cdn.example"] = [addresses]
        async with listening() as inside, client_of() as client:
            url = f"http://cdn.example:{inside.port}/"
            if redirected:
                async with serving(redirect_to(url)) as provider:
                    why = await refused(client, f"http://{provider}/", allowed=(provider,))
            else:
                why = await refused(client, url)
            assert "cdn.example leads to" in why
            assert inside.heard == []
        assert net.dialled == (["127.0.0.1"] if redirected else [])
        assert net.resolved == ["cdn.example"]

    played(work)


def test_a_name_that_changes_between_two_looks_gains_nothing() -> None:
    """Rebinding: what was judged is dialled, without a second look; the next look is judged anew."""

    async def work(net: PlayedNet) -> None:
        net.names["rebind.example"] = [[OUTSIDE], ["127.0.0.1"]]
        async with listening() as inside:
            media = Media("image", f"http://rebind.example:{inside.port}/")
            async with client_of() as client:
                for _ in range(3):
                    with pytest.raises(DownloadError, match="no connection"):
                        await download(client, media, max_bytes=1_000_000)
                assert net.resolved == ["rebind.example"], "what was judged is kept and dialled, nothing newer"
            async with client_of() as client:
                assert "leads to 127.0.0.1" in await refused(client, media.url)
            assert inside.heard == []
        assert set(net.dialled) == {OUTSIDE}

    played(work)


def test_a_redirect_to_its_own_name_is_judged_again() -> None:
    """The first look of a name was good, it leads on to itself, and the second look is inside."""

    async def work(net: PlayedNet) -> None:
        async with listening() as inside, client_of() as client, serving(redirect_to("http://x.example/a")) as provider:
            net.names["x.example"] = [["127.0.0.1"]]
            await refused(client, f"http://{provider}/", allowed=(provider, "y.example"))
            assert inside.heard == []
        assert net.dialled == ["127.0.0.1"]

    played(work)


# Keys


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("buys", [False, True], ids=["poll", "purchase"])
def test_a_key_asked_for_by_another_origin_stays(status: int, buys: bool) -> None:
    """An API that redirects elsewhere gets no second request, with or without the key; the answer is what it is."""

    async def work(net: PlayedNet) -> None:
        async with listening() as inside, client_of() as client:
            location = f"http://127.0.0.1:{inside.port}/collect"

            async def moved(request: web.Request) -> web.StreamResponse:
                assert request.headers["Authorization"] == "Bearer planted-key"
                challenge = {"WWW-Authenticate": f'Bearer realm="{location}"', "Location": location}
                return web.Response(status=status, headers=challenge)

            async with serving(moved) as provider:
                headers = {"Authorization": "Bearer planted-key"}
                call = Call("POST", f"http://{provider}/jobs", headers=headers, json={"key": "planted-key"})
                answer = await client.call(call, buys=buys)
                assert answer.status == status
            assert inside.heard == []
        assert len(net.dialled) == 1

    played(work)


def test_a_result_elsewhere_is_fetched_without_a_key() -> None:
    """The provider's own host leads on to another origin, which asks for a key by 401 and gets none, only a refusal."""

    async def work(_net: PlayedNet) -> None:
        seen: list[dict[str, str]] = []

        async def asks(request: web.Request) -> web.StreamResponse:
            seen.append(dict(request.headers))
            return web.Response(status=401, headers={"WWW-Authenticate": "Bearer", "Set-Cookie": "a=b"})

        async with (
            client_of() as client,
            serving(asks) as elsewhere,
            serving(redirect_to(f"http://{elsewhere}/x.png")) as provider,
        ):
            media = Media("image", f"http://{provider}/x.png")
            with pytest.raises(DownloadError, match="HTTP 401"):
                await download(client, media, max_bytes=1_000_000, allowed_hosts=(provider, elsewhere))
        [headers] = seen
        assert {name.lower() for name in headers} == {"host", "user-agent", "accept", "accept-encoding"}

    played(work)


def test_a_place_for_the_next_poll_is_not_followed() -> None:
    """`fetch_result` names another host; the key, which stands in the body, goes where it always goes."""
    adapter = find("dreambooth")
    account = Account("https://provider.example/api/v4", "planted-key")
    body = {"status": "processing", "id": 7, "fetch_result": "http://169.254.169.254/fetch/7"}
    answer = Answer(200, {}, json.dumps(body).encode())
    outcome = adapter.submit_outcome(answer, Submission("j", "text2img", {"prompt": "x"}), account)
    assert isinstance(outcome, Submitted)
    call = adapter.poll_call(Ticket("text2img", outcome.provider_job_id), account)
    assert call.url.startswith("https://provider.example/api/v4/")
