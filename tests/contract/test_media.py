"""Downloads over real connections: what may be fetched, what counts as a result, and what is tried again."""

from __future__ import annotations

import asyncio
import hashlib
import struct
import tracemalloc

import pytest
from aiohttp import web

from bide.errors import BadMediaError, DownloadError, InvalidRequestError
from bide.providers.base import InputForm, Media
from bide.storage import Storage, StorageOptions
from tests.contract.media_fetch import JPEG, PNG, always, client_of, cut_after, fetch
from tests.contract.web import serving
from tests.media import real
from workers.io.inputs import InputFetcher
from workers.io.media import download, from_bytes


def test_a_picture_comes_whole_with_all_that_is_known_of_it() -> None:
    """Bytes, digest, type and size are read from the bytes, not from what the server called it."""
    with fetch(always(JPEG, content_type="text/plain")) as fetched:
        assert fetched.read() == JPEG
        assert fetched.sha256 == hashlib.sha256(JPEG).hexdigest()
        assert (fetched.size, fetched.content_type, fetched.ext) == (len(JPEG), "image/jpeg", "jpg")
        assert (fetched.width, fetched.height) == (40, 30)
    assert fetched.file.closed


def test_the_request_carries_nothing_of_ours() -> None:
    """The place a result lies at gets no key, no cookie and no referrer."""
    seen: dict[str, str] = {}

    async def handler(request: web.Request) -> web.StreamResponse:
        seen.update({name.lower(): value for name, value in request.headers.items()})
        return web.Response(body=PNG, headers={"Set-Cookie": "a=b"})

    fetch(handler).file.close()
    assert set(seen) == {"host", "user-agent", "accept", "accept-encoding"}
    assert seen["accept-encoding"] == "identity"


def test_a_signed_address_arrives_with_the_same_meaning() -> None:
    """Parameters of a signature are decoded by the server to what was signed."""
    seen: dict[str, str] = {}

    async def handler(request: web.Request) -> web.StreamResponse:
        seen.update(request.query)
        seen["path"] = request.raw_path.partition("?")[0]
        return web.Response(body=PNG)

    fetch(handler, "/a%2Fb/c%20d.png?X-Sig=a%2Bb%2F%3D%3D&X-Cred=k%2F2026%2Fs3").file.close()
    assert seen == {"X-Sig": "a+b/==", "X-Cred": "k/2026/s3", "path": "/a%2Fb/c%20d.png"}


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 410, 429, 500, 503, 204, 206])
def test_a_refusal_is_tried_again(status: int) -> None:
    """Any other status than 200 may pass, and some providers mint fresh addresses."""
    with pytest.raises(DownloadError, match=f"HTTP {status}") as failed:
        fetch(always(b"", status=status, headers={"Retry-After": "9"}))
    assert failed.value.after_seconds == 9
    assert "SECRET" not in str(failed.value)


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("count", [0, 10, 500, len(PNG) - 1])
def test_a_cut_connection_is_tried_again(count: int, declared: bool) -> None:
    """A picture that stops on the way is no final failure; nothing at all, and nothing promised, is bad media."""
    expected = BadMediaError if (count == 0 and not declared) else DownloadError
    with pytest.raises(expected):
        fetch(cut_after(count, declared=declared))


def test_a_file_that_is_short_at_its_source_is_refused() -> None:
    """All that was promised came, and still the picture's end is missing."""
    with pytest.raises(BadMediaError, match="ends early"):
        fetch(always(PNG[:-20]))


@pytest.mark.parametrize(
    ("body", "reason"),
    [(b"", "nothing"), (b"<html>expired</html>", "HTML"), (b"#EXTM3U\n", "playlist"), (b'{"error":1}', "JSON")],
)
def test_what_is_no_media_is_refused(body: bytes, reason: str) -> None:
    """A page with HTTP 200 is no result, whatever its content type says."""
    with pytest.raises(BadMediaError, match=reason):
        fetch(always(body, content_type="image/png"))


@pytest.mark.parametrize("chunked", [True, False])
def test_size_is_capped(chunked: bool) -> None:
    """Over the limit is refused, by the declared length at once and without one while streaming."""
    sent = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse() if chunked else web.StreamResponse(headers={"Content-Length": "100000000"})
        await response.prepare(request)
        for _ in range(1000):
            await response.write(PNG[:1000] * 100)
            sent += 100_000
        return response

    with pytest.raises(BadMediaError, match="limit of 200000 bytes"):
        fetch(handler, max_bytes=200_000)
    assert sent < 50_000_000


def test_a_silent_server_is_left() -> None:
    """No byte for the read time-out: tried again later."""

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(len(PNG))})
        await response.prepare(request)
        await response.write(PNG[:100])
        await asyncio.sleep(5)
        return response

    with pytest.raises(DownloadError, match="in time"):
        fetch(handler)


def test_a_trickling_server_is_left() -> None:
    """A byte now and then keeps the read time-out away, but not the total one."""

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(len(PNG))})
        await response.prepare(request)
        for byte in PNG[:100]:
            await response.write(bytes([byte]))
            await asyncio.sleep(0.1)
        return response

    with pytest.raises(DownloadError, match="longer than 3 s"):
        fetch(handler)


async def _only_good_is_good(request: web.Request) -> web.StreamResponse:
    bodies = {"/good": (200, PNG), "/page": (200, b"<html>"), "/gone": (404, b"")}
    status, body = bodies[request.path]
    return web.Response(status=status, body=body)


def test_fallbacks_are_tried_in_order() -> None:
    """The first address that gives a whole picture wins."""
    with fetch(_only_good_is_good, "/gone", "/page", "/good") as fetched:
        assert fetched.read() == PNG


@pytest.mark.parametrize("paths", [("/page", "/gone"), ("/gone", "/page")])
def test_where_one_address_may_still_work_the_download_is_tried_again(paths: tuple[str, str]) -> None:
    """Bad media is final only when every address gives bad media."""
    with pytest.raises(DownloadError):
        fetch(_only_good_is_good, *paths)
    with pytest.raises(BadMediaError):
        fetch(_only_good_is_good, "/page", "/page")


def test_inline_content_is_checked_alike() -> None:
    """A picture inside an answer passes the same checks as one that is fetched."""
    with from_bytes(PNG, max_bytes=100_000) as fetched:
        assert (fetched.read(), fetched.ext, fetched.width) == (PNG, "png", 40)
    with pytest.raises(BadMediaError, match="nothing"):
        from_bytes(b"", max_bytes=100)
    with pytest.raises(BadMediaError, match="limit of 100 bytes"):
        from_bytes(PNG, max_bytes=100)


def test_a_live_video_that_is_cut_is_tried_again() -> None:
    """Sent in chunks, without a length, and its connection ends in the middle: its clusters show it."""
    whole = real("live.webm")

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(whole if request.path == "/whole" else whole[: len(whole) // 2])
        return response

    with fetch(handler, "/whole") as fetched:
        assert (fetched.ext, fetched.width, fetched.height) == ("webm", 64, 48)
    with pytest.raises(DownloadError, match="the connection ended, and the file ends early"):
        fetch(handler, "/half")


def test_what_can_not_be_judged_comes_with_a_warning() -> None:
    """Its bytes, its digest, no size."""
    strange = bytes(range(256))
    with fetch(always(strange, content_type="image/png")) as fetched:
        assert (fetched.read(), fetched.width, fetched.content_type) == (strange, None, "application/octet-stream")
        assert "could not be checked" in fetched.warning


@pytest.mark.parametrize("inline", [False, True], ids=["fetched", "inline"])
def test_sound_is_taken_where_an_output_is_declared_as_sound(inline: bool) -> None:
    """By its role, wherever it lies; any other output without pictures is refused."""
    sound = real("audio_only.mp4")

    async def main(role: str) -> str:
        async with serving(always(sound)) as host, client_of() as client:
            media = Media(role, content=sound) if inline else Media(role, f"http://{host}/")
            with await download(client, media, max_bytes=100_000, allowed_hosts=[host]) as fetched:
                return fetched.content_type

    assert asyncio.run(main("audio")) == "audio/mp4"
    with pytest.raises(BadMediaError, match="no video"):
        asyncio.run(main("video"))


def test_memory_stays_flat_for_a_large_video() -> None:
    """64 MB come through with a few MB in memory; the rest waits on disk."""
    block, blocks = b"\0" * 65_536, 1000
    handler_box = struct.pack(">I", 32) + b"hdlr" + b"\0" * 8 + b"vide" + b"\0" * 12
    moov = b"".join(
        struct.pack(">I", 32 + 8 * depth) + name for depth, name in ((3, b"moov"), (2, b"trak"), (1, b"mdia"))
    )
    head = struct.pack(">I", 16) + b"ftypisom\0\0\0\0" + moov + handler_box
    head += struct.pack(">I", 8 + len(block) * blocks) + b"mdat"

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(len(head) + len(block) * blocks)})
        await response.prepare(request)
        await response.write(head)
        for _ in range(blocks):
            await response.write(block)
        return response

    tracemalloc.start()
    try:
        fetched = fetch(handler, max_bytes=100_000_000)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    with fetched:
        assert (fetched.size, fetched.ext) == (len(head) + len(block) * blocks, "mp4")
    assert peak_bytes < 24_000_000


def test_an_input_with_a_web_address_is_fetched_under_the_same_rules() -> None:
    """For a file form the picture is fetched here; what is no picture names the input, what may pass is tried again."""

    async def main() -> None:
        async with serving(_only_good_is_good) as host, client_of() as client:
            store = Storage(StorageOptions("unused"))
            fetcher = InputFetcher(client, store, max_bytes=100_000, url_expires_seconds=60, allowed_hosts=[host])

            async def prepared(path: str) -> bytes:
                inputs = {"person": f"http://{host}{path}"}
                uploads = await fetcher.prepare(inputs, InputForm.FILE, key_for=str)
                return uploads["person"].content

            assert await prepared("/good") == PNG
            with pytest.raises(InvalidRequestError, match=r"inputs\.person: .*HTML"):
                await prepared("/page")
            with pytest.raises(DownloadError, match="HTTP 404"):
                await prepared("/gone")

    asyncio.run(main())
