"""What goes out and comes back by HTTP: bodies, headers, redirects, connections; one call knows nothing of another."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib

import pytest
from aiohttp import web

from bide import __version__
from bide.providers.base import Answer, Call
from tests.contract.http_faults import (
    ask,
    client_of,
    closed_port,
    echo,
    serving,
)


def test_json_goes_out_as_json() -> None:
    """Body, type, query and headers arrive; nothing else is invented."""
    answer = ask(echo, method="POST", json={"prompt": "é"}, headers={"Authorization": "Bearer k"}, query={"a": "b c"})
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
        async with serving(echo) as base, client_of() as client:
            polls = [(await client.call(Call("GET", base), buys=False)).json()["peer"] for _ in range(3)]
            purchases = [(await client.call(Call("POST", base), buys=True)).json()["peer"] for _ in range(3)]
            return polls, purchases

    polls, purchases = asyncio.run(main())
    assert len(set(polls)) == 1
    assert len(set(purchases)) == 3


def test_nothing_is_carried_from_one_call_to_the_next() -> None:
    """Cookies of one account must not reach another."""

    async def main() -> Answer:
        async with serving(echo) as base, client_of() as client:
            named = base.replace("127.0.0.1", "localhost")  # for numbers no jar keeps cookies
            await client.call(Call("GET", named), buys=False)
            return await client.call(Call("GET", named), buys=False)

    assert "cookie" not in asyncio.run(main()).json()["headers"]


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """An API key goes to its provider and nowhere else."""
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port()}")
    monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{closed_port()}")
    assert ask(echo).status == 200


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
