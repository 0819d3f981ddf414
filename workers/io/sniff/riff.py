"""WAV and AIFF: the chunks up to the one with the sound."""

from __future__ import annotations

from typing import Literal

from bide.errors import BadMediaError
from workers.io.sniff.kind import EndsEarlyError, Kind
from workers.io.sniff.pieces import Pieces

#: From here on a length is that of a writer which could not go back to write the true one; 0 is another [bytes].
_OPEN_FROM = 0x7FFF0000


def read_wav(pieces: Pieces) -> Kind:
    """Raises `BadMediaError`."""
    return _read(pieces, Kind("audio/wav", "wav"), b"data", "little")


def read_aiff(pieces: Pieces) -> Kind:
    """Raises `BadMediaError`."""
    return _read(pieces, Kind("audio/aiff", "aiff"), b"SSND", "big")


def _read(pieces: Pieces, kind: Kind, sound: bytes, order: Literal["little", "big"]) -> Kind:
    """The kind, once the chunk with the sound is there whole. What comes behind it is not looked at."""
    pieces.go(12)
    while pieces.left_bytes >= 8:
        name, size = pieces.take(4), int.from_bytes(pieces.take(4), order)
        if name == sound and (not size or size >= _OPEN_FROM) and pieces.left_bytes:
            return kind
        if name == sound and not size:
            raise BadMediaError("it holds no sound")
        pieces.go(pieces.at + size)
        if name == sound:
            return kind
        pieces.at += min(size % 2, pieces.left_bytes)
    raise EndsEarlyError
