"""Sound in frames: MP3 and its kin, and AAC, with tags before and behind."""

from __future__ import annotations

from workers.io.sniff.kind import EndsEarlyError, Kind, UnknownFormError
from workers.io.sniff.pieces import Pieces

#: Bit rates by version and layer [kbit/s], from the first index on.
_V1 = {
    1: (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    2: (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    3: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
}
_LOW = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_V2 = {1: (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256), 2: _LOW, 3: _LOW}

#: Samples a second of the first version; the second has half of them, the one between a quarter.
_RATES = (44100, 48000, 32000)
_RATE_PARTS = {3: 1, 2: 2, 0: 4}

#: A tag's head, and its flag for a foot of the same size.
_TAG_BYTES, _HAS_FOOT = 10, 0x10

MP3, AAC = Kind("audio/mpeg", "mp3"), Kind("audio/aac", "aac")


def read(pieces: Pieces) -> Kind:
    """Raises `EndsEarlyError` where a frame is cut, or frames are missing that the first one counts."""
    _skip_tags(pieces)
    first_at, count, first = pieces.at, 0, b""
    while pieces.left_bytes >= 4:
        at, head = pieces.at, pieces.take(4)
        length = frame_bytes(head) or _aac_bytes(pieces, head)
        if not length:
            break  # a tag behind the end
        pieces.go(at + length)
        first, count = first or head, count + 1
    else:
        if not first or (pieces.left_bytes and pieces.take(1) == b"\xff"):
            raise EndsEarlyError
    if not first:
        raise UnknownFormError("no sound stands where it should")
    if count < _counted(pieces, first_at, frame_bytes(first) or 0):
        raise EndsEarlyError
    return MP3 if frame_bytes(first) else AAC


def frame_bytes(head: bytes) -> int | None:
    """The length of the frame of MP3 or its kin that begins with these four bytes; None where none does."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    rate, speed, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version == 1 or layer == 4 or rate in (0, 15) or speed == 3:
        return None
    bits = (_V1 if version == 3 else _V2)[layer][rate - 1] * 1000
    samples_a_second = _RATES[speed] // _RATE_PARTS[version]
    if layer == 1:
        return (12 * bits // samples_a_second + padding) * 4
    return (72 if layer == 3 and version != 3 else 144) * bits // samples_a_second + padding


def is_mp3(head: bytes) -> bool:
    """Whether a frame of MP3 or its kin begins so."""
    return frame_bytes(head) is not None


def is_aac(head: bytes) -> bool:
    """Whether a frame of AAC begins so."""
    return len(head) >= 2 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0


def _aac_bytes(pieces: Pieces, head: bytes) -> int | None:
    if not is_aac(head):
        return None
    rest = pieces.take(2)
    length = (head[3] & 3) << 11 | rest[0] << 3 | rest[1] >> 5
    return length if length >= 7 else None


def _skip_tags(pieces: Pieces) -> None:
    """Go behind all tags (ID3) and the zero bytes that writers leave room with."""
    while pieces.left_bytes >= _TAG_BYTES:
        at, head = pieces.at, pieces.take(_TAG_BYTES)
        if not head.startswith(b"ID3"):
            pieces.at = at
            break
        size = sum((byte & 0x7F) << 7 * (3 - place) for place, byte in enumerate(head[6:]))
        pieces.go(at + _TAG_BYTES + size + (_TAG_BYTES if head[5] & _HAS_FOOT else 0))
    while pieces.left_bytes:
        if kept := pieces.some().lstrip(b"\0"):
            pieces.at -= len(kept)
            return


def _counted(pieces: Pieces, at: int, length: int) -> int:
    """How many frames there are by the first one, which some encoders give to such words; 0 where it does not say."""
    pieces.go(at)
    frame = pieces.take(min(length, 64))
    mark = max(frame.find(b"Xing"), frame.find(b"Info"))
    flags = frame[mark + 4 : mark + 12]
    return int.from_bytes(flags[4:], "big") if mark > 0 and len(flags) == 8 and flags[3] & 1 else 0
