"""GIF: blocks up to the trailer."""

from __future__ import annotations

from bide.errors import BadMediaError
from workers.io.sniff.kind import Kind, UnknownFormError
from workers.io.sniff.pieces import Pieces

_PICTURE, _EXTENSION, _TRAILER = 0x2C, 0x21, 0x3B


def read(pieces: Pieces) -> Kind:
    """Raises `BadMediaError` or `UnknownFormError`."""
    pieces.go(6)
    width, height = pieces.little(2), pieces.little(2)
    _skip_colours(pieces, pieces.take(3)[0])
    has_picture = False
    while (block := pieces.big(1)) != _TRAILER:
        if block == _PICTURE:
            pieces.take(4)
            extent = pieces.little(2), pieces.little(2)
            width, height = (width, height) if has_picture or (width and height) else extent
            has_picture = True
            _skip_colours(pieces, pieces.big(1))
        elif block == 0:
            continue  # zero bytes between blocks, as decoders pass them over
        elif block != _EXTENSION:
            raise UnknownFormError("it holds a block of its own")
        pieces.take(1)
        _skip_data(pieces)
    if not has_picture:
        raise BadMediaError("the GIF holds no picture")
    return Kind("image/gif", "gif", width, height)


def _skip_colours(pieces: Pieces, flags: int) -> None:
    if flags & 0x80:
        pieces.take(3 << ((flags & 7) + 1))


def _skip_data(pieces: Pieces) -> None:
    """Pass over pieces of data, each with its length in front, up to the one without. A large file has millions."""
    while True:
        start, block = pieces.at, pieces.some()
        at = count = 0
        while at < len(block) and (length := block[at]):
            at += length + 1
            count += 1
        pieces.spend(count)
        if at < len(block):
            pieces.go(start + at + 1)
            return
        pieces.go(start + at)
