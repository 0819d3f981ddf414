"""Files beyond pictures and videos for tests: small, whole, and each with the kind that declares it."""

from __future__ import annotations

import gzip
import io
import json
import math
import random
import struct
import tarfile
import wave
import zipfile

from bide.providers.offering import MediaKind
from tests.media import real

NOISE = random.Random(7).randbytes(900)


def wav(frames: int = 400, *, claimed: int | None = None) -> bytes:
    """A tone; `claimed` stands where the length of the sound does."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, 22050, 0, "NONE", ""))
        sound.writeframes(b"".join(struct.pack("<h", int(9000 * math.sin(n / 8))) for n in range(frames)))
    content = file.getvalue()
    return content if claimed is None else content[:40] + struct.pack("<I", claimed) + content[44:]


def zipped(*names: str, packed: bool = True) -> bytes:
    """A ZIP of these files."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED) as archive:
        for name in names:
            archive.writestr(name, NOISE)
    return file.getvalue()


def tar(*names: str, mode: str = "w") -> bytes:
    """A TAR of these files, packed or not."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:  # type: ignore[call-overload]  # the mode is a plain text
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.size = len(NOISE)
            archive.addfile(entry, io.BytesIO(NOISE))
    return file.getvalue()


def stl(triangles: int = 12, *, head: bytes = b"made by a test") -> bytes:
    """A binary STL of triangles in a row."""
    each = [struct.pack("<12fH", 0, 0, 1, n, 0, 0, n + 1, 0, 0, n, 1, 0, 0) for n in range(triangles)]
    return head.ljust(80, b"\0") + struct.pack("<I", triangles) + b"".join(each)


def fbx(*, version: int = 7700) -> bytes:
    """A binary FBX of two empty nodes."""
    wide = version >= 7500
    content = b"Kaydara FBX Binary  \0\x1a\0" + struct.pack("<I", version)
    for name in (b"Header", b"Objects"):
        size = (24 if wide else 12) + 1 + len(name)
        content += struct.pack("<QQQ" if wide else "<III", len(content) + size, 0, 0) + bytes([len(name)]) + name
    content += bytes(25 if wide else 13)
    return content + bytes(150) + bytes.fromhex("f85a8c6adef5d97eece90ce3758f290b")


OBJ = b"# made by a test\n\nmtllib a.mtl\no box\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"
ASCII_STL = (
    b"solid box\nfacet normal 0 0 1\nouter loop\nvertex 0 0 0\nvertex 1 0 0\nvertex 0 1 0\n"
    b"endloop\nendfacet\nendsolid box\n"
)
ASCII_PLY = (
    b"ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\n"
    b"element face 1\nproperty list uchar int i\nend_header\n"
)
GLTF = json.dumps({"scenes": [{"nodes": [0]}], "asset": {"version": "2.0"}}).encode()
JSON = json.dumps({"text": "\u00fc \n [", "words": [1, -2.5e3, True, None], "last": "said"}).encode()
LINES = b'{"n": 1}\n{"n": 2}\n{"n": 3}\n'

#: By name: the kind that declares the file, the file, content type and ending.
WHOLE: dict[str, tuple[MediaKind, bytes, str, str]] = {
    "MP3": (MediaKind.AUDIO, real("tone.mp3"), "audio/mpeg", "mp3"),
    "FLAC": (MediaKind.AUDIO, real("tone.flac"), "audio/flac", "flac"),
    "Ogg": (MediaKind.AUDIO, real("tone.ogg"), "audio/ogg", "ogg"),
    "AAC": (MediaKind.AUDIO, real("tone.aac"), "audio/aac", "aac"),
    "M4A": (MediaKind.AUDIO, real("tone.m4a"), "audio/mp4", "m4a"),
    "AIFF": (MediaKind.AUDIO, real("tone.aiff"), "audio/aiff", "aiff"),
    "WAV": (MediaKind.AUDIO, wav(), "audio/wav", "wav"),
    "GLB": (MediaKind.MODEL, real("box.glb"), "model/gltf-binary", "glb"),
    "glTF": (MediaKind.MODEL, GLTF, "model/gltf+json", "gltf"),
    "PLY": (MediaKind.MODEL, real("box.ply"), "model/ply", "ply"),
    "ASCII PLY": (MediaKind.MODEL, ASCII_PLY + b"0\n1\n2\n3 0 1 2", "model/ply", "ply"),
    "STL": (MediaKind.MODEL, stl(), "model/stl", "stl"),
    "solid STL": (MediaKind.MODEL, stl(head=b"solid of a writer that knows no better"), "model/stl", "stl"),
    "ASCII STL": (MediaKind.MODEL, ASCII_STL, "model/stl", "stl"),
    "FBX": (MediaKind.MODEL, fbx(), "model/fbx", "fbx"),
    "old FBX": (MediaKind.MODEL, fbx(version=7400), "model/fbx", "fbx"),
    "OBJ": (MediaKind.MODEL, OBJ, "model/obj", "obj"),
    "USDZ": (MediaKind.MODEL, zipped("scene.usdc", "a.png", packed=False), "model/vnd.usdz+zip", "usdz"),
    "safetensors": (MediaKind.WEIGHTS, real("weights.safetensors"), "application/octet-stream", "safetensors"),
    "GGUF": (MediaKind.WEIGHTS, real("weights.gguf"), "application/octet-stream", "gguf"),
    "PyTorch": (MediaKind.WEIGHTS, zipped("archive/data.pkl", "archive/data/0"), "application/octet-stream", "pt"),
    "JSON": (MediaKind.TEXT, JSON, "application/json", "json"),
    "lines of JSON": (MediaKind.TEXT, LINES, "application/x-ndjson", "jsonl"),
    "CSV": (MediaKind.TEXT, b'a;b\n1;2\n"x; y";4\n', "text/csv", "csv"),
    "text": (MediaKind.TEXT, b"Hello, world\nI am, here\n", "text/plain", "txt"),
    "one word": (MediaKind.TEXT, b"yes", "text/plain", "txt"),
    "a transcript": (MediaKind.TEXT, b"[00:01] hello\n[00:02] there", "text/plain", "txt"),
    "UTF-16": (MediaKind.TEXT, "\ufeffgr\u00fc\u00df dich".encode("utf-16-le"), "text/plain", "txt"),
    "WebVTT": (MediaKind.TEXT, b"WEBVTT\n\n00:01.000 --> 00:02.000\nhi\n", "text/vtt", "vtt"),
    "SubRip": (MediaKind.TEXT, b"1\n00:00:01,000 --> 00:00:02,000\nhi\n", "application/x-subrip", "srt"),
    "ZIP": (MediaKind.ARCHIVE, zipped("a.txt", "b.bin"), "application/zip", "zip"),
    "TAR": (MediaKind.ARCHIVE, tar("a.txt", "b.bin"), "application/x-tar", "tar"),
    "packed TAR": (MediaKind.ARCHIVE, tar("a.txt", mode="w:gz"), "application/gzip", "gz"),
    "gzip": (MediaKind.ARCHIVE, gzip.compress(NOISE) + gzip.compress(NOISE), "application/gzip", "gz"),
}

#: Those whose form does not show where they end.
ENDLESS = {"OBJ", "CSV", "text", "one word", "a transcript", "UTF-16", "WebVTT", "SubRip"}
