"""The body of an answer, read and unpacked within a limit."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterable, Mapping


class UnusableBodyError(Exception):
    """A body that is too long or can't be unpacked; the message is fit to be shown."""


async def read_body(pieces: AsyncIterable[bytes], headers: Mapping[str, str], *, limit_bytes: int) -> bytes:
    """The whole body; refused as soon as it is known to be over the limit, packed or unpacked.

    Gzip and deflate, which nobody asked for, are undone where the bytes are packed indeed: a label decides nothing.
    """
    declared = headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit_bytes:
        raise _over(limit_bytes)
    body = bytearray()
    async for piece in pieces:
        body += piece
        if len(body) > limit_bytes:
            raise _over(limit_bytes)
    return _unpacked(bytes(body), headers.get("content-encoding", "").strip().lower(), limit_bytes)


def _unpacked(body: bytes, label: str, limit_bytes: int) -> bytes:
    """Servers say "deflate" of streams with and without the zlib frame, so both are tried."""
    if body.startswith(b"\x1f\x8b"):
        try:
            return _inflated(body, zlib.MAX_WBITS | 16, limit_bytes)
        except zlib.error:
            raise UnusableBodyError("the answer can't be unpacked") from None
    for wbits in (zlib.MAX_WBITS, -zlib.MAX_WBITS) if label == "deflate" else ():
        try:
            return _inflated(body, wbits, limit_bytes)
        except zlib.error:
            continue
    return body


def _inflated(body: bytes, wbits: int, limit_bytes: int) -> bytes:
    inflater = zlib.decompressobj(wbits)
    whole = inflater.decompress(body, limit_bytes + 1)
    if len(whole) > limit_bytes:
        raise _over(limit_bytes)
    if not inflater.eof:
        raise UnusableBodyError("the packed answer ends early")
    return whole


def _over(limit_bytes: int) -> UnusableBodyError:
    return UnusableBodyError(f"the answer is over the limit of {limit_bytes} bytes")
