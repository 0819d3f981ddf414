"""The tracks of a video, how the largest picture is shown, and whether all samples are there."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from workers.io.sniff.boxes import Box, boxes, find, inside
from workers.io.sniff.kind import EndsEarlyError, UnknownFormError, turned
from workers.io.sniff.pieces import Pieces
from workers.io.sniff.samples import fragment_end, samples_end

#: Handlers of tracks with pictures: videos, and series of pictures.
_PICTURES = (b"vide", b"pict")
_SOUND = b"soun"

#: Where the matrix of a movie stands, by the version of its header.
_MOVIE_MATRIX_AT = {0: 36, 1: 48}

#: Where the size of a sample stands, and where the boxes of a video's description begin.
_DESCRIBED_SIZE_AT, _DESCRIBED_BOXES_AT = 24, 78

#: a, b, c and d of a matrix that turns nothing.
_UPRIGHT = (1, 0, 0, 1)

Matrix = tuple[int, int, int, int]


@dataclass(frozen=True)
class Track:
    """A track with pictures or sound."""

    sound: bool
    enabled: bool
    #: As shown [pixels]; 0 where nothing tells, and for sound.
    width: int
    height: int
    #: Where its last chunk ends in the file; None where no table tells.
    end: int | None


@dataclass(frozen=True)
class Movie:
    """What `moov` holds."""

    tracks: tuple[Track, ...]
    #: Whether (further) samples follow in fragments.
    fragmented: bool
    #: The bytes of a sample in a fragment that does not say.
    default_size: int

    @property
    def end(self) -> int:
        """Where the samples end that `moov` knows of; 0 for none."""
        return max((track.end for track in self.tracks if track.end), default=0)

    @property
    def extent(self) -> tuple[int, int] | None:
        """Width and height of the largest picture; None for a movie without pictures, 0 where nothing tells."""
        pictures = [track for track in self.tracks if not track.sound]
        shown = [track for track in pictures if track.enabled] or pictures
        return max(((track.width, track.height) for track in shown), key=lambda it: it[0] * it[1], default=None)

    def check_whole(self, pieces: Pieces, fragments: Sequence[Box], beyond: Box | None) -> None:
        """Raise `EndsEarlyError` where samples are missing. `beyond` is a box that claims to end behind the file."""
        end = fragment_end(pieces, fragments[-1], self.default_size) if fragments else self.end
        if max(end, self.end) > pieces.size_bytes:
            raise EndsEarlyError
        if self.fragmented and not end:
            raise EndsEarlyError("the file ends early: no sample is there")
        if beyond and (not end or (fragments and beyond.name in (b"mdat", b"moof"))):
            raise EndsEarlyError


def read_movie(pieces: Pieces, moov: Box) -> Movie:
    """Raises `UnknownFormError` where `moov` is compressed."""
    found = list(inside(pieces, moov))
    named = {box.name: box for box in found}
    if b"cmov" in named:
        raise UnknownFormError("its index is compressed")
    matrix = _movie_matrix(pieces, named[b"mvhd"]) if b"mvhd" in named else _UPRIGHT
    extends = named.get(b"mvex")
    return Movie(
        tuple(track for box in found if box.name == b"trak" for track in _track(pieces, box, matrix)),
        fragmented=extends is not None,
        default_size=_default_size(pieces, extends) if extends else 0,
    )


def _track(pieces: Pieces, box: Box, movie_matrix: Matrix) -> Iterator[Track]:
    """The track in a `trak` box, if it has pictures or sound."""
    header, media = find(pieces, box, b"tkhd"), find(pieces, box, b"mdia")
    handler = _handler(pieces, media) if media else b""
    if media and handler in (*_PICTURES, _SOUND):
        sound = handler == _SOUND
        extent = _shown(pieces, header, media, movie_matrix) if header and not sound else (0, 0)
        end = samples_end(pieces, media, sound=sound)
        yield Track(sound, _enabled(pieces, header), *extent, end)


def _enabled(pieces: Pieces, header: Box | None) -> bool:
    if header is None:
        return False
    pieces.go(header.start)
    return bool(pieces.big(4) & 1)


def _handler(pieces: Pieces, media: Box) -> bytes:
    box = find(pieces, media, b"hdlr")
    return pieces.take(12)[8:] if box else b""


def _shown(pieces: Pieces, header: Box, media: Box, movie_matrix: Matrix) -> tuple[int, int]:
    """Width and height as players show them: pixels that are no squares, then the header's own size, then turned."""
    pieces.go(max(header.end - 44, header.start))
    matrix = _matrix(pieces.take(36))
    width, height = ((pieces.big(4) + 0x8000) >> 16 for _ in range(2))
    coded_width, coded_height, across, down = _described(pieces, media)
    if coded_width and (across != down or not (width and height)):
        width, height = (coded_width * across + down // 2) // down, coded_height
    (a, b, _, _), (e, f, g, h) = matrix, movie_matrix
    return turned(width, height, sideways=abs(a * f + b * h) > abs(a * e + b * g))


def _described(pieces: Pieces, media: Box) -> tuple[int, int, int, int]:
    """Width and height of the stored pictures, and across and down of a pixel; zeros where nothing tells."""
    table = find(pieces, media, b"minf", b"stbl", b"stsd")
    entry = next(boxes(pieces, table.start + 8, table.end), None) if table else None
    if entry is None or entry.start + _DESCRIBED_BOXES_AT > entry.end:
        return 0, 0, 1, 1
    pieces.go(entry.start + _DESCRIBED_SIZE_AT)
    width, height = pieces.big(2), pieces.big(2)
    aspect = next((box for box in inside(pieces, entry, skip=_DESCRIBED_BOXES_AT) if box.name == b"pasp"), None)
    across, down = (pieces.big(4), pieces.big(4)) if aspect else (1, 1)
    return (width, height, across, down) if across and down else (width, height, 1, 1)


def _movie_matrix(pieces: Pieces, header: Box) -> Matrix:
    pieces.go(header.start)
    at = _MOVIE_MATRIX_AT.get(pieces.big(1))
    if at is None or header.start + at + 36 > header.end:
        return _UPRIGHT
    pieces.go(header.start + at)
    return _matrix(pieces.take(36))


def _matrix(nine: bytes) -> Matrix:
    """The part of a matrix that turns; one of zeros turns nothing."""
    a, b, _, c, d, *_ = struct.unpack(">9i", nine)
    return (a, b, c, d) if any((a, b, c, d)) else _UPRIGHT


def _default_size(pieces: Pieces, extends: Box) -> int:
    """The smallest default of any track: so no sample is missed that is there."""
    sizes = [0]
    for box in inside(pieces, extends):
        if box.name == b"trex" and box.end - box.start >= 24:
            pieces.take(16)
            sizes.append(pieces.big(4))
    return min(sizes[1:], default=0)
