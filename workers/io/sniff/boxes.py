"""The boxes of which MP4, MOV, AVIF and HEIC are made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from workers.io.sniff.pieces import Pieces


class Box(NamedTuple):
    """A box: where its contents begin, and where it ends. `open` where it says that it goes on to the file's end."""

    name: bytes
    start: int
    end: int
    open: bool = False


def boxes(pieces: Pieces, start: int, end: int) -> Iterator[Box]:
    """The boxes between two offsets, until one can't be read. A box may claim to end behind `end`.

    The file stands at a box's contents when the box is handed out.
    """
    while start + 8 <= end:
        pieces.go(start)
        head = pieces.take(8)
        length, name = int.from_bytes(head[:4], "big"), head[4:]
        if length == 1 and start + 16 <= end:
            length = pieces.big(8)
        if 0 < length < pieces.at - start:
            return
        yield Box(name, pieces.at, start + length if length else end, open=not length)
        if not length:
            return
        start += length


def inside(pieces: Pieces, box: Box, *, skip: int = 0) -> Iterator[Box]:
    """The boxes in a box, none of which reaches beyond it; `skip` bytes of its own come before them."""
    for inner in boxes(pieces, box.start + skip, box.end):
        yield inner._replace(end=min(inner.end, box.end))


def find(pieces: Pieces, box: Box, *path: bytes) -> Box | None:
    """The first box on a path into `box`; None where there is none."""
    found: Box | None = box
    for name in path:
        found = found and next((inner for inner in inside(pieces, found) if inner.name == name), None)
    return found


def meta_skip(pieces: Pieces, meta: Box) -> int:
    """How many bytes of a `meta` box come before its boxes: version and flags, which Apple's writers leave out."""
    pieces.go(meta.start)
    return 0 if pieces.take(min(8, meta.end - meta.start))[4:] == b"hdlr" else 4
