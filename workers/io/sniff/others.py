"""Files beyond pictures and videos, by their first bytes: bodies in three dimensions, weights, archives and text."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from bide.providers.offering import MediaKind
from workers.io.sniff import archives, meshes, weights, words
from workers.io.sniff.form import Form
from workers.io.sniff.kind import Kind

_BINARY = "application/octet-stream"

#: Formats with a mark of their own. Those without a reader are stored with a warning.
_MARKED = {
    b"glTF": Form("GLB", "model/gltf-binary", "glb", meshes.read_glb),
    meshes.FBX_MARK: Form("FBX", "model/fbx", "fbx", meshes.read_fbx),
    b"ply\n": Form("PLY", "model/ply", "ply", meshes.read_ply),
    b"ply\r": Form("PLY", "model/ply", "ply", meshes.read_ply),
    b"PXR-USDC": Form("USD", "model/vnd.usd", "usdc"),
    b"BLENDER": Form("Blender", "application/x-blender", "blend", None, MediaKind.MODEL),
    b"GGUF": Form("GGUF", _BINARY, "gguf", weights.read_gguf, MediaKind.WEIGHTS),
    b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.": Form("pickle", _BINARY, "pt", None, MediaKind.WEIGHTS),
    b"\x80\x02}": Form("pickle", _BINARY, "pt", None, MediaKind.WEIGHTS),
    b"\x89HDF\r\n\x1a\n": Form("HDF5", "application/x-hdf5", "h5", None, MediaKind.WEIGHTS),
    b"\x1f\x8b\x08": Form("gzip", "application/gzip", "gz", archives.read_gzip, MediaKind.ARCHIVE),
    b"\x28\xb5\x2f\xfd": Form("zstd", "application/zstd", "zst", None, MediaKind.ARCHIVE),
    b"BZh": Form("bzip2", "application/x-bzip2", "bz2", None, MediaKind.ARCHIVE),
    b"\xfd7zXZ\0": Form("xz", "application/x-xz", "xz", None, MediaKind.ARCHIVE),
    b"7z\xbc\xaf\x27\x1c": Form("7-Zip", "application/x-7z-compressed", "7z", None, MediaKind.ARCHIVE),
    b"Rar!\x1a\x07": Form("RAR", "application/vnd.rar", "rar", None, MediaKind.ARCHIVE),
}


def forms(head: bytes, size_bytes: int) -> Iterator[Form]:
    """What a file that begins so may be, the most telling first."""
    yield from (form for mark, form in _MARKED.items() if head.startswith(mark))
    if head.startswith(b"PK\3\4"):
        yield from _zipped(head)
    if weights.is_safetensors(head):
        yield Form("safetensors", _BINARY, "safetensors", weights.read_safetensors, MediaKind.WEIGHTS)
    if head and archives.is_tar(head):
        yield Form("TAR", "application/x-tar", "tar", archives.read_tar, MediaKind.ARCHIVE)
    yield from words.forms(head, size_bytes)


def _zipped(head: bytes) -> Iterator[Form]:
    """What a ZIP may be: its first file decides."""
    if archives.is_torch(head):
        yield _zip("PyTorch", _BINARY, "pt", MediaKind.WEIGHTS)
    if archives.is_usdz(head):
        yield _zip("USDZ", "model/vnd.usdz+zip", "usdz", MediaKind.MODEL)
    yield _zip("ZIP", "application/zip", "zip", MediaKind.ARCHIVE)


def _zip(name: str, content_type: str, ext: str, kind: MediaKind) -> Form:
    return Form(name, content_type, ext, partial(archives.read_zip, kind=Kind(content_type, ext)), kind)
