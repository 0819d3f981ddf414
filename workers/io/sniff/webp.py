"""WebP: the chunks of its RIFF."""

from __future__ import annotations

from bide.errors import BadMediaError
from workers.io.sniff.exif import sideways
from workers.io.sniff.kind import EndsEarlyError, Kind, UnknownFormError, turned
from workers.io.sniff.pieces import Pieces

#: Lengths of a RIFF whose writer could not go back to write the true one.
_UNKNOWN_LENGTHS = (0, 0xFFFFFFFF)

_PICTURES = (b"VP8 ", b"VP8L", b"ANMF")
_OTHERS = (b"VP8X", b"ICCP", b"ANIM", b"ALPH", b"EXIF", b"XMP ")
_HAS_EXIF = 0x08
_MAX_EXIF_BYTES = 1024 * 1024


def read(pieces: Pieces) -> Kind:
    """Raises `BadMediaError` or `UnknownFormError`. The chunks have to be there whole, whatever length the RIFF has."""
    pieces.go(4)
    length = pieces.little(4)
    known = length not in _UNKNOWN_LENGTHS
    end = length + 8 if known else pieces.size_bytes
    pieces.go(end)
    pieces.go(12)
    extent, exif, has_exif, has_picture = None, b"", False, False
    while pieces.at + 8 <= end:
        name, size = pieces.take(4), pieces.little(4)
        start = pieces.at
        if not known and has_picture and name not in _PICTURES + _OTHERS:
            break  # bytes behind the end
        if start + size > pieces.size_bytes:
            raise EndsEarlyError("the WebP ends early")
        if name in _PICTURES and not size:
            raise UnknownFormError("its picture has no length")
        if name == b"VP8X":
            has_exif = bool(pieces.big(1) & _HAS_EXIF)
        if extent is None:
            extent = _extent(pieces, name, start)
        if name == b"EXIF" and has_exif and not exif:
            exif = pieces.take(min(size, _MAX_EXIF_BYTES))
        has_picture = has_picture or name in _PICTURES
        pieces.at = min(start + size + size % 2, pieces.size_bytes)
    if not has_picture:
        raise BadMediaError("the WebP holds no picture") if known else EndsEarlyError("the WebP ends early")
    if extent is None:
        raise UnknownFormError("its first picture is of an unknown form")
    return Kind("image/webp", "webp", *turned(*extent, sideways=sideways(exif)))


def _extent(pieces: Pieces, name: bytes, start: int) -> tuple[int, int] | None:
    """Width and height where the chunk at `start` holds them."""
    pieces.go(start)
    if name == b"VP8X":
        pieces.take(4)
        return 1 + pieces.little(3), 1 + pieces.little(3)
    if name == b"VP8L":
        pieces.take(1)
        sizes = pieces.little(4)
        return 1 + (sizes & 0x3FFF), 1 + (sizes >> 14 & 0x3FFF)
    if name == b"VP8 ":
        pieces.take(6)
        return pieces.little(2) & 0x3FFF, pieces.little(2) & 0x3FFF
    return None
