"""Files whose wrapping, label or code says something else than their bytes: the bytes decide."""

from __future__ import annotations

import base64
import gzip
import hashlib
import zlib
from collections.abc import Callable

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from bide.errors import BadMediaError, DownloadError
from tests.contract.media_fetch import JPEG, PNG, always, fetch, picture
from workers.io.media import from_bytes

#: What stores, edges and upload libraries write into Content-Encoding.
LABELS = (
    *("gzip", "x-gzip", "GZIP", "deflate", "br", "zstd", "compress", "gzip, gzip", "aws-chunked", "aws-chunked,gzip"),
    *("base64", "UTF-8", "utf8", "binary", "none", "identity", "8bit", "7bit", "null", "", " ", "*", "image/png", "?"),
)

PICTURES = {kind: picture(kind) for kind in ("PNG", "JPEG", "GIF", "WEBP")}


def raw_deflate(content: bytes) -> bytes:
    """Without a frame, as some servers send it."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush()


def url_safe(content: bytes) -> bytes:
    """Base64 for addresses, without padding."""
    return base64.urlsafe_b64encode(content).rstrip(b"=")


def lines(content: bytes) -> bytes:
    """Base64 in lines, behind a byte order mark."""
    return b"\xef\xbb\xbf" + base64.encodebytes(content).replace(b"\n", b"\r\n")


def data_uri(content: bytes) -> bytes:
    """A data URI."""
    return b"data:image/png;base64," + base64.b64encode(content)


def quoted(content: bytes) -> bytes:
    """A data URI as a JSON text."""
    return b' "' + data_uri(content) + b'"\n'


WRAPPINGS: tuple[Callable[[bytes], bytes], ...] = (base64.b64encode, url_safe, lines, data_uri, quoted, gzip.compress)


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("kind", PICTURES)
def test_a_label_on_plain_bytes_means_nothing(kind: str, label: str) -> None:
    """The file is taken as it came."""
    with fetch(always(PICTURES[kind], headers={"Content-Encoding": label})) as fetched:
        assert fetched.read() == PICTURES[kind]


@pytest.mark.parametrize("label", ["gzip", "x-gzip", None, "aws-chunked", "br"])
def test_what_is_packed_is_unpacked(label: str | None) -> None:
    """With or without a label; size and digest are those of the picture."""
    packed = gzip.compress(PNG[:300], mtime=0) + gzip.compress(PNG[300:]) + b"\0" * 9
    with fetch(always(packed, headers={"Content-Encoding": label} if label else {})) as fetched:
        assert fetched.read() == PNG
        assert (fetched.size, fetched.sha256) == (len(PNG), hashlib.sha256(PNG).hexdigest())


@pytest.mark.parametrize("pack", [zlib.compress, raw_deflate])
def test_deflate_is_undone_where_it_is(pack: Callable[[bytes], bytes]) -> None:
    """In both forms that go by this name."""
    with fetch(always(pack(JPEG), headers={"Content-Encoding": "Deflate"})) as fetched:
        assert fetched.read() == JPEG


@pytest.mark.parametrize("wrap", WRAPPINGS)
@pytest.mark.parametrize("kind", PICTURES)
def test_a_text_file_with_a_picture_in_it_is_that_picture(kind: str, wrap: Callable[[bytes], bytes]) -> None:
    """`...-0.base64`: plain, URL-safe, in lines, as a data URI; also packed, and inline in an answer."""
    for body in (wrap(PICTURES[kind]), gzip.compress(wrap(PICTURES[kind]), mtime=0)):
        with fetch(always(body, content_type="text/plain"), "/generations/0.base64") as fetched:
            assert fetched.read() == PICTURES[kind]
        with from_bytes(body, max_bytes=10**7) as inline:
            assert inline.sha256 == hashlib.sha256(PICTURES[kind]).hexdigest()


@settings(max_examples=60, derandomize=True, deadline=None)
@given(padding=st.integers(0, 300_000), wrap=st.sampled_from([base64.b64encode, url_safe, lines]))
def test_a_text_of_any_length_is_decoded_whole(padding: int, wrap: Callable[[bytes], bytes]) -> None:
    """Whatever falls on the border of two blocks; bytes behind a picture's end are kept."""
    content = PNG + bytes(padding)
    with from_bytes(wrap(content), max_bytes=10**7) as fetched:
        assert fetched.sha256 == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("body", [b"NotFound", b"Expired", b"c29tZSB0ZXh0", b"AccessDenied" * 20, b"data:text/plain,x"])
def test_a_word_is_no_picture(body: bytes) -> None:
    """Letters and digits that could be base64, and are words."""
    with pytest.raises(BadMediaError):
        fetch(always(body))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (base64.b64encode(PNG)[:-40], "ends early"),
        (base64.b64encode(PNG)[:400] + b"!" + base64.b64encode(PNG)[400:], "broken"),
        (gzip.compress(PNG, mtime=0)[:-20], "ends early"),
        (gzip.compress(b"<html>gone</html>", mtime=0), "HTML"),
        (gzip.compress(b"", mtime=0), "nothing"),
        (data_uri(b""), "nothing"),
        (data_uri(b"<html>"), "HTML"),
        (b"\x1f\x8b\x08" + bytes(40), "unpacked"),
    ],
)
def test_a_broken_wrapping_is_bad_media(body: bytes, reason: str) -> None:
    """All that was announced came, and it is not whole."""
    with pytest.raises(BadMediaError, match=reason):
        fetch(always(body))


def test_a_wrapping_cut_on_its_way_is_fetched_again() -> None:
    """Without a declared length a missing end may be the connection's."""

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(gzip.compress(PNG, mtime=0)[:-20])
        return response

    with pytest.raises(DownloadError, match="ends early"):
        fetch(handler)


@pytest.mark.parametrize("status", [200, 201, 202, 203, 207, 226, 299])
def test_any_good_code_may_bring_the_file(status: int) -> None:
    """A transforming proxy answers 203."""
    with fetch(always(PNG, status=status)) as fetched:
        assert fetched.read() == PNG


@pytest.mark.parametrize("body", [b"", b'{"status": "processing"}', b"<html>soon</html>", PNG[:-20]])
@pytest.mark.parametrize("status", [201, 202, 203])
def test_what_is_no_file_under_such_a_code_is_asked_for_again(status: int, body: bytes) -> None:
    """It says that the file is on its way: no end of the job."""
    with pytest.raises(DownloadError, match=f"HTTP {status}"):
        fetch(always(body, status=status))


@pytest.mark.parametrize(
    ("part", "whole"),
    [("bytes 0-{last}/{size}", True), ("bytes 0-{last}/*", False), ("bytes 1-{last}/{size}", False), ("", False)],
)
def test_a_part_is_a_file_where_it_is_all_of_it(part: str, whole: bool) -> None:
    """206, though no range was asked for."""
    part = part.format(last=len(PNG) - 1, size=len(PNG))
    handler = always(PNG, status=206, headers={"Content-Range": part})
    if whole:
        with fetch(handler) as fetched:
            assert fetched.read() == PNG
    else:
        with pytest.raises(DownloadError, match="HTTP 206"):
            fetch(handler)
