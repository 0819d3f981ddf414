"""Results and answers that mean harm, over real connections: bombs, what never ends, wrong lengths, names and kinds.

Nothing grows, nothing is taken for a result that is none, and every error says why.
"""

from __future__ import annotations

import asyncio
import gzip
import zlib
from functools import cache

import pytest
from aiohttp import web

from bide.contract import JOB_ID, GenerateRequest
from bide.errors import BadMediaError, DownloadError, InvalidRequestError, PollFailedError, SubmissionUnknownError
from bide.providers import find
from bide.providers.base import Account, Call, Submission, Ticket
from sandbox.pictures import vast_png
from tests.contract.hostile_net import client_of, fetch, flat
from tests.contract.media_fetch import PNG, always
from tests.contract.web import Handler, serving

# Bombs, and what never ends


def test_a_picture_of_ten_gigapixels_is_refused_undecoded() -> None:
    """A decoder would need gigabytes for it; bide reads its head, and the error says how large it is."""
    bomb = vast_png(100_000)
    with flat(), pytest.raises(BadMediaError, match="100000 x 100000"):
        fetch(always(bomb))


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "deflate", "br", "zstd", "gzip, gzip", "GZIP"])
def test_a_packed_result_is_unpacked_up_to_its_limit(encoding: str) -> None:
    """Megabytes of zeros in some kilobytes, under whatever name."""
    bomb = zeros()
    with flat(), pytest.raises(BadMediaError, match="unpacked it is over the limit"):
        fetch(always(bomb, headers={"Content-Encoding": encoding}))


@cache
def zeros() -> bytes:
    """64 MB of them, packed."""
    return gzip.compress(bytes(64_000_000))


@pytest.mark.parametrize("packed", [1, 2])
@pytest.mark.parametrize("buys", [False, True], ids=["poll", "purchase"])
def test_a_packed_answer_is_unpacked_up_to_its_limit(packed: int, buys: bool) -> None:
    """64 MB of JSON in some kilobytes, once and twice packed: a late poll, or an unconfirmed submit."""
    bomb = _packed(b" " * 1_000_000, 64)
    for _ in range(packed - 1):
        bomb = gzip.compress(bomb)
    handler = always(bomb, headers={"Content-Encoding": ", ".join(["gzip"] * packed)})
    with flat():
        answered(handler, buys=buys, readable=packed > 1)


def _packed(block: bytes, blocks: int) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    return b"".join(packer.compress(block) for _ in range(blocks)) + packer.flush()


def answered(handler: Handler, *, buys: bool, readable: bool, limit_bytes: int = 4 * 1024 * 1024) -> None:
    """An answer is an error of the call or, where it may come through (`readable`), for the adapter no JSON."""
    adapter, account = find("photogpt"), Account("http://provider.example", "k")

    async def exchange() -> object:
        async with serving(handler) as host, client_of() as client:
            call = Call("POST", f"http://{host}/", json={}, max_answer_bytes=limit_bytes)
            answer = await client.call(call, buys=buys)
            assert readable, "should not have come through"
            if buys:
                return adapter.submit_outcome(answer, Submission("j", "images.generation", {}), account)
            return adapter.poll_outcome(answer, Ticket("images.generation", "p"), account)

    with pytest.raises(SubmissionUnknownError if buys else PollFailedError):
        asyncio.run(exchange())


NESTED = {
    "lists in lists": b"[" * 10_000_000,
    "objects in objects": b'{"status":' * 1_000_000,
    "nested and whole": b"[" * 5_000_000 + b"]" * 5_000_000,
    "very many lists": b"[" + b"[]," * 3_333_333 + b"[]]",
    "very many objects": b"[" + b'{"a":1},' * 1_250_000 + b"{}]",
    "one large number": b'{"status": ' + b"9" * 10_000_000 + b"}",
}


@pytest.mark.parametrize("buys", [False, True], ids=["poll", "purchase"])
@pytest.mark.parametrize("what", NESTED)
def test_ten_megabytes_of_json_need_no_hundred(what: str, buys: bool) -> None:
    """Even where so much is let through, for pictures inside: neither deep nor wide JSON fills the memory."""
    with flat():
        answered(always(NESTED[what]), buys=buys, readable=True, limit_bytes=64_000_000)
        answered(always(NESTED[what]), buys=buys, readable=False)


def raw(*pieces: bytes, every_seconds: float = 0.0, for_ever: bytes = b"") -> Handler:
    """A handler that writes to the connection itself, in the end the same without end."""

    async def handler(request: web.Request) -> web.StreamResponse:
        transport = request.transport
        assert transport is not None
        for piece in pieces:
            transport.write(piece)
            await asyncio.sleep(every_seconds)
        while for_ever and not transport.is_closing():
            transport.write(for_ever)
            await asyncio.sleep(every_seconds)
        transport.close()
        return web.Response()

    return handler


OK = b"HTTP/1.1 200 OK\r\n"
PICTURE = b"Content-Type: image/png\r\n\r\n" + PNG

ENDLESS: dict[str, Handler] = {
    "head of many lines": raw(OK, for_ever=b"X-Padding: " + b"x" * 1000 + b"\r\n"),
    "head of one line": raw(OK + b"X-Padding: ", for_ever=b"x" * 10_000),
    "slow head": raw(*(bytes([byte]) for byte in OK * 200), every_seconds=0.05),
    "hints before an answer": raw(for_ever=b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
    "early hints": raw(for_ever=b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 100),
    "chunks": raw(OK + b"Transfer-Encoding: chunked\r\n\r\n", for_ever=b"2710\r\n" + b"\0" * 10_000 + b"\r\n"),
    "chunk extensions": raw(OK + b"Transfer-Encoding: chunked\r\n\r\n1;", for_ever=b"x" * 10_000),
    "trailers": raw(OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", for_ever=b"X-T: " + b"x" * 1000 + b"\r\n"),
    "body without a length": raw(OK + b"\r\n" + PNG, for_ever=b"\0" * 10_000),
    "slow body": raw(OK + b"Content-Length: 100000\r\n\r\n", for_ever=b"\0", every_seconds=0.05),
}


@pytest.mark.parametrize("what", ENDLESS)
def test_what_never_ends_is_left(what: str) -> None:
    """In heads, hints, chunks or bodies: given up within the time or size there is, and little memory is needed."""
    with flat(), pytest.raises((DownloadError, BadMediaError)) as error:
        fetch(ENDLESS[what], max_bytes=2_000_000)
    assert str(error.value)
    assert "SECRET" not in str(error.value)


@pytest.mark.parametrize("buys", [False, True], ids=["poll", "purchase"])
@pytest.mark.parametrize("what", ENDLESS)
def test_an_answer_that_never_ends_is_left(what: str, buys: bool) -> None:
    """An answer of an API that never ends makes a poll late, or a submit unconfirmed."""
    with flat():
        answered(ENDLESS[what], buys=buys, readable=False)


WRONG_LENGTHS = {
    "short": b"Content-Length: %d\r\n\r\n" % (len(PNG) + 1000) + PNG,
    "long": b"Content-Length: %d\r\n\r\n" % (len(PNG) - 100) + PNG,
    "negative": b"Content-Length: -1\r\n" + PICTURE,
    "no number": b"Content-Length: many\r\n" + PICTURE,
    "more digits than int() takes": b"Content-Length: " + b"9" * 5000 + b"\r\n" + PICTURE,
    "two that differ": b"Content-Length: 10\r\nContent-Length: %d\r\n" % len(PNG) + PICTURE,
    "beside chunks": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    "a chunk too long": b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nhi",
    "a chunk of negative size": b"Transfer-Encoding: chunked\r\n\r\n-5\r\nhi\r\n",
}


@pytest.mark.parametrize("what", WRONG_LENGTHS)
def test_a_wrong_length_is_no_result(what: str) -> None:
    """Whatever is declared must come, and nothing more is taken for the file."""
    with flat(), pytest.raises((DownloadError, BadMediaError)) as error:
        fetch(raw(OK + WRONG_LENGTHS[what]))
    assert str(error.value)


# Names and kinds


@pytest.mark.parametrize(
    "disposition",
    [
        'attachment; filename="../../../etc/passwd"',
        "attachment; filename*=UTF-8''..%2f..%2fetc%2fcron.d%2fx",
        'attachment; filename="x.sh"',
    ],
)
def test_a_file_name_is_never_taken_over(disposition: str) -> None:
    """Not from a header and not from the address: the suffix comes from the bytes."""
    handler = always(PNG, headers={"Content-Disposition": disposition, "Content-Type": "text/x-sh"})
    with fetch(handler, "/..%2f..%2fetc%2fpasswd.sh?name=../../x.php") as fetched:
        assert (fetched.ext, fetched.content_type) == ("png", "image/png")


@pytest.mark.parametrize("job_id", ["..", ".", "../a", "a/../b", "a/b", "/a", "a\\b", "a\n", ""])
def test_a_job_id_is_no_path(job_id: str) -> None:
    """Keys are made of it."""
    assert not JOB_ID.fullmatch(job_id)


@pytest.mark.parametrize("prefix", ["..", "a/../b", "/a", "a//b", "a/", ".hidden", "a\\b", "a\n"])
def test_a_prefix_leads_nowhere_else(prefix: str) -> None:
    """Keys begin with it."""
    with pytest.raises(InvalidRequestError, match="output_prefix"):
        GenerateRequest.parse({"provider": "p", "operation": "o", "output_prefix": prefix})


PAGES = {
    "HTML in a picture's name": b"\n\n  <!DOCTYPE html><html><body>Just a moment...</body></html>",
    "HTML behind a byte order mark": b"\xef\xbb\xbf<html>",
    "SVG with a script": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "HLS playlist": b"#EXTM3U\n#EXTINF:9,\nfile:///etc/passwd\n",
    "HLS playlist behind blanks": b"\xef\xbb\xbf \n#EXTM3U\nhttp://169.254.169.254/\n",
    "DASH manifest": b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"></MPD>',
    "picture with a page behind its head": PNG[:8] + b"<html>",
    "program": b"\x7fELF" + bytes(100),
    "archive": b"PK\x03\x04" + bytes(100),
    "PDF": b"%PDF-1.7\n" + bytes(100),
    "zeros": bytes(10_000),
}


@pytest.mark.parametrize("what", PAGES)
def test_what_is_no_picture_or_video_is_no_result(what: str) -> None:
    """Under the best of names and types; a playlist's addresses are not so much as looked at."""
    with pytest.raises(BadMediaError) as error:
        fetch(always(PAGES[what], content_type="image/png"), "/fox.png")
    assert str(error.value)


def test_a_picture_with_a_page_behind_its_end_is_no_page() -> None:
    """Browsers go by the type that it is stored with, which is the picture's."""
    with fetch(always(PNG + b"<script>alert(1)</script>", content_type="text/html")) as fetched:
        assert (fetched.ext, fetched.content_type) == ("png", "image/png")
