"""A limit to what a compressed message unpacks to: kombu's own decoders would fill the memory for a few kilobytes."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Any

from kombu import compression
from kombu.utils.encoding import ensure_bytes

from bide.contract import MAX_REQUEST_BYTES

#: The longest body that is unpacked [bytes]: a request with every character escaped, and callbacks.
LONGEST_BYTES = 16 * MAX_REQUEST_BYTES

#: kombu's name for each way, what unpacks it in steps, and how it is packed.
_WAYS: dict[str, tuple[Callable[[], Any], Callable[[bytes], bytes]]] = {
    "application/x-gzip": (zlib.decompressobj, zlib.compress),
    "application/x-bz2": (bz2.BZ2Decompressor, bz2.compress),
    "application/x-lzma": (lzma.LZMADecompressor, lzma.compress),
}


def limit_unpacking() -> None:
    """Replace kombu's decoders; those that can't be limited are taken away."""
    for name in set(compression.encoders()) - set(_WAYS):
        compression.register(_unknown, _unknown, name)
    for name, (unpacker, pack) in _WAYS.items():
        compression.register(pack, _limited(unpacker), name)


def _limited(unpacker: Callable[[], Any]) -> Callable[[bytes | str], bytes]:
    def unpack(body: bytes | str) -> bytes:
        unpacked: bytes = unpacker().decompress(ensure_bytes(body), LONGEST_BYTES + 1)
        if len(unpacked) > LONGEST_BYTES:
            raise ValueError(f"the body unpacks to more than {LONGEST_BYTES} bytes")
        return unpacked

    return unpack


def _unknown(_: object) -> bytes:
    raise ValueError("the body is compressed in a way that is not taken here")
