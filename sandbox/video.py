"""Small real films: Motion-JPEG frames in an MP4, muxed here since no encoder is at hand.

Structure: ISO/IEC 14496-12 (boxes) and 14496-14 (`mp4v` with an `esds`); object type 0x6C says "JPEG frames".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sandbox.pictures import draw, encode

FRAMES = 12
FRAMES_PER_SECOND = 6

#: Size of a film [pixels].
WIDTH, HEIGHT = 384, 216

#: Ticks of the film's clock [1/s].
_TIMESCALE = 600

_UNITY_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)

#: What a long film is filled up with, and handed out in [bytes].
_FILL = bytes(range(256)) * 256


@dataclass(frozen=True)
class Reel:
    """JPEG frames of one size, shown at a steady pace."""

    frames: Sequence[bytes]
    width: int
    height: int
    frames_per_second: int = FRAMES_PER_SECOND

    @property
    def duration(self) -> int:
        """In ticks of the time scale."""
        return len(self.frames) * self.tick

    @property
    def tick(self) -> int:
        return _TIMESCALE // self.frames_per_second


def film(digest: str) -> bytes:
    """A film of the digest's scene as an MP4 file."""
    return mux(_reel(digest))


def mux(reel: Reel) -> bytes:
    """The frames as an MP4 file, header first."""
    payload = b"".join(reel.frames)
    return _head(reel, len(payload)) + payload


def long_film(total_bytes: int) -> tuple[int, Iterator[bytes]]:
    """A valid MP4 of about `total_bytes`: its exact size, and its bytes in pieces of 64 KiB at most.

    The frames stand first; the rest of the media box is filler that no frame refers to, so memory stays flat.
    """
    reel = Reel([encode(draw("long film", 160, 90), "jpg")] * 2, 160, 90)
    frames = b"".join(reel.frames)
    fixed = len(_head(reel, max(total_bytes, len(frames)))) + len(frames)
    filler = max(0, total_bytes - fixed)
    start = _head(reel, len(frames) + filler) + frames
    return len(start) + filler, _pieces(start, filler)


def _pieces(start: bytes, filler: int) -> Iterator[bytes]:
    yield start
    for _ in range(filler // len(_FILL)):
        yield _FILL
    yield _FILL[: filler % len(_FILL)]


def _reel(digest: str) -> Reel:
    frames = [encode(draw(digest, WIDTH, HEIGHT, moment=n / FRAMES), "jpg") for n in range(FRAMES)]
    return Reel(frames, WIDTH, HEIGHT)


def _head(reel: Reel, payload_bytes: int) -> bytes:
    """All that stands before the frames; a payload over 4 GiB gets the long form of the box size."""
    ftyp = _box(b"ftyp", b"isom", struct.pack(">I", 0x200), b"isomiso2mp41")
    if payload_bytes + 8 < 2**32:
        mdat = struct.pack(">I4s", payload_bytes + 8, b"mdat")
    else:
        mdat = struct.pack(">I4sQ", 1, b"mdat", payload_bytes + 16)
    first_frame = len(ftyp) + len(_moov(reel, 0)) + len(mdat)
    return ftyp + _moov(reel, first_frame) + mdat


def _box(kind: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return struct.pack(">I4s", len(content) + 8, kind) + content


def _full_box(kind: bytes, flags: int, *parts: bytes) -> bytes:
    return _box(kind, struct.pack(">I", flags), *parts)


def _moov(reel: Reel, first_frame: int) -> bytes:
    times = struct.pack(">IIII", 0, 0, _TIMESCALE, reel.duration)
    mvhd = _full_box(b"mvhd", 0, times, struct.pack(">IH10x", 0x10000, 0x100), _UNITY_MATRIX, bytes(24), _number(2))
    return _box(b"moov", mvhd, _box(b"trak", _tkhd(reel), _mdia(reel, first_frame)))


def _number(value: int) -> bytes:
    return struct.pack(">I", value)


def _tkhd(reel: Reel) -> bytes:
    enabled_and_in_movie = 3
    times = struct.pack(">IIIII", 0, 0, 1, 0, reel.duration)
    size = struct.pack(">II", reel.width << 16, reel.height << 16)
    return _full_box(b"tkhd", enabled_and_in_movie, times, bytes(16), _UNITY_MATRIX, size)


def _mdia(reel: Reel, first_frame: int) -> bytes:
    undetermined_language = 0x55C4
    mdhd = _full_box(b"mdhd", 0, struct.pack(">IIIIHH", 0, 0, _TIMESCALE, reel.duration, undetermined_language, 0))
    hdlr = _full_box(b"hdlr", 0, _number(0), b"vide", bytes(12), b"sandbox\0")
    own_file = _full_box(b"url ", 1)
    dinf = _box(b"dinf", _full_box(b"dref", 0, _number(1), own_file))
    minf = _box(b"minf", _full_box(b"vmhd", 1, bytes(8)), dinf, _stbl(reel, first_frame))
    return _box(b"mdia", mdhd, hdlr, minf)


def _stbl(reel: Reel, first_frame: int) -> bytes:
    """The sample tables: one chunk that holds all frames."""
    count = len(reel.frames)
    sizes = struct.pack(f">{count}I", *map(len, reel.frames))
    return _box(
        b"stbl",
        _full_box(b"stsd", 0, _number(1), _sample_entry(reel)),
        _full_box(b"stts", 0, struct.pack(">III", 1, count, reel.tick)),
        _full_box(b"stsc", 0, struct.pack(">IIII", 1, 1, count, 1)),
        _full_box(b"stsz", 0, struct.pack(">II", 0, count), sizes),
        _full_box(b"stco", 0, struct.pack(">II", 1, first_frame)),
    )


def _sample_entry(reel: Reel) -> bytes:
    dots_per_inch = 72 << 16
    picture = struct.pack(">HHIIIH", reel.width, reel.height, dots_per_inch, dots_per_inch, 0, 1)
    return _box(b"mp4v", bytes(6), b"\0\1", bytes(16), picture, bytes(32), struct.pack(">Hh", 24, -1), _esds(reel))


def _esds(reel: Reel) -> bytes:
    """The elementary stream descriptor: visual stream, object type JPEG."""
    jpeg, visual = 0x6C, (0x04 << 2) | 1
    largest = max(map(len, reel.frames))
    rate = 8 * sum(map(len, reel.frames)) * reel.frames_per_second // len(reel.frames)
    config = _descriptor(
        4, struct.pack(">BB", jpeg, visual), largest.to_bytes(3, "big"), struct.pack(">II", rate, rate)
    )
    return _full_box(b"esds", 0, _descriptor(3, struct.pack(">HB", 1, 0), config, _descriptor(6, b"\2")))


def _descriptor(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return bytes([tag, len(content)]) + content
