"""JPEG: the segments up to the first scan, then the end marker."""

from __future__ import annotations

from bide.errors import BadMediaError
from workers.io.sniff.exif import sideways
from workers.io.sniff.kind import EndsEarlyError, Kind, UnknownFormError, turned
from workers.io.sniff.pieces import Pieces

_SCAN, _END, _EXIF = 0xDA, 0xD9, 0xE1

#: Markers of frames, which hold the size. The others of this range hold tables.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}

#: Markers that stand alone.
_ALONE = frozenset([0x00, 0x01, *range(0xD0, 0xD9)])


def read(pieces: Pieces) -> Kind:
    """Raises `BadMediaError` or `UnknownFormError`. A thumbnail lies inside a segment: its end does not count."""
    pieces.go(2)
    width = height = 0
    has_frame, exif = False, b""
    while (marker := _next_marker(pieces)) != _SCAN:
        if marker == _END:
            raise BadMediaError("the JPEG holds no picture")
        segment_end = pieces.at + max(pieces.big(2), 2)
        if marker in _FRAMES:
            pieces.take(1)
            height, width, has_frame = pieces.big(2), pieces.big(2), True
        elif marker == _EXIF and not exif:
            content = pieces.take(max(segment_end - pieces.at, 0))
            exif = content if content.startswith(b"Exif\0") else b""
        pieces.go(segment_end)
    if not pieces.find(b"\xff\xd9"):
        raise EndsEarlyError("the JPEG ends early")
    if not has_frame or (width and not height):
        raise UnknownFormError("its size does not stand in front of its pixels")
    return Kind("image/jpeg", "jpg", *turned(width, height, sideways=sideways(exif)))


def _next_marker(pieces: Pieces) -> int:
    """The next marker of a segment. Bytes in front of it are passed over, as decoders do."""
    marker = 0
    while marker in _ALONE:
        if not pieces.find(b"\xff"):
            raise EndsEarlyError("the JPEG ends early")
        while (marker := pieces.big(1)) == 0xFF:
            pass
    return marker
