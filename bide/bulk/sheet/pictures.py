"""Thumbnails: small pictures that a page carries within itself. They are made from results that may be hostile."""

from __future__ import annotations

import io
import struct
import threading
from base64 import b64encode
from dataclasses import dataclass

from PIL import ExifTags, Image

from bide.bulk import objects
from bide.contract import Output
from bide.errors import StorageError
from bide.kinds import kind_of
from bide.storage import Storage

#: The longer edge of a thumbnail [pixels]: a tile's width on a screen of double density, nearly.
EDGE_PIXELS = 320
QUALITY = 62

#: Larger originals get no thumbnail [bytes].
MAX_ORIGINAL_BYTES = 64 * 1024 * 1024

#: The most that is ever decoded [pixels]: a JPEG, read at a fraction of its size, may be larger by `DRAFT_GAIN`.
MAX_PIXELS = 2**25
DRAFT_GAIN = 4

#: A video's length lies within so much of its beginning or of its end [bytes].
VIDEO_EDGE_BYTES = 128 * 1024

#: How a picture of each orientation is turned upright; 1 is.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

#: Decoding takes memory; two at a time use both cores of a small machine and stay within some hundred MB.
_DECODERS = threading.Semaphore(2)


@dataclass(frozen=True)
class Preview:
    """The content of a tile: a thumbnail as a data URI, or a reason why there is none; a video's length if known."""

    source: str | None = None
    note: str = ""
    seconds: float | None = None


def preview(storage: Storage, output: Output) -> Preview:
    """The preview of one output; raises `StorageError` where another attempt may succeed."""
    if (kind := kind_of(output)) not in ("picture", "video"):
        return Preview(note=kind if kind in ("sound", "model", "archive") else "no preview")
    try:
        if output.content_type.startswith("video/"):
            return Preview(note="video", seconds=_length_of(storage, output))
        if output.size > MAX_ORIGINAL_BYTES:
            return Preview(note="too large for a preview")
        return _picture(storage.get(output.uri, max_bytes=MAX_ORIGINAL_BYTES))
    except StorageError as error:
        if not error.permanent:
            raise
        return Preview(note="the original can not be read")


def _picture(content: bytes) -> Preview:
    try:
        with _DECODERS:
            return Preview(_data_uri(shrink(content)))
    except Exception:  # a file made to break a decoder may make it raise any error
        return Preview(note="no preview")


def shrink(content: bytes) -> bytes:
    """A picture as a small WebP; raises `ValueError` or Pillow's own errors where it can't or must not be decoded."""
    with Image.open(io.BytesIO(content)) as original:
        pixels = original.width * original.height
        if original.format == "JPEG" and not original.info.get("progressive") and pixels <= DRAFT_GAIN * MAX_PIXELS:
            original.draft("RGB", (2 * EDGE_PIXELS, 2 * EDGE_PIXELS))
        if original.width * original.height > MAX_PIXELS:
            raise ValueError("too many pixels to decode")
        original.thumbnail((EDGE_PIXELS, EDGE_PIXELS), reducing_gap=2.0)
        small = _upright(original)
        small = small.convert("RGBA" if small.has_transparency_data else "RGB")
    file = io.BytesIO()
    small.save(file, "WEBP", quality=QUALITY, method=2)
    return file.getvalue()


def _upright(picture: Image.Image) -> Image.Image:
    """The picture as browsers show it, and as its width and height were recorded.

    Pillow's own `exif_transpose` also follows XMP and text chunks of PNG, which they do not.
    """
    exif = Image.Exif()
    exif.load(picture.info.get("exif", b""))
    turn = _TURNS.get(exif.get(ExifTags.Base.Orientation, 1))
    return picture if turn is None else picture.transpose(turn)


def _data_uri(webp: bytes) -> str:
    return f"data:image/webp;base64,{b64encode(webp).decode('ascii')}"


def _length_of(storage: Storage, output: Output) -> float | None:
    """A video's length [seconds]; None where it can't be found without reading all of it."""
    beginning = objects.part(storage, output.uri, first=0, count=VIDEO_EDGE_BYTES)
    if (seconds := video_seconds(beginning)) is not None or output.size <= VIDEO_EDGE_BYTES:
        return seconds
    end = max(VIDEO_EDGE_BYTES, output.size - VIDEO_EDGE_BYTES)
    return video_seconds(objects.part(storage, output.uri, first=end, count=VIDEO_EDGE_BYTES))


def video_seconds(piece: bytes) -> float | None:
    """The length in the `mvhd` box of an MP4 or MOV, if `piece` holds that box [seconds]."""
    at = piece.find(b"mvhd")
    body = piece[at + 8 :] if at >= 0 else b""  # behind the name, the version and the flags
    layout = ">16xIQ" if piece[at + 4 : at + 5] == b"\x01" else ">8xII"
    if len(body) < struct.calcsize(layout):
        return None
    scale, length = struct.unpack_from(layout, body)
    return length / scale if scale else None
