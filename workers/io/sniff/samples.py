"""Where the samples of a video's tracks end: by that a cut is found which the boxes do not show."""

from __future__ import annotations

import struct
import sys
from array import array

from workers.io.sniff.boxes import Box, find, inside
from workers.io.sniff.pieces import Pieces

#: Entries of a table that are read at once.
_STEP = 8192

_HAS_BASE, _HAS_DESCRIPTION, _HAS_DURATION, _HAS_SIZE = 0x1, 0x2, 0x8, 0x10
_HAS_OFFSET, _HAS_FIRST_FLAGS = 0x1, 0x4
_ENTRY_FIELDS = (0x100, 0x200, 0x400, 0x800)
_ENTRY_SIZE = 0x200


def samples_end(pieces: Pieces, media: Box, *, sound: bool) -> int | None:
    """Where the last chunk of a track ends, by its tables; None where it has none, or they lie in another file.

    Of `sound` whose samples all have one size it is where that chunk begins: some writers count in other units.
    """
    table = find(pieces, media, b"minf", b"stbl")
    if table is None or _elsewhere(pieces, media):
        return None
    tables = {box.name: box for box in inside(pieces, table)}
    offsets = tables.get(b"stco") or tables.get(b"co64")
    if offsets is None:
        return None
    chunk, offset = _last_chunk(pieces, offsets, 4 if offsets.name == b"stco" else 8)
    if chunk is None:
        return None
    if b"stsc" not in tables or b"stsz" not in tables:
        return offset
    first, count = _samples_of(pieces, tables[b"stsc"], chunk)
    return offset + _bytes_of(pieces, tables[b"stsz"], first, count, sound=sound)


def _elsewhere(pieces: Pieces, media: Box) -> bool:
    """Whether the samples lie in another file."""
    references = find(pieces, media, b"minf", b"dinf", b"dref")
    if references is None or references.end - references.start < 20:
        return False
    pieces.go(references.start + 16)
    return not pieces.big(4) & 1


def _count(pieces: Pieces, table: Box, at: int, entry_bytes: int) -> int:
    """The entries of a table, whose number stands at `at`; no more than it has room for."""
    pieces.go(table.start + at)
    return max(min(pieces.big(4), (table.end - pieces.at) // entry_bytes), 0)


def _last_chunk(pieces: Pieces, table: Box, width: int) -> tuple[int | None, int]:
    """Index and offset of the chunk that lies last in the file; of no chunk None and 0."""
    left, first = _count(pieces, table, 4, width), 0
    found: tuple[int | None, int] = (None, 0)
    while left:
        entries = array("I" if width == 4 else "Q", pieces.take(width * min(left, _STEP)))
        if sys.byteorder == "little":
            entries.byteswap()
        if (largest := max(entries)) > found[1] or found[0] is None:
            found = first + entries.index(largest), largest
        first, left = first + len(entries), left - len(entries)
    return found


def _samples_of(pieces: Pieces, table: Box, chunk: int) -> tuple[int, int]:
    """Index of the first sample in a chunk, and how many it holds."""
    first_sample, last_chunk, per_chunk = 0, 0, 0
    for _ in range(_count(pieces, table, 4, 12)):
        begins = pieces.big(4) - 1
        if begins > chunk:
            break
        first_sample += max(begins - last_chunk, 0) * per_chunk
        last_chunk, per_chunk = begins, pieces.big(4)
        pieces.take(4)
    return first_sample + (chunk - last_chunk) * per_chunk, per_chunk


def _bytes_of(pieces: Pieces, table: Box, first: int, count: int, *, sound: bool) -> int:
    pieces.go(table.start + 4)
    if size := pieces.big(4):
        return 0 if sound else size * count
    in_table = _count(pieces, table, 8, 4)
    count = max(min(count, in_table - first), 0)
    pieces.go(table.start + 12 + 4 * min(first, in_table))
    total = 0
    while count:
        step = min(count, _STEP)
        total += sum(struct.unpack(f">{step}I", pieces.take(4 * step)))
        count -= step
    return total


def fragment_end(pieces: Pieces, fragment: Box, default_size: int) -> int:
    """Where the samples of a fragment (`moof`) end, as far as its runs tell."""
    head = fragment.start - 8
    tracks = (box for box in inside(pieces, fragment) if box.name == b"traf")
    return max((_run_end(pieces, track, head, default_size) for track in tracks), default=0)


def _run_end(pieces: Pieces, track: Box, base: int, size: int) -> int:
    at = 0
    for box in inside(pieces, track):
        if box.name not in (b"tfhd", b"trun"):
            continue
        flags = pieces.big(4) & 0xFFFFFF
        if box.name == b"tfhd":
            pieces.take(4)
            base = pieces.big(8) if flags & _HAS_BASE else base
            pieces.take(sum(4 for field in (_HAS_DESCRIPTION, _HAS_DURATION) if flags & field))
            size = pieces.big(4) if flags & _HAS_SIZE else size
        else:
            count = pieces.big(4)
            at = base + pieces.big(4) if flags & _HAS_OFFSET else at
            pieces.take(4 if flags & _HAS_FIRST_FLAGS else 0)
            at += _run_bytes(pieces, box, flags, count, size)
    return at


def _run_bytes(pieces: Pieces, run: Box, flags: int, count: int, size: int) -> int:
    fields = [field for field in _ENTRY_FIELDS if flags & field]
    if _ENTRY_SIZE not in fields:
        return count * size
    count = min(count, (run.end - pieces.at) // (4 * len(fields)))
    place, width = fields.index(_ENTRY_SIZE), len(fields)
    return sum(struct.unpack(f">{count * width}I", pieces.take(4 * count * width))[place::width])
