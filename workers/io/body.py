"""The body of an answer, read and unpacked within a limit."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterable, Mapping


class UnusableBodyError(Exception):
    """A body that is too long or can't be unpacked; the message is fit to be shown."""


async def read_body(pieces: AsyncIterable[bytes], headers: Mapping[str, str], *, limit_bytes: int) -> bytes:
    """The whole body; refused as soon as it is known to be over the limit, packed or unpacked.

    Gzip and deflate, which nobody asked for, are undone; what another encoding means is left to the reader of the body.
    """
    declared = headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit_bytes:
        raise _over(limit_bytes)
    body = bytearray()
    async for piece in pieces:
        body += piece
        if len(body) > limit_bytes:
            raise _over(limit_bytes)
    encoding = headers.get("content-encoding", "").strip().lower()
    return _unpacked(bytes(body), limit_bytes) if body and encoding in ("gzip", "x-gzip", "deflate") else bytes(body)


def _unpacked(body: bytes, limit_bytes: int) -> bytes:
    """Servers say "deflate" of streams with and without the zlib frame, so both are tried."""
    for wbits in (zlib.MAX_WBITS | 32, -zlib.MAX_WBITS):
        try:
            return _inflated(body, wbits, limit_bytes)
        except zlib.error:
            continue
    raise UnusableBodyError("the answer can't be unpacked")


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
