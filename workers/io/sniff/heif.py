"""The items of AVIF and HEIC: where their bytes lie, and how the picture that is shown is cropped and turned."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from workers.io.sniff.boxes import Box, inside, meta_skip
from workers.io.sniff.kind import turned
from workers.io.sniff.pieces import Pieces


@dataclass
class Items:
    """What the `meta` box of a picture tells."""

    #: Width and height as shown; None where nothing tells.
    extent: tuple[int, int] | None = None
    #: How the items are coded, the one that is shown first.
    codings: tuple[bytes, ...] = ()
    #: Where the last of their bytes lie; 0 for none.
    end: int = 0


@dataclass
class _Tables:
    primary: int | None = None
    types: dict[int, bytes] = field(default_factory=dict)
    properties: list[Box] = field(default_factory=list)
    #: The properties of each item, by their numbers from 1 on.
    owned: dict[int, list[int]] = field(default_factory=dict)
    end: int = 0


def read_items(pieces: Pieces, meta: Box) -> Items:
    """The items of a picture."""
    tables = _Tables()
    readers = {b"pitm": _read_primary, b"iinf": _read_types, b"iloc": _read_places, b"iprp": _read_properties}
    for box in inside(pieces, meta, skip=meta_skip(pieces, meta)):
        if box.name in readers:
            readers[box.name](pieces, box, tables)
    shown = tables.types.get(tables.primary or 0, b"")
    return Items(_extent(pieces, tables), (shown, *tables.types.values()), tables.end)


def _extent(pieces: Pieces, tables: _Tables) -> tuple[int, int] | None:
    """Of the item that is shown: its size after each crop and turn; without one, the largest size there is."""
    numbers = tables.owned.get(tables.primary or 0, [])
    own = [tables.properties[number - 1] for number in numbers if 0 < number <= len(tables.properties)]
    extent = next((_size(pieces, box) for box in own if box.name == b"ispe"), None)
    if extent is None:
        sizes = (_size(pieces, box) for box in tables.properties if box.name == b"ispe")
        return max(sizes, key=lambda size: size[0] * size[1], default=None)
    for box in own:
        pieces.go(box.start)
        if box.name == b"clap":
            extent = _cropped(extent, [pieces.big(4) for _ in range(4)])
        elif box.name == b"irot":
            extent = turned(*extent, sideways=bool(pieces.big(1) & 1))
    return extent


def _size(pieces: Pieces, box: Box) -> tuple[int, int]:
    pieces.go(box.start + 4)
    return pieces.big(4), pieces.big(4)


def _cropped(extent: tuple[int, int], crop: list[int]) -> tuple[int, int]:
    """The width and height that a crop leaves, each a fraction; a crop that leaves nothing or adds is none."""
    sizes = [crop[at] // crop[at + 1] if crop[at + 1] else 0 for at in (0, 2)]
    width, height = (size if 0 < size <= old else old for size, old in zip(sizes, extent, strict=True))
    return width, height


def _head(pieces: Pieces, box: Box) -> tuple[int, int]:
    """Version and flags."""
    pieces.go(box.start)
    return pieces.big(1), pieces.big(3)


def _read_primary(pieces: Pieces, box: Box, tables: _Tables) -> None:
    version, _ = _head(pieces, box)
    tables.primary = pieces.big(4 if version else 2)


def _read_types(pieces: Pieces, box: Box, tables: _Tables) -> None:
    version, _ = _head(pieces, box)
    for entry in inside(pieces, box, skip=8 if version else 6):
        if entry.name == b"infe":
            entry_version, _ = _head(pieces, entry)
            if entry_version >= 2:
                item = pieces.big(4 if entry_version > 2 else 2)
                pieces.take(2)
                tables.types[item] = pieces.take(4)


def _read_places(pieces: Pieces, box: Box, tables: _Tables) -> None:
    """Where each item ends. Items inside the tables, or in another file, are passed over."""
    version, _ = _head(pieces, box)
    sizes = pieces.big(2)
    offset_bytes, length_bytes, base_bytes = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_bytes = sizes & 15 if version else 0
    for _ in range(pieces.big(4 if version > 1 else 2)):
        pieces.take(4 if version > 1 else 2)
        way = pieces.big(2) & 15 if version else 0
        elsewhere = pieces.big(2)
        base = pieces.big(base_bytes)
        for _ in range(pieces.big(2)):
            pieces.take(index_bytes)
            offset, length = pieces.big(offset_bytes), pieces.big(length_bytes)
            if not way and not elsewhere:
                tables.end = max(tables.end, base + offset + length)


def _read_properties(pieces: Pieces, box: Box, tables: _Tables) -> None:
    for part in inside(pieces, box):
        if part.name == b"ipco":
            tables.properties += inside(pieces, part)
        elif part.name == b"ipma":
            tables.owned |= dict(_owners(pieces, part))


def _owners(pieces: Pieces, box: Box) -> Iterator[tuple[int, list[int]]]:
    version, flags = _head(pieces, box)
    width, mask = (2, 0x7FFF) if flags & 1 else (1, 0x7F)
    for _ in range(pieces.big(4)):
        item = pieces.big(4 if version else 2)
        yield item, [pieces.big(width) & mask for _ in range(pieces.big(1))]
