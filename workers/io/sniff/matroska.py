"""WebM and Matroska: the tracks, and whether all clusters are there, also of a file that was written live."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite

from bide.errors import BadMediaError
from workers.io.sniff.ebml import Element, element, inside, number, real
from workers.io.sniff.kind import EndsEarlyError, Kind, UnknownFormError, turned
from workers.io.sniff.pieces import Pieces

_HEADER, _DOCTYPE, _SEGMENT = 0x1A45DFA3, 0x4282, 0x18538067
_VOID, _CRC = 0xEC, 0xBF
_INFO, _TRACKS, _CLUSTER = 0x1549A966, 0x1654AE6B, 0x1F43B675

#: What stands in a segment: seek head, info, tracks, cluster, cues, attachments, chapters, tags; and fillers.
_IN_SEGMENT = frozenset(
    [0x114D9B74, _INFO, _TRACKS, _CLUSTER, 0x1C53BB6B, 0x1941A469, 0x1043A770, 0x1254C367, _VOID, _CRC]
)

#: What stands in a cluster: time, position, previous size, silent tracks, encrypted block, and fillers; and blocks.
_TIME, _SIMPLE_BLOCK, _BLOCK_GROUP, _BLOCK = 0xE7, 0xA3, 0xA0, 0xA1
_IN_CLUSTER = frozenset([_TIME, 0xA7, 0xAB, 0x5854, 0xAF, _SIMPLE_BLOCK, _BLOCK_GROUP, _VOID, _CRC])

_DURATION = 0x4489

_TRACK, _TRACK_TYPE, _PICTURE = 0xAE, 0x83, 0xE0
_VIDEO, _SOUND = 1, 2
_WIDTH, _HEIGHT = 0xB0, 0xBA
_CROP_BOTTOM, _CROP_TOP, _CROP_LEFT, _CROP_RIGHT = 0x54AA, 0x54BB, 0x54CC, 0x54DD
_SHOWN_WIDTH, _SHOWN_HEIGHT, _SHOWN_UNIT = 0x54B0, 0x54BA, 0x54B2
_PIXELS, _UNKNOWN_UNIT = 0, 4
_PROJECTION, _ROLL = 0x7670, 0x7675

#: A live file is cut if so much of its duration is missing: a share of it, and more than its frames last.
_MISSING_SHARE, _FRAMES = 0.1, 2


@dataclass
class _Segment:
    """What a segment has shown so far; times in its own units."""

    pictures: list[tuple[int, int]] = field(default_factory=list)
    has_sound: bool = False
    has_tracks: bool = False
    has_clusters: bool = False
    blocks: int = 0
    duration: float = 0.0
    #: The time of the last block, and the longest time between two.
    last: int = 0
    gap: int = 0

    def note_block(self, time: int) -> None:
        self.blocks += 1
        self.gap = max(self.gap, time - self.last)
        self.last = max(self.last, time)


def read(pieces: Pieces) -> Kind:
    """Raises `BadMediaError` or `UnknownFormError`."""
    webm, outer = _begin(pieces)
    name, ext = ("webm", "webm") if webm else ("x-matroska", "mkv")
    if outer.end is not None:
        pieces.go(outer.end)
    segment = _read_segment(pieces, outer)
    if outer.end is None and not segment.has_clusters:
        raise EndsEarlyError(f"the file, video/{name}, ends early: none of its pictures is there")
    if segment.pictures:
        extent = max(segment.pictures, key=lambda it: it[0] * it[1])
        if not all(extent):
            raise UnknownFormError("nothing tells its size")
        return Kind(f"video/{name}", ext, *extent)
    if segment.has_sound:
        return Kind(f"audio/{name}", "webm" if webm else "mka")
    if segment.has_tracks:
        raise BadMediaError(f"the {ext.upper()} holds no video")
    raise UnknownFormError("it has no list of its tracks")


def _begin(pieces: Pieces) -> tuple[bool, Element]:
    """Whether it is WebM, and the segment."""
    try:
        header = element(pieces)
        doctype = next((one for one in inside(pieces, header) if one.name == _DOCTYPE), None)
        webm = doctype is not None and pieces.take(min((doctype.end or 0) - doctype.start, 16)).startswith(b"webm")
        pieces.go(header.end or header.start)
        while (outer := element(pieces)).name in (_VOID, _CRC):
            pieces.go(outer.end or outer.start)
    except UnknownFormError:
        raise BadMediaError("the WebM or Matroska file is damaged: it can't be read from its head on") from None
    if outer.name != _SEGMENT:
        raise BadMediaError("the WebM or Matroska file holds no video")
    return webm, outer


def _read_segment(pieces: Pieces, outer: Element) -> _Segment:
    """Read up to the tracks, where the segment has a length; else all of it, to see whether it ends early."""
    segment, live = _Segment(), outer.end is None
    end = pieces.size_bytes if outer.end is None else outer.end
    pieces.go(outer.start)
    while pieces.at < end and (live or not segment.has_tracks):
        if not _read_part(pieces, segment, live=live):
            break
    missing = segment.duration - segment.last
    if live and missing > _FRAMES * segment.gap and missing > _MISSING_SHARE * segment.duration:
        raise EndsEarlyError
    return segment


def _read_part(pieces: Pieces, segment: _Segment, *, live: bool) -> bool:
    """Read one part of a segment; False where bytes follow that are none."""
    try:
        part = element(pieces)
    except UnknownFormError:
        if not segment.has_clusters:
            raise
        return False
    if part.name not in _IN_SEGMENT and segment.has_clusters:
        return False
    if part.name == _CLUSTER:
        segment.has_clusters = True
        if live:
            return _read_cluster(pieces, segment, part)
    if part.end is None:
        raise UnknownFormError("a part of it has no length")
    if part.name == _INFO:
        _read_info(pieces, segment, part)
    elif part.name == _TRACKS:
        _read_tracks(pieces, segment, part)
    pieces.go(part.end)
    return True


def _read_cluster(pieces: Pieces, segment: _Segment, cluster: Element) -> bool:
    """Read the blocks of a cluster, which ends with the next part where it has no length; False as `_read_part`."""
    end, time = pieces.size_bytes if cluster.end is None else cluster.end, 0
    before = segment.blocks
    if end > pieces.size_bytes:
        raise EndsEarlyError
    while pieces.at < end:
        try:
            block = element(pieces)
        except UnknownFormError:
            return False
        if block.name not in _IN_CLUSTER or block.end is None:
            pieces.go(block.head if cluster.end is None else end)
            return block.name in _IN_SEGMENT or cluster.end is not None
        if block.name == _TIME:
            time = number(pieces, block)
        elif block.name == _SIMPLE_BLOCK:
            segment.note_block(time + _block_time(pieces))
        elif block.name == _BLOCK_GROUP:
            _read_group(pieces, segment, block, time)
        pieces.go(block.end)
    if segment.blocks == before and cluster.end is None:
        raise EndsEarlyError
    return True


def _read_group(pieces: Pieces, segment: _Segment, group: Element, time: int) -> None:
    for block in inside(pieces, group):
        if block.name == _BLOCK:
            segment.note_block(time + _block_time(pieces))


def _block_time(pieces: Pieces) -> int:
    """The time of a block against its cluster's, behind the number of its track."""
    width = 9 - pieces.big(1).bit_length()
    pieces.take(min(width, 8) - 1)
    return int.from_bytes(pieces.take(2), "big", signed=True)


def _read_info(pieces: Pieces, segment: _Segment, info: Element) -> None:
    for one in inside(pieces, info):
        if one.name == _DURATION:
            duration = real(pieces, one)
            segment.duration = duration if isfinite(duration) else 0.0


def _read_tracks(pieces: Pieces, segment: _Segment, tracks: Element) -> None:
    segment.has_tracks = True
    for track in inside(pieces, tracks):
        if track.name != _TRACK:
            continue
        kind, picture = 0, None
        for one in inside(pieces, track):
            if one.name == _TRACK_TYPE:
                kind = number(pieces, one)
            elif one.name == _PICTURE:
                picture = one
        segment.has_sound = segment.has_sound or kind == _SOUND
        if kind == _VIDEO:
            segment.pictures.append(_shown(pieces, picture) if picture else (0, 0))


def _shown(pieces: Pieces, picture: Element) -> tuple[int, int]:
    """Width and height as players show them: cropped, then of the size or the proportions they ask for, then turned."""
    values: dict[int, int] = {}
    sideways = False
    for one in inside(pieces, picture):
        if one.name == _PROJECTION:
            sideways = _sideways(pieces, one)
        else:
            values[one.name] = number(pieces, one)
    width = values.get(_WIDTH, 0) - values.get(_CROP_LEFT, 0) - values.get(_CROP_RIGHT, 0)
    height = values.get(_HEIGHT, 0) - values.get(_CROP_TOP, 0) - values.get(_CROP_BOTTOM, 0)
    unit = values.get(_SHOWN_UNIT, _PIXELS)
    across, down = values.get(_SHOWN_WIDTH, 0), values.get(_SHOWN_HEIGHT, 0)
    if across and down and unit != _UNKNOWN_UNIT and max(width, height) > 0:
        proportions_only = unit != _PIXELS or 2 * down < height
        width, height = (round(height * across / down), height) if proportions_only else (across, down)
    return turned(max(width, 0), max(height, 0), sideways=sideways)


def _sideways(pieces: Pieces, projection: Element) -> bool:
    roll = next((real(pieces, one) for one in inside(pieces, projection) if one.name == _ROLL), 0.0)
    return isfinite(roll) and 45 < abs(roll) % 180 < 135
