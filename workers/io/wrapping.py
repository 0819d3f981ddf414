"""Files that are only a wrapping of another: gzip, deflate, base64, a data URI. Their bytes decide.

Stores and edges label plain bytes as `gzip`, `aws-chunked` or `base64`, and packed ones not at all; one provider's
addresses lead to text files with base64 in them. A file of a kind that its operation declares is no wrapping.
"""

from __future__ import annotations

import re
import zlib
from base64 import b64decode
from collections.abc import Iterator
from typing import IO

from bide.errors import BadMediaError
from bide.providers.offering import PICTURES, MediaKind
from workers.io.sniff import EndsEarlyError, text

_BLOCK_BYTES = 256 * 1024
_HEAD_BYTES = 1024

_GZIP = b"\x1f\x8b\x08"
_GZIP_BITS, _ZLIB_BITS, _RAW_BITS = zlib.MAX_WBITS | 16, zlib.MAX_WBITS, -zlib.MAX_WBITS

#: How files begin that are no text: short words in letters and digits (`NotFound`) are base64 as well.
_BEGINS = re.compile(
    rb"\x89PNG|\xff\xd8\xff|GIF8|RIFF|\x1a\x45\xdf\xa3|....(ftyp|styp|moov|mdat|wide|free|skip|JXL )|\xff\x0a|"
    rb"II\*\x00|MM\x00\*|BM....\x00\x00\x00\x00|ID3|OggS|fLaC|glTF|GGUF|PK\x03\x04|\x1f\x8b\x08|%PDF",
    re.DOTALL,
)

#: What may stand before the digits of base64: a byte order mark, blanks, a quotation mark, the head of a data URI.
_BEFORE = re.compile(rb"(?:\xef\xbb\xbf)?[\s\"']*(data:[^,]{0,200};base64,\s*)?", re.IGNORECASE)
_DIGITS = re.compile(rb"[A-Za-z0-9+/_\-=\s]+")
_URL_SAFE, _NO_DIGITS = bytes.maketrans(b"-_", b"+/"), b" \t\r\n\f\v\"'"


def inside(file: IO[bytes], label: str = "", kinds: frozenset[MediaKind] = PICTURES) -> Iterator[bytes] | None:
    """What `file` wraps, in pieces; None for a file that is what it is. `label`: its Content-Encoding.

    Where `kinds` have archives, a gzip stays what it is, and where they have text, a text does. The pieces raise
    `BadMediaError` for a wrapping that is broken, `EndsEarlyError` for one whose end is missing.
    """
    file.seek(0)
    head = file.read(_HEAD_BYTES)
    if head.startswith(_GZIP):
        return None if MediaKind.ARCHIVE in kinds else _inflated(file, _GZIP_BITS)
    if label.strip().lower() == "deflate" and text.decoded(head) is None:
        for bits in (_ZLIB_BITS, _RAW_BITS):
            if _is_wrapped(_beginning(head, bits), kinds):
                return _inflated(file, bits)
    before = None if MediaKind.TEXT in kinds else _BEFORE.match(head)
    start = before.end() if before else 0
    if before and (before[1] or _BEGINS.match(_decoded_head(head[start:]))):
        return _decoded(file, start)
    return None


def _is_wrapped(beginning: bytes, kinds: frozenset[MediaKind]) -> bool:
    """Whether a file begins so that may well be packed: text only where text is declared."""
    is_text = MediaKind.TEXT in kinds and bool(beginning) and text.decoded(beginning) is not None
    return is_text or _BEGINS.match(beginning) is not None


def _beginning(packed: bytes, bits: int) -> bytes:
    """The first bytes of what is packed; none where it is not."""
    try:
        return zlib.decompressobj(bits).decompress(packed, 64)
    except zlib.error:
        return b""


def _inflated(file: IO[bytes], bits: int) -> Iterator[bytes]:
    """All members of a packed file; what stands behind them is not theirs."""
    file.seek(0)
    inflater, packed = zlib.decompressobj(bits), file.read(_BLOCK_BYTES)
    while packed:
        try:
            yield inflater.decompress(packed, _BLOCK_BYTES)
        except zlib.error:
            raise BadMediaError("the packed file can't be unpacked") from None
        packed = inflater.unconsumed_tail or (b"" if inflater.eof else file.read(_BLOCK_BYTES))
        if inflater.eof:
            rest = inflater.unused_data or file.read(_BLOCK_BYTES)
            if not rest.startswith(_GZIP):
                return
            inflater, packed = zlib.decompressobj(bits), rest
    raise EndsEarlyError("the packed file ends early")


def _decoded_head(written: bytes) -> bytes:
    """The first bytes of what a text may be base64 of; none where it is not."""
    digits = written.translate(_URL_SAFE, _NO_DIGITS)[:64]
    whole = digits[: len(digits) // 4 * 4]
    try:
        return b64decode(whole, validate=True) if _DIGITS.match(written) else b""
    except ValueError:
        return b""


def _decoded(file: IO[bytes], start: int) -> Iterator[bytes]:
    """The bytes of a text in base64, with or without padding, in either alphabet."""
    file.seek(start)
    digits = b""
    while piece := file.read(_BLOCK_BYTES):
        digits += piece.translate(_URL_SAFE, _NO_DIGITS)
        whole = max(len(digits) // 4 * 4 - 4, 0)  # the last four may be padded
        yield _from_base64(digits[:whole])
        digits = digits[whole:]
    digits = digits.rstrip(b"=")
    yield _from_base64(digits + b"=" * (-len(digits) % 4))


def _from_base64(digits: bytes) -> bytes:
    try:
        return b64decode(digits, validate=True)
    except ValueError:
        raise BadMediaError("a text in base64 that is broken") from None
