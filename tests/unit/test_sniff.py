"""Files are known by their structure, and a missing end is found."""

from __future__ import annotations

import struct
import zlib

import pytest

from bide.errors import BadMediaError
from tests.media import box, kind_of, picture
from workers.io.sniff import EndsEarlyError, Kind


def video(brand: bytes = b"isom", handler: bytes = b"vide", frames: bytes = b"\0" * 5000) -> bytes:
    """The bones of an MP4 of 640 x 360."""
    header = box(b"tkhd", b"\0" * 76, struct.pack(">II", 640 << 16, 360 << 16))
    track = box(b"trak", header, box(b"mdia", box(b"hdlr", b"\0" * 8, handler, b"\0" * 12)))
    return (
        box(b"ftyp", brand, b"\0\0\0\0", brand) + box(b"moov", box(b"mvhd", b"\0" * 100), track) + box(b"mdat", frames)
    )


def matroska(kind: bytes = b"webm", length: int | None = None, clusters: bytes = b"\0" * 3000) -> bytes:
    """The bones of a WebM; without a length as it is written live."""
    header = b"\x1a\x45\xdf\xa3" + bytes([0x80 | (3 + len(kind))]) + b"\x42\x82" + bytes([0x80 | len(kind)]) + kind
    size = b"\x01" + b"\xff" * 7 if length is None else b"\x01" + length.to_bytes(7, "big")
    return header + b"\x18\x53\x80\x67" + size + clusters


WHOLE = {
    "png": (picture("PNG"), Kind("image/png", "png", 37, 21)),
    "jpeg": (picture("JPEG"), Kind("image/jpeg", "jpg", 37, 21)),
    "progressive jpeg": (picture("JPEG", progressive=True), Kind("image/jpeg", "jpg", 37, 21)),
    "gif": (picture("GIF"), Kind("image/gif", "gif", 37, 21)),
    "webp": (picture("WEBP"), Kind("image/webp", "webp", 37, 21)),
    "lossless webp": (picture("WEBP", lossless=True), Kind("image/webp", "webp", 37, 21)),
    "extended webp": (picture("WEBP", exif=b"Exif\0\0"), Kind("image/webp", "webp", 37, 21)),
    "avif": (picture("AVIF"), Kind("image/avif", "avif", 37, 21)),
    "mp4": (video(), Kind("video/mp4", "mp4", 640, 360)),
    "mov": (video(b"qt  "), Kind("video/quicktime", "mov", 640, 360)),
    "webm": (matroska(length=3000), Kind("video/webm", "webm")),
    "mkv": (matroska(b"matroska", length=3000), Kind("video/x-matroska", "mkv")),
}


@pytest.mark.parametrize("name", WHOLE)
def test_whole_files_are_known_with_type_and_size(name: str) -> None:
    """Each kind is recognized by its bytes alone, with its size in pixels where the structure holds it."""
    content, kind = WHOLE[name]
    assert kind_of(content) == kind


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
@pytest.mark.parametrize("name", WHOLE)
def test_a_file_that_ends_early_is_found(name: str, share: float) -> None:
    """A file cut anywhere is no result, although its head says it is one."""
    content, _ = WHOLE[name]
    with pytest.raises(EndsEarlyError):
        kind_of(content[: int(len(content) * share)])


@pytest.mark.parametrize("name", [name for name in WHOLE if name not in ("jpeg", "progressive jpeg")])
def test_the_last_byte_counts(name: str) -> None:
    """Formats that know their length are refused when a single byte is missing."""
    content, _ = WHOLE[name]
    with pytest.raises(EndsEarlyError):
        kind_of(content[:-1])


@pytest.mark.parametrize("name", ["png", "jpeg", "gif", "webp"])
def test_bytes_behind_the_end_do_no_harm(name: str) -> None:
    """Some programs append to a whole picture; it stays whole."""
    content, kind = WHOLE[name]
    assert kind_of(content + b"\0" * 40) == kind


def test_a_thumbnail_does_not_stand_for_a_jpeg_s_end() -> None:
    """The end marker of an embedded thumbnail comes before the picture's data and does not count."""
    thumbnail = picture("JPEG", (8, 8))
    whole = picture("JPEG")
    with_thumbnail = whole[:2] + b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail + whole[2:]
    assert kind_of(with_thumbnail).width == 37
    with pytest.raises(EndsEarlyError):
        kind_of(with_thumbnail[:-20])


def test_a_damaged_png_is_found() -> None:
    """A byte changed on the way shows in a checksum."""
    content = bytearray(WHOLE["png"][0])
    content[60] ^= 1
    with pytest.raises(BadMediaError, match="checksum"):
        kind_of(bytes(content))


def png_of(width: int, height: int) -> bytes:
    """A small PNG that claims a size."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_a_picture_of_absurd_size_is_refused() -> None:
    """A small file that would fill the memory of its decoder is refused undecoded."""
    with pytest.raises(BadMediaError, match="100000 x 100000 is over the limit"):
        kind_of(png_of(100_000, 100_000))


def test_a_picture_without_area_is_refused() -> None:
    """A width of nothing is nothing."""
    with pytest.raises(BadMediaError, match="no area"):
        kind_of(png_of(0, 10))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "nothing"),
        (b"<!DOCTYPE html><html>error</html>", "HTML"),
        (b"\xef\xbb\xbf\n <?xml version='1.0'?><Error/>", "XML"),
        (b"#EXTM3U\n#EXT-X-VERSION:3\n", "playlist"),
        (b'{"error": "expired"}', "JSON"),
        (b"[]", "JSON"),
        (b"iVBORw0KGgoAAAANSUhEUg", "unknown kind"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "no video"),
        (b"%PDF-1.7\n", "unknown kind"),
        (b"\0" * 100, "unknown kind"),
    ],
)
def test_what_is_neither_picture_nor_video_is_refused_by_name(content: bytes, reason: str) -> None:
    """The message says what came instead."""
    with pytest.raises(BadMediaError, match=reason):
        kind_of(content)


def test_a_sound_file_is_no_video() -> None:
    """An MP4 without a video track is refused."""
    with pytest.raises(BadMediaError, match="no video"):
        kind_of(video(handler=b"soun"))


def test_large_boxes_are_understood() -> None:
    """A length of 64 bits, as in files over 4 GiB, counts like any other."""
    whole = video(frames=b"")[:-8] + struct.pack(">I", 1) + b"mdat" + struct.pack(">Q", 16 + 500) + b"\0" * 500
    assert kind_of(whole).ext == "mp4"
    with pytest.raises(EndsEarlyError):
        kind_of(whole[:-1])


@pytest.mark.parametrize(
    "content",
    [
        b"GIF89a\x01\0\x01\0\0\0\0!\xf9" + b"\x01\0" * 1_100_000,
        box(b"ftyp", b"isom\0\0\0\0") + box(b"free") * 1_100_000,
        box(b"ftyp", b"isom\0\0\0\0") + struct.pack(">I", 4) + b"free",
        b"\x1a\x45\xdf\xa3\x00" + b"\0" * 50,
        b"\xff\xd8\xff\xe0\x00\x00" + b"\0" * 50,
        b"\x89PNG\r\n\x1a\n" + b"\xff\xff\xff\xff" * 20,
    ],
    ids=["gif of crumbs", "mp4 of crumbs", "box shorter than its head", "ebml", "jpeg", "png"],
)
def test_malicious_structures_end_in_bounded_time(content: bytes) -> None:
    """Whatever the bytes claim, the answer is an error, and it comes soon."""
    with pytest.raises(BadMediaError):
        kind_of(content)


def test_boxes_in_boxes_without_end_are_not_followed() -> None:
    """Nesting made to exhaust the stack is read to a fixed depth."""
    nested = b""
    for _ in range(5000):
        nested = box(b"moov", nested)
    with pytest.raises(BadMediaError, match="no video"):
        kind_of(box(b"ftyp", b"isom\0\0\0\0") + nested)
