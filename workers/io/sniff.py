"""What a file really is: type, size in pixels and whether it is whole, read from its structure without decoding it."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import IO, NamedTuple

from bide.errors import BadMediaError

#: Largest picture that is taken [pixels]: one decoded would need 1 GiB.
MAX_PIXELS = 2**28

#: Most pieces a file may be read in; a whole one of 512 MiB has far fewer, one made to keep us busy far more.
MAX_PIECES = 2_000_000

_BLOCK_BYTES = 256 * 1024


class Kind(NamedTuple):
    """A file's type by its content; width and height in pixels where the structure tells them."""

    content_type: str
    ext: str
    width: int | None = None
    height: int | None = None


class EndsEarlyError(BadMediaError):
    """The file is of a known type and its end is missing."""


def identify(file: IO[bytes], size_bytes: int) -> Kind:
    """The kind of the picture or video in `file`, which is read from its start, in small pieces.

    Raises `BadMediaError` for anything else, `EndsEarlyError` where the end is missing.
    """
    file.seek(0)
    head = file.read(64)
    read_kind = _reader_for(head)
    if read_kind is None:
        raise BadMediaError(f"neither a picture nor a video but {_described(head)}")
    kind = read_kind(_Pieces(file, size_bytes))
    if kind.width == 0 or kind.height == 0:
        raise BadMediaError(f"the {kind.ext.upper()} has no area")
    if kind.width and kind.height and kind.width * kind.height > MAX_PIXELS:
        raise BadMediaError(f"{kind.width} x {kind.height} is over the limit of {MAX_PIXELS} pixels")
    return kind


class _Pieces:
    """A file read piece by piece, never beyond its end and never without end."""

    def __init__(self, file: IO[bytes], size_bytes: int) -> None:
        self._file = file
        self._left = MAX_PIECES
        self.size_bytes = size_bytes
        self.at = 0

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        self._left -= 1
        if self._left < 0:
            raise BadMediaError("the file is made of too many pieces")
        taken = self._file.read(count)
        if len(taken) < count:
            raise EndsEarlyError("the file ends early")
        self.at += count
        return taken

    def big(self, count: int) -> int:
        return int.from_bytes(self.take(count), "big")

    def little(self, count: int) -> int:
        return int.from_bytes(self.take(count), "little")

    def go(self, offset: int) -> None:
        """Go to an offset, which must lie in the file or at its end."""
        if offset > self.size_bytes:
            raise EndsEarlyError("the file ends early")
        self._file.seek(offset)
        self.at = offset


def _reader_for(head: bytes) -> Callable[[_Pieces], Kind] | None:
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return _webp
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        return _boxed
    signatures = {
        b"\x89PNG\r\n\x1a\n": _png,
        b"\xff\xd8\xff": _jpeg,
        b"GIF87a": _gif,
        b"GIF89a": _gif,
        b"\x1a\x45\xdf\xa3": _matroska,
    }
    return next((reader for signature, reader in signatures.items() if head.startswith(signature)), None)


def _described(head: bytes) -> str:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if not head:
        return "nothing (0 bytes)"
    if text.startswith(b"#EXTM3U"):
        return "a playlist, whose parts are not fetched"
    if text.startswith(b"<"):
        return "an HTML or XML page"
    if text.startswith((b"{", b"[")):
        return "JSON"
    return f"an unknown kind of file (it starts with {head[:8].hex(' ')})"


def _png(pieces: _Pieces) -> Kind:
    pieces.go(8)
    width, height, has_pixels, name = 0, 0, False, b""
    while name != b"IEND":
        length, name = pieces.big(4), pieces.take(4)
        start = pieces.at
        if name == b"IHDR":
            width, height = pieces.big(4), pieces.big(4)
            pieces.go(start)
        has_pixels = has_pixels or name == b"IDAT"
        if _crc(pieces, length, zlib.crc32(name)) != pieces.big(4):
            raise BadMediaError("the PNG is damaged: a checksum differs")
    if not has_pixels:
        raise BadMediaError("the PNG holds no picture")
    return Kind("image/png", "png", width, height)


def _crc(pieces: _Pieces, length: int, crc: int) -> int:
    while length:
        block = pieces.take(min(length, _BLOCK_BYTES))
        crc = zlib.crc32(block, crc)
        length -= len(block)
    return crc


def _jpeg(pieces: _Pieces) -> Kind:
    """Walk the segments to the first scan, then look for the end marker behind it (a thumbnail's comes before)."""
    pieces.go(2)
    width = height = marker = 0
    while marker != 0xDA:
        marker = _jpeg_marker(pieces)
        segment_end = pieces.at + pieces.big(2)
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            pieces.take(1)
            height, width = pieces.big(2), pieces.big(2)
        pieces.go(segment_end)
    if not _holds(pieces, b"\xff\xd9"):
        raise EndsEarlyError("the JPEG ends early")
    return Kind("image/jpeg", "jpg", width, height)


def _jpeg_marker(pieces: _Pieces) -> int:
    if pieces.take(1) != b"\xff":
        raise BadMediaError("the JPEG is damaged: a segment is missing")
    while (marker := pieces.big(1)) == 0xFF:
        pass
    return marker


def _holds(pieces: _Pieces, wanted: bytes) -> bool:
    """Whether `wanted` (two bytes) stands anywhere in the rest of the file."""
    last = b""
    while left := pieces.size_bytes - pieces.at:
        block = pieces.take(min(left, _BLOCK_BYTES))
        if wanted in last + block:
            return True
        last = block[-1:]
    return False


def _gif(pieces: _Pieces) -> Kind:
    pieces.go(6)
    width, height = pieces.little(2), pieces.little(2)
    _skip_colours(pieces, pieces.take(3)[0])
    while (block := pieces.take(1)) != b"\x3b":
        if block == b"\x2c":
            _skip_colours(pieces, pieces.take(9)[8])
        elif block != b"\x21":
            raise BadMediaError("the GIF is damaged: unknown block")
        pieces.take(1)
        while length := pieces.big(1):
            pieces.take(length)
    return Kind("image/gif", "gif", width, height)


def _skip_colours(pieces: _Pieces, flags: int) -> None:
    if flags & 0x80:
        pieces.take(3 << ((flags & 7) + 1))


def _webp(pieces: _Pieces) -> Kind:
    pieces.go(4)
    pieces.go(pieces.little(4) + 8)
    pieces.go(12)
    name, _ = pieces.take(4), pieces.take(4)
    if name == b"VP8X":
        pieces.take(4)
        return Kind("image/webp", "webp", 1 + pieces.little(3), 1 + pieces.little(3))
    if name == b"VP8L":
        pieces.take(1)
        sizes = pieces.little(4)
        return Kind("image/webp", "webp", 1 + (sizes & 0x3FFF), 1 + (sizes >> 14 & 0x3FFF))
    if name == b"VP8 ":
        pieces.take(6)
        return Kind("image/webp", "webp", pieces.little(2) & 0x3FFF, pieces.little(2) & 0x3FFF)
    raise BadMediaError("the WebP holds no picture")


class _Box(NamedTuple):
    name: bytes
    start: int
    end: int


#: Boxes that hold boxes, on the ways to a video's tracks and to a picture's size, and where their contents begin.
_PARENTS = {b"moov": 0, b"trak": 0, b"mdia": 0, b"meta": 4, b"iprp": 0, b"ipco": 0}

#: The deepest of those ways: moov, trak, mdia, hdlr.
_MAX_DEPTH = 4

_BRANDS = {
    b"avif": ("image/avif", "avif"),
    b"avis": ("image/avif", "avif"),
    b"heic": ("image/heic", "heic"),
    b"heix": ("image/heic", "heic"),
    b"mif1": ("image/heif", "heif"),
    b"qt  ": ("video/quicktime", "mov"),
}


def _boxed(pieces: _Pieces) -> Kind:
    """MP4, MOV, AVIF and HEIC: boxes that must add up to the whole file."""
    brand = b"qt  "
    width, height, has_video = 0, 0, False
    for box in _boxes(pieces, 0, pieces.size_bytes):
        if box.name == b"ftyp":
            brand = pieces.take(4)
        elif box.name == b"hdlr":
            has_video = has_video or pieces.take(12)[8:] == b"vide"
        elif box.name in (b"tkhd", b"ispe"):
            width, height = max((width, height), _extent(pieces, box), key=lambda extent: extent[0] * extent[1])
    content_type, ext = _BRANDS.get(brand, ("video/mp4", "mp4"))
    if content_type.startswith("video/") and not has_video:
        raise BadMediaError(f"the {ext.upper()} holds no video")
    return Kind(content_type, ext, width or None, height or None)


def _boxes(pieces: _Pieces, start: int, end: int, depth: int = 1) -> Iterator[_Box]:
    """All boxes between two offsets, each followed by those inside it; the file stands at its contents meanwhile."""
    while start < end:
        pieces.go(start)
        length, name = pieces.big(4), pieces.take(4)
        if length == 1:
            length = pieces.big(8)
        box = _Box(name, pieces.at, start + length if length else end)
        if box.end > end:
            raise EndsEarlyError("the file ends early")
        if box.end < box.start:
            raise BadMediaError("the file is damaged: a box is shorter than its head")
        yield box
        if name in _PARENTS and depth < _MAX_DEPTH:
            yield from _boxes(pieces, box.start + _PARENTS[name], box.end, depth + 1)
        start = box.end


def _extent(pieces: _Pieces, box: _Box) -> tuple[int, int]:
    """Width and height of a track (16.16 fixed point, the last of its box) or of a still picture."""
    if box.name == b"tkhd":
        pieces.go(box.end - 8)
        return pieces.big(4) >> 16, pieces.big(4) >> 16
    pieces.take(4)
    return pieces.big(4), pieces.big(4)


def _matroska(pieces: _Pieces) -> Kind:
    """WebM and Matroska: the segment must lie in the file whole, unless it was written live (length unknown)."""
    pieces.go(4)
    header = pieces.take(min(_ebml_length(pieces) or 0, _BLOCK_BYTES))
    content_type, ext = ("video/webm", "webm") if b"webm" in header else ("video/x-matroska", "mkv")
    if pieces.take(4) != b"\x18\x53\x80\x67":
        raise BadMediaError(f"the {ext.upper()} holds no video")
    length = _ebml_length(pieces)
    if length is not None:
        pieces.go(pieces.at + length)
    return Kind(content_type, ext)


def _ebml_length(pieces: _Pieces) -> int | None:
    """A number of variable length; None where all its bits are set (unknown)."""
    first = pieces.big(1)
    width = 9 - first.bit_length()
    if width > 8:
        raise BadMediaError("the file is damaged: a length is too long")
    value = (first & (0xFF >> width)) << 8 * (width - 1) | int.from_bytes(pieces.take(width - 1), "big")
    return None if value == (1 << 7 * width) - 1 else value
