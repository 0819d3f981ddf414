"""FLAC: the last frame, which is whole by its checksum and holds the last sample."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from workers.io.sniff.kind import EndsEarlyError, Kind, UnknownFormError
from workers.io.sniff.pieces import Pieces

#: How much of the end is searched for the last frame, at least and at most, and how much of it is summed up [bytes].
_LEAST_TAIL_BYTES, _MOST_TAIL_BYTES, _MOST_SUMMED_BYTES = 64 * 1024, 1024 * 1024, 2 * 1024 * 1024

#: How many places are looked at where a frame may begin.
_MOST_TRIES = 200

#: Tags of other formats that some programs put behind the end.
_FOREIGN_TAGS = (b"TAG", b"APETAGEX", b"LYRICS")

#: Samples in a frame by their code; 6 and 7 stand behind the head.
_SAMPLES = (0, 192, 576, 1152, 2304, 4608, 0, 0, *(256 << n for n in range(8)))


class _Stream(NamedTuple):
    """What the first block says: samples in a frame, the longest frame [bytes], samples in all; 0 for unknown."""

    frame_samples: int
    longest_bytes: int
    samples: int


def read(pieces: Pieces) -> Kind:
    """Raises `EndsEarlyError` or `UnknownFormError`."""
    stream = _stream(pieces)
    size = min(max(2 * stream.longest_bytes, _LEAST_TAIL_BYTES), _MOST_TAIL_BYTES, pieces.left_bytes)
    if not size:
        raise EndsEarlyError
    pieces.go(pieces.size_bytes - size)
    tail = pieces.take(size)
    begun, summed = False, 0
    for at, end_sample in _frames(tail, stream.frame_samples):
        begun, summed = True, summed + size - at
        if summed > _MOST_SUMMED_BYTES:
            raise UnknownFormError("too many frames of it may be the last")
        if not _crc16(tail[at:]):
            if stream.samples and end_sample < stream.samples:
                raise EndsEarlyError
            return Kind("audio/flac", "flac")
    if not begun or any(tag in tail for tag in _FOREIGN_TAGS):
        raise UnknownFormError("its last frame is not to be found")
    raise EndsEarlyError


def _stream(pieces: Pieces) -> _Stream:
    """What the first block says; the file stands at the first frame then."""
    pieces.go(4)
    stream, last = _Stream(0, 0, 0), 0
    while not last:
        head, length = pieces.big(1), pieces.big(3)
        start, last = pieces.at, head & 0x80
        if not head & 0x7F:
            pieces.take(2)
            frame_samples, _, longest, rest = (pieces.big(count) for count in (2, 3, 3, 8))
            stream = _Stream(frame_samples, longest, rest & (1 << 36) - 1)
        pieces.go(start + length)
    return stream


def _frames(tail: bytes, frame_samples: int) -> Iterator[tuple[int, int]]:
    """Where a frame may begin, the last first, and the number of the sample behind it."""
    at = len(tail)
    for _ in range(_MOST_TRIES):
        at = max(tail.rfind(b"\xff\xf8", 0, at), tail.rfind(b"\xff\xf9", 0, at))
        if at < 0:
            return
        end = _end_sample(tail[at : at + 16], frame_samples)
        if end is not None:
            yield at, end
        at += 1  # a mark may begin one byte before this one


def _end_sample(head: bytes, frame_samples: int) -> int | None:
    """The number of the sample behind the frame that begins so; None where the head's checksum differs."""
    more = _further_bytes(head[4]) if len(head) == 16 else None
    if more is None:
        return None
    at, code = 5 + more, head[2] >> 4
    size_bytes = {6: 1, 7: 2}.get(code, 0)
    samples = int.from_bytes(head[at : at + size_bytes], "big") + 1 if size_bytes else _SAMPLES[code]
    at += size_bytes + {12: 1, 13: 2, 14: 2}.get(head[2] & 15, 0)
    if not samples or _crc8(head[:at]) != head[at]:
        return None
    number = head[4] & (0x7F if not more else 0x3F >> more)
    for byte in head[5 : 5 + more]:
        number = number << 6 | byte & 0x3F
    return (number if head[1] & 1 else number * frame_samples) + samples


def _further_bytes(first: int) -> int | None:
    """How many bytes a number goes on for behind its first, as in UTF-8."""
    if first < 0x80:
        return 0
    ones = next(place for place in range(9) if place == 8 or not first & 0x80 >> place)
    return ones - 1 if 2 <= ones <= 7 else None


def _table(polynomial: int, bits: int) -> tuple[int, ...]:
    """The remainders of all bytes."""
    top, mask, found = 1 << bits - 1, (1 << bits) - 1, []
    for byte in range(256):
        value = byte << bits - 8
        for _ in range(8):
            value = (value << 1 ^ (polynomial if value & top else 0)) & mask
        found.append(value)
    return tuple(found)


_CRC8, _CRC16 = _table(0x07, 8), _table(0x8005, 16)


def _crc8(content: bytes) -> int:
    value = 0
    for byte in content:
        value = _CRC8[value ^ byte]
    return value


def _crc16(content: bytes) -> int:
    """0 for a frame with its checksum behind it."""
    value = 0
    for byte in content:
        value = (value << 8 & 0xFFFF) ^ _CRC16[value >> 8 ^ byte]
    return value
