"""Make a valid file larger without changing what it shows, for load tests that care about bytes."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

from PIL import Image

#: Largest payload of one JPEG comment segment [bytes].
_JPEG_COMMENT_BYTES = 65533


def pad(content: bytes, file_format: str, target_bytes: int) -> bytes:
    """`content` grown to about `target_bytes` (never shrunk); formats "png", "jpg", "webp", "mp4"."""
    missing = target_bytes - len(content)
    return _PADS[file_format](content, missing) if missing > 0 else content


def _pad_png(content: bytes, missing: int) -> bytes:
    """A private ancillary chunk before IEND (PNG, 5.4: lower case, lower case, upper case, lower case)."""
    body = b"paDd" + bytes(max(0, missing - 12))
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return content[:-12] + chunk + content[-12:]


def _pad_jpeg(content: bytes, missing: int) -> bytes:
    """Comment segments right after the start of the image."""
    segments = []
    while missing > 4:
        size = min(missing - 4, _JPEG_COMMENT_BYTES)
        segments.append(struct.pack(">2sH", b"\xff\xfe", size + 2) + bytes(size))
        missing -= size + 4
    return content[:2] + b"".join(segments) + content[2:]


def _pad_webp(content: bytes, missing: int) -> bytes:
    """An unknown chunk at the end, which only the extended form (VP8X) allows."""
    size = max(0, missing - 26) // 2 * 2
    chunks = _extended_header(content) + content[12:] + struct.pack("<4sI", b"PADD", size) + bytes(size)
    return struct.pack("<4sI4s", b"RIFF", len(chunks) + 4, b"WEBP") + chunks


def _extended_header(content: bytes) -> bytes:
    with Image.open(io.BytesIO(content)) as picture:
        width, height = picture.size
    edges = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return struct.pack("<4sII", b"VP8X", 10, 0) + edges


def _pad_mp4(content: bytes, missing: int) -> bytes:
    size = max(8, missing)
    return content + struct.pack(">I4s", size, b"free") + bytes(size - 8)


_PADS: dict[str, Callable[[bytes, int], bytes]] = {
    "png": _pad_png,
    "jpg": _pad_jpeg,
    "webp": _pad_webp,
    "mp4": _pad_mp4,
}
