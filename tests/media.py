"""Media for tests: built byte by byte, drawn by Pillow, or real files of encoders."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

from PIL import Image

from workers.io.sniff import Kind, identify

_FILES = Path(__file__).parent / "media_files"


def real(name: str) -> bytes:
    """A file of `media_files`."""
    return (_FILES / name).read_bytes()


def kind_of(content: bytes, **options: Any) -> Kind:
    """What `identify` makes of these bytes."""
    return identify(io.BytesIO(content), len(content), **options)


def extent_of(content: bytes) -> tuple[int | None, int | None]:
    """Width and height of a file that was checked."""
    kind = kind_of(content)
    assert kind.warning == ""
    return kind.width, kind.height


def picture(kind: str, size: tuple[int, int] = (37, 21), **options: Any) -> bytes:
    """A real picture with some detail in it."""
    image = Image.effect_noise(size, 80).convert("RGB")
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def exif(orientation: int, *, order: str = "<", kind: int = 3) -> bytes:
    """EXIF data with an orientation, as TIFF of either byte order; another entry comes first."""
    mark = {"<": b"II*\0", ">": b"MM\0*"}[order]
    value = struct.pack(order + {3: "HH", 4: "I"}[kind], *([orientation, 0] if kind == 3 else [orientation]))
    entries = struct.pack(order + "HHII", 0x0100, 4, 1, 99) + struct.pack(order + "HHI", 0x0112, kind, 1) + value
    return mark + struct.pack(order + "IH", 8, 2) + entries + bytes(4)


# PNG

PNG_HEAD = b"\x89PNG\r\n\x1a\n"


def chunk(name: bytes, content: bytes = b"", *, crc: int | None = None) -> bytes:
    """One chunk of a PNG, with its true checksum or another."""
    checksum = zlib.crc32(name + content) if crc is None else crc
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)


def header(width: int, height: int, *, depth: int = 8, colour: int = 2, interlaced: int = 0) -> bytes:
    """The first chunk of a PNG."""
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced))


def rows(width: int, height: int, *, depth: int = 8, colour: int = 2, interlaced: int = 0) -> bytes:
    """Black pixels, unpacked: each row with its filter, each pass by itself."""
    bits = depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    steps = [(0, 8, 0, 8), (4, 8, 0, 8), (0, 4, 4, 8), (2, 4, 0, 4), (0, 2, 2, 4), (1, 2, 0, 2), (0, 1, 1, 2)]
    size = 0
    for left, right, top, down in steps if interlaced else [(0, 1, 0, 1)]:
        columns = len(range(left, width, right))
        size += len(range(top, height, down)) * (1 + -(-columns * bits // 8)) if columns else 0
    return bytes(size)


def png(*chunks: bytes, width: int = 37, height: int = 21, data: bytes | None = None, **layout: int) -> bytes:
    """A PNG of black pixels, or of `data`; `chunks` come before the pixels."""
    palette = chunk(b"PLTE", bytes(3)) if layout.get("colour") == 3 else b""
    packed = zlib.compress(rows(width, height, **layout) if data is None else data)
    parts = (header(width, height, **layout), palette, *chunks, chunk(b"IDAT", packed), chunk(b"IEND"))
    return PNG_HEAD + b"".join(parts)


# MP4


def box(name: bytes, *contents: bytes) -> bytes:
    """One box of an MP4."""
    content = b"".join(contents)
    return struct.pack(">I", len(content) + 8) + name + content


def full_box(name: bytes, *contents: bytes, version: int = 0, flags: int = 0) -> bytes:
    """A box with version and flags."""
    return box(name, struct.pack(">I", version << 24 | flags), *contents)


# WebM


def element(name: int, content: bytes = b"", *, length: int | None = -1) -> bytes:
    """One element of a WebM; with `length` None its length is unknown."""
    identifier = name.to_bytes((name.bit_length() + 7) // 8, "big")
    if length is None:
        return identifier + b"\x01" + b"\xff" * 7 + content
    return identifier + b"\x01" + (len(content) if length < 0 else length).to_bytes(7, "big") + content


def webm(picture: bytes, *, kind: int = 1, length: int | None = -1, clusters: bytes = b"") -> bytes:
    """A WebM of one track."""
    track = element(0xAE, element(0x83, bytes([kind])) + element(0xE0, picture))
    head = element(0x1A45DFA3, element(0x4282, b"webm"))
    return head + element(0x18538067, element(0x1654AE6B, track) + clusters, length=length)


# WebP


def riff(*chunks: tuple[bytes, bytes], length: int | None = None) -> bytes:
    """A WebP of these chunks; its length is the true one, or another."""
    parts = [name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2) for name, content in chunks]
    body = b"WEBP" + b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(body) if length is None else length) + body


def with_length(webp: bytes, length: int) -> bytes:
    """A WebP whose RIFF has another length."""
    return webp[:4] + struct.pack("<I", length) + webp[8:]
