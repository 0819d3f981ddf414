"""MP4, MOV, AVIF and HEIC: what their outermost boxes come to."""

from __future__ import annotations

from dataclasses import dataclass, field

from bide.errors import BadMediaError
from workers.io.sniff.boxes import Box, boxes
from workers.io.sniff.brands import brand_of, brands_of
from workers.io.sniff.heif import read_items
from workers.io.sniff.kind import EndsEarlyError, Kind, UnknownFormError
from workers.io.sniff.movie import read_movie
from workers.io.sniff.pieces import Pieces

#: Boxes that stand outermost. Others are passed over, or are bytes behind the end.
_OUTERMOST = frozenset(
    b"ftyp styp moov mdat moof mfra meta free skip wide uuid udta sidx ssix prft emsg pdin pnot PICT imda meco".split()
)

#: The first box of a file that is one of these.
FIRST_BOXES = frozenset(b"ftyp styp moov mdat moof free skip wide pnot uuid sidx pdin prft emsg".split())

_MAX_BRANDS_BYTES = 4096


@dataclass
class _Outermost:
    """The outermost boxes that matter."""

    brands: tuple[bytes, ...] = ()
    moov: Box | None = None
    meta: Box | None = None
    index: Box | None = None
    has_data: bool = False
    fragments: list[Box] = field(default_factory=list)
    #: Whether the samples of the last fragment follow it.
    fragment_has_data: bool = True
    #: A box that claims to end behind the file.
    beyond: Box | None = None


def read(pieces: Pieces) -> Kind:
    """Raises `BadMediaError` or `UnknownFormError`."""
    found = _outermost(pieces)
    if found.beyond and found.beyond.name in (b"ftyp", b"styp", b"moov", b"meta"):
        raise EndsEarlyError
    if found.moov and found.moov.open and any(box.end > found.moov.end for box in boxes(pieces, *found.moov[1:3])):
        raise EndsEarlyError
    brand = brand_of(found.brands)
    if found.meta and (brand.still or not found.moov):
        return _still(pieces, found, found.meta)
    if found.moov:
        return _movie(pieces, found, found.moov)
    if found.fragments:
        raise UnknownFormError("it is part of a video, without the index")
    raise EndsEarlyError("the file ends early: it has no index")


def _outermost(pieces: Pieces) -> _Outermost:
    found = _Outermost()
    for box in boxes(pieces, 0, pieces.size_bytes):
        if box.end > pieces.size_bytes:
            found.beyond = box if box.name in _OUTERMOST else None
        if box.end > pieces.size_bytes and not found.beyond:
            break  # bytes behind the end
        if box.name in (b"ftyp", b"styp") and not found.brands and not found.beyond:
            found.brands = brands_of(pieces.take(min(box.end - box.start, _MAX_BRANDS_BYTES)))
        elif box.name == b"moov":
            found.moov = found.moov or box
        elif box.name == b"meta":
            found.meta = found.meta or box
        elif box.name == b"sidx":
            found.index = found.index or box
        elif box.name == b"moof":
            found.fragments.append(box)
            found.fragment_has_data = False
        elif box.name in (b"mdat", b"imda"):
            found.has_data = found.fragment_has_data = True
    return found


def _still(pieces: Pieces, found: _Outermost, meta: Box) -> Kind:
    items = read_items(pieces, meta)
    if items.end > pieces.size_bytes:
        raise EndsEarlyError
    if found.moov:
        read_movie(pieces, found.moov).check_whole(pieces, found.fragments, None)
    if found.beyond and not items.end:
        raise EndsEarlyError
    brand = brand_of(found.brands, items.codings)
    if items.extent is None:
        raise UnknownFormError("nothing tells its size")
    return Kind(brand.content_type, brand.ext, *items.extent)


def _movie(pieces: Pieces, found: _Outermost, moov: Box) -> Kind:
    movie, brand = read_movie(pieces, moov), brand_of(found.brands)
    if not movie.tracks and moov.open:
        raise EndsEarlyError
    if not movie.tracks:
        raise BadMediaError(f"the {brand.name} holds no video")
    if not found.fragment_has_data:
        raise EndsEarlyError
    movie.check_whole(pieces, found.fragments, found.beyond)
    if found.index and movie.fragmented and _indexed_end(pieces, found.index) > pieces.size_bytes:
        raise EndsEarlyError
    if movie.extent is None:
        return Kind("audio/mp4", "m4a")
    if not all(movie.extent):
        raise UnknownFormError("nothing tells its size")
    return Kind(brand.content_type, brand.ext, *movie.extent)


def _indexed_end(pieces: Pieces, index: Box) -> int:
    """Where the fragments end that an index (`sidx`) lists."""
    pieces.go(index.start)
    wide = pieces.big(4) >> 24
    pieces.take(16 if wide else 12)
    end = index.end + pieces.big(8 if wide else 4)
    pieces.take(2)
    count = min(pieces.big(2), (index.end - pieces.at) // 12)
    return end + sum(int.from_bytes(pieces.take(12)[:4], "big") & 0x7FFFFFFF for _ in range(count))
