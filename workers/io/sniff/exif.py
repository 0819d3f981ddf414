"""How a picture is to be turned before it is shown, as cameras note it."""

from __future__ import annotations

import struct

_PREFIX = b"Exif\0\0"
_ORIENTATION = 0x0112
_SHORT, _LONG = 3, 4


def sideways(exif: bytes) -> bool:
    """Whether the orientation in these EXIF data (with or without their prefix) swaps width and height."""
    return 5 <= orientation(exif) <= 8


def orientation(exif: bytes) -> int:
    """1 to 8; 1 where it is missing or can't be read."""
    tiff = exif.removeprefix(_PREFIX)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None or len(tiff) < 10:
        return 1
    (directory,) = struct.unpack_from(order + "I", tiff, 4)
    entries = tiff[directory : directory + 2]
    count = struct.unpack(order + "H", entries)[0] if len(entries) == 2 else 0
    for at in range(directory + 2, min(directory + 2 + 12 * count, len(tiff) - 11), 12):
        tag, kind = struct.unpack_from(order + "HH", tiff, at)
        if tag == _ORIENTATION and kind in (_SHORT, _LONG):
            value: int = struct.unpack_from(order + ("H" if kind == _SHORT else "I"), tiff, at + 8)[0]
            return value if 1 <= value <= 8 else 1
    return 1
