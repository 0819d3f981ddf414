"""ZIP, TAR and gzip: whether the end is there. Of a gzip the bytes are unpacked, counted and thrown away."""

from __future__ import annotations

import re
import zlib

from bide.errors import BadMediaError
from workers.io.sniff.kind import EndsEarlyError, Kind, UnknownFormError
from workers.io.sniff.pieces import Pieces

TAR, GZIP = Kind("application/x-tar", "tar"), Kind("application/gzip", "gz")

#: How much of a gzip is unpacked to see whether it is whole [bytes].
MAX_UNPACKED_BYTES = 256 * 1024 * 1024
_BLOCK_BYTES = 256 * 1024

_GZIP_BITS, _GZIP_MARK = zlib.MAX_WBITS | 16, b"\x1f\x8b\x08"

#: A ZIP's last record: its bytes, and how long the comment behind it may be.
_END, _END_BYTES, _MOST_COMMENT = b"PK\5\6", 22, 0xFFFF
_LARGE_END, _LARGE_POINTER, _POINTER_BYTES = b"PK\6\6", b"PK\6\7", 20
_ENTRY = b"PK\1\2"

#: The first files in what `torch.save` writes.
_TORCH = re.compile(rb"[^/]+/(data\.pkl|version|byteorder|constants\.pkl|\.format_version|code/.*|\.data/.*)")

_TAR_BLOCK = 512


def read_zip(pieces: Pieces, *, kind: Kind) -> Kind:
    """A ZIP of that kind. Raises `EndsEarlyError` or `UnknownFormError`."""
    at, record = _last_record(pieces)
    size, offset = (int.from_bytes(record[start : start + 4], "little") for start in (12, 16))
    if 0xFFFFFFFF in (size, offset) or record[10:12] == b"\xff\xff":
        at, size, offset = _large(pieces, at)
    if record[4:8] != bytes(4):
        raise UnknownFormError("it is one of several volumes")
    missing = offset + size - at
    if missing > 0:
        raise EndsEarlyError("bytes of it are missing")
    if missing < 0:
        raise UnknownFormError("other bytes stand before it")
    pieces.go(offset)
    if size and pieces.take(4) != _ENTRY:
        raise UnknownFormError("its directory is not where its end says")
    return kind


def first_name(head: bytes) -> bytes:
    """The name of the first file in the ZIP that begins so."""
    return head[30 : 30 + int.from_bytes(head[26:28], "little")]


def is_torch(head: bytes) -> bool:
    """Whether a ZIP that begins so is what PyTorch saves."""
    return _TORCH.fullmatch(first_name(head)) is not None


def is_usdz(head: bytes) -> bool:
    """Whether a ZIP that begins so is a USDZ: its first file is a scene, and not packed."""
    return first_name(head).lower().endswith((b".usd", b".usda", b".usdc")) and head[8:10] == bytes(2)


def _last_record(pieces: Pieces) -> tuple[int, bytes]:
    """Where the last record of a ZIP stands, and the record."""
    start = max(pieces.size_bytes - _MOST_COMMENT - _END_BYTES, 0)
    pieces.go(start)
    tail = pieces.take(pieces.left_bytes)
    at = tail.rfind(_END)
    if at < 0 or at + _END_BYTES > len(tail):
        raise EndsEarlyError
    record = tail[at : at + _END_BYTES]
    if at + _END_BYTES + int.from_bytes(record[20:], "little") > len(tail):
        raise EndsEarlyError
    return start + at, record


def _large(pieces: Pieces, at: int) -> tuple[int, int, int]:
    """Place of the last record, size and offset of the directory, of a ZIP that is too large for the usual record."""
    pieces.go(max(at - _POINTER_BYTES, 0))
    pointer = pieces.take(_POINTER_BYTES)
    if not pointer.startswith(_LARGE_POINTER):
        raise UnknownFormError("it names no directory")
    at = int.from_bytes(pointer[8:16], "little")
    pieces.go(at)
    if pieces.take(4) != _LARGE_END:
        raise EndsEarlyError("bytes of it are missing")
    pieces.go(at + 40)
    return at, pieces.little(8), pieces.little(8)


def read_gzip(pieces: Pieces) -> Kind:
    """Raises `BadMediaError`, or `UnknownFormError` for one that is too large to be unpacked whole."""
    inflater, unpacked, packed = zlib.decompressobj(_GZIP_BITS), 0, pieces.some()
    while packed:
        try:
            unpacked += len(inflater.decompress(packed, _BLOCK_BYTES))
        except zlib.error:
            raise BadMediaError("the gzip can't be unpacked") from None
        if unpacked > MAX_UNPACKED_BYTES:
            raise UnknownFormError(f"unpacked it has more than {MAX_UNPACKED_BYTES} bytes")
        if inflater.eof:
            pieces.at -= len(inflater.unused_data)
            mark = pieces.take(min(len(_GZIP_MARK), pieces.left_bytes))
            if mark != _GZIP_MARK:
                return GZIP  # bytes behind the end
            pieces.at -= len(mark)
            inflater = zlib.decompressobj(_GZIP_BITS)
        packed = inflater.unconsumed_tail or (pieces.some() if pieces.left_bytes else b"")
    raise EndsEarlyError


def is_tar(head: bytes) -> bool:
    """Whether a TAR begins so: by the checksum of its first header."""
    return head[0] != 0 and _has_checksum(head[:_TAR_BLOCK])


def read_tar(pieces: Pieces) -> Kind:
    """Raises `EndsEarlyError`, or `UnknownFormError` where nothing marks the end."""
    while pieces.left_bytes:
        header = pieces.take(_TAR_BLOCK)
        if not any(header):
            return TAR
        if not _has_checksum(header):
            raise UnknownFormError("a header of it has another form")
        pieces.go(pieces.at + -(-_content_bytes(header) // _TAR_BLOCK) * _TAR_BLOCK)
    raise UnknownFormError("nothing marks its end")


def _content_bytes(header: bytes) -> int:
    """How much belongs to a header; links and devices have nothing."""
    field = header[124:136]
    if header[156:157] in (b"1", b"2", b"3", b"4", b"5", b"6"):
        return 0
    return int.from_bytes(field[1:], "big") if field[0] & 0x80 else _octal(field)


def _has_checksum(header: bytes) -> bool:
    if len(header) < _TAR_BLOCK:
        return False
    return _octal(header[148:156]) == sum(header[:148]) + sum(b" " * 8) + sum(header[156:])


def _octal(field: bytes) -> int:
    """The number of a field; -1 where there is none."""
    digits = field.strip(b" \0")
    return int(digits, 8) if digits and not digits.strip(b"01234567") else -1
