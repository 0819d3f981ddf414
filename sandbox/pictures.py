"""Pictures to order: drawn from a digest, encoded as PNG, WebP or JPEG."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass

from PIL import Image

from sandbox.brushes import hand
from sandbox.scenes import SCENES

#: Edge of the largest canvas that is drawn twice as large as asked, for smooth edges [pixels].
_SMOOTHED_EDGE = 1024

_ENCODING: dict[str, tuple[str, dict[str, object]]] = {
    "png": ("PNG", {"compress_level": 6}),
    "webp": ("WEBP", {"quality": 88, "method": 2}),
    "jpg": ("JPEG", {"quality": 90, "subsampling": 0}),
}

CONTENT_TYPES = {"png": "image/png", "webp": "image/webp", "jpg": "image/jpeg", "mp4": "video/mp4"}


@dataclass(frozen=True)
class Order:
    """One picture: what it shows, how large [pixels], in which format ("png", "webp", "jpg")."""

    digest: str
    format: str
    width: int = 512
    height: int = 512


def draw(digest: str, width: int, height: int, *, moment: float = 0.0) -> Image.Image:
    """The scene of a digest; the same digest shows the same scene at every size."""
    scene = hand(digest, "scene").choice(SCENES)
    if max(width, height) > _SMOOTHED_EDGE:
        return scene(digest, (width, height), moment)
    return scene(digest, (width * 2, height * 2), moment).resize((width, height), Image.Resampling.BOX)


def encode(picture: Image.Image, file_format: str) -> bytes:
    """The picture as a file: "png", "webp" or "jpg"."""
    name, options = _ENCODING[file_format]
    out = io.BytesIO()
    picture.save(out, name, **options)
    return out.getvalue()


def paint(order: Order) -> bytes:
    """The file of an order."""
    return encode(draw(order.digest, order.width, order.height), order.format)


def vast_png(edge: int) -> bytes:
    """A PNG of `edge` times `edge` black pixels: some kilobytes that need gigabytes once they are decoded."""
    packer = zlib.compressobj(9)
    row = bytes(1 + -(-edge // 8))
    pixels = b"".join(packer.compress(row) for _ in range(min(edge, 2000))) + packer.flush()
    head = struct.pack(">IIBBBBB", edge, edge, 1, 0, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", pixels), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(held)) + name + held + struct.pack(">I", zlib.crc32(name + held)) for name, held in chunks
    )
