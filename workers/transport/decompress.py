"""A size limit for decompressed messages: kombu's own decoders would fill the memory for a few kilobytes."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Any

from kombu import compression
from kombu.utils.encoding import ensure_bytes

from bide.contract import MAX_REQUEST_BYTES

#: The longest body after decompression [bytes]: a request with every character escaped, and callbacks.
MAX_BODY_BYTES = 16 * MAX_REQUEST_BYTES

#: By kombu's name of each encoding: its incremental decompressor, and its compressor.
_CODECS: dict[str, tuple[Callable[[], Any], Callable[[bytes], bytes]]] = {
    "application/x-gzip": (zlib.decompressobj, zlib.compress),
    "application/x-bz2": (bz2.BZ2Decompressor, bz2.compress),
    "application/x-lzma": (lzma.LZMADecompressor, lzma.compress),
}


def limit_decompression() -> None:
    """Replace kombu's decoders; encodings without an incremental decompressor are refused."""
    for name in set(compression.encoders()) - set(_CODECS):
        compression.register(_refuse, _refuse, name)
    for name, (decompressor, compress) in _CODECS.items():
        compression.register(compress, _limited(decompressor), name)


def _limited(decompressor: Callable[[], Any]) -> Callable[[bytes | str], bytes]:
    def decompress(body: bytes | str) -> bytes:
        plain: bytes = decompressor().decompress(ensure_bytes(body), MAX_BODY_BYTES + 1)
        if len(plain) > MAX_BODY_BYTES:
            raise ValueError(f"the body unpacks to more than {MAX_BODY_BYTES} bytes")
        return plain

    return decompress


def _refuse(_: object) -> bytes:
    raise ValueError("the body is compressed in a way that is not taken here")
