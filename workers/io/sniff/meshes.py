"""Bodies in three dimensions: GLB, binary STL, PLY and FBX, by the lengths and counts that stand in them."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field

from bide.errors import BadMediaError
from workers.io.sniff.kind import EndsEarlyError, Kind, UnknownFormError
from workers.io.sniff.pieces import Pieces

GLB, STL = Kind("model/gltf-binary", "glb"), Kind("model/stl", "stl")
PLY, FBX = Kind("model/ply", "ply"), Kind("model/fbx", "fbx")

#: A binary STL: what stands before its first triangle, and a triangle [bytes].
_STL_HEAD, _TRIANGLE = 84, 50

FBX_MARK = b"Kaydara FBX Binary  \0"
#: From this version on offsets in FBX have 8 bytes.
_WIDE_FBX = 7500
#: Stands at the end of each FBX.
_FBX_END = bytes.fromhex("f85a8c6adef5d97eece90ce3758f290b")

_PLY_TYPES = {
    **dict.fromkeys(("char", "uchar", "int8", "uint8"), 1),
    **dict.fromkeys(("short", "ushort", "int16", "uint16"), 2),
    **dict.fromkeys(("int", "uint", "float", "int32", "uint32", "float32"), 4),
    **dict.fromkeys(("double", "float64"), 8),
}
_MOST_PLY_HEAD = 64 * 1024


def read_glb(pieces: Pieces) -> Kind:
    """Raises `BadMediaError` or `UnknownFormError`."""
    pieces.go(4)
    version, end = pieces.little(4), pieces.little(4)
    if version != 2:
        raise UnknownFormError(f"it is of version {version}")
    if end > pieces.size_bytes:
        raise EndsEarlyError
    names = []
    while pieces.at + 8 <= end:
        length, name = pieces.little(4), pieces.take(4)
        if pieces.at + length > end:
            raise BadMediaError("a part of the GLB is longer than the whole")
        names.append(name)
        pieces.go(pieces.at + length)
    if names[:1] != [b"JSON"]:
        raise BadMediaError("the GLB holds no scene")
    return GLB


def is_stl(head: bytes, size_bytes: int) -> bool:
    """Whether a binary STL begins so, which has no mark: by its count, and by triangles that look like such."""
    if len(head) < _STL_HEAD + _TRIANGLE:
        return False
    count = int.from_bytes(head[80:84], "little")
    seen = [head[at : at + _TRIANGLE] for at in range(_STL_HEAD, len(head) - _TRIANGLE + 1, _TRIANGLE)][:count]
    return bool(count) and (size_bytes == _stl_bytes(count) or all(map(_is_triangle, seen)))


def read_stl(pieces: Pieces) -> Kind:
    """Raises `EndsEarlyError`."""
    pieces.go(80)
    pieces.go(_stl_bytes(pieces.little(4)))
    return STL


def _stl_bytes(count: int) -> int:
    return _STL_HEAD + _TRIANGLE * count


def _is_triangle(piece: bytes) -> bool:
    """A normal of length 1 or none, corners that are numbers, and no attribute."""
    *numbers, attribute = struct.unpack("<12fH", piece)
    if attribute or not all(map(math.isfinite, numbers)):
        return False
    length = math.hypot(*numbers[:3])
    return (length < 1e-6 or abs(length - 1) < 1e-2) and any(numbers[3:]) and max(map(abs, numbers)) < 1e9


def read_fbx(pieces: Pieces) -> Kind:
    """Raises `EndsEarlyError` or `UnknownFormError`."""
    pieces.go(len(FBX_MARK) + 2)
    width = 8 if pieces.little(4) >= _WIDE_FBX else 4
    while end := pieces.little(width):
        if end <= pieces.at:
            raise UnknownFormError("its parts do not follow each other")
        pieces.go(end)
    if not pieces.find(_FBX_END):
        raise UnknownFormError("its end mark is missing")
    return FBX


@dataclass
class _Element:
    """One kind of entries of a PLY: of each the bytes that are always there, and its lists, each by count and item."""

    count: int
    fixed_bytes: int = 0
    lists: list[tuple[int, int, int]] = field(default_factory=list)


def read_ply(pieces: Pieces) -> Kind:
    """Raises `EndsEarlyError` or `UnknownFormError`."""
    lines = _ply_head(pieces)
    elements: list[_Element] = []
    form = ""
    for words in (line.split() for line in lines):
        match words:
            case ["format", form, *_]:
                pass
            case ["element", _, count] if count.isdecimal():
                elements.append(_Element(int(count)))
            case ["property", "list", count, item, _] if elements:
                element = elements[-1]
                element.lists.append((element.fixed_bytes, _bytes_of(count), _bytes_of(item)))
                element.fixed_bytes = 0
            case ["property", kind, _] if elements:
                elements[-1].fixed_bytes += _bytes_of(kind)
    if form == "ascii":
        _check_lines(pieces, sum(element.count for element in elements))
    elif form in ("binary_little_endian", "binary_big_endian"):
        for element in elements:
            _skip_element(pieces, element, little=form == "binary_little_endian")
    else:
        raise UnknownFormError("it is of an unknown format")
    return PLY


def _ply_head(pieces: Pieces) -> list[str]:
    """The lines of the head; the file stands behind it then."""
    head = pieces.take(min(_MOST_PLY_HEAD, pieces.size_bytes))
    at = head.find(b"end_header")
    end = head.find(b"\n", at) + 1 if at >= 0 else 0
    if not end:
        raise EndsEarlyError if len(head) == pieces.size_bytes else UnknownFormError("its head is long")
    pieces.at = end
    return head[:at].decode("latin-1").splitlines()


def _bytes_of(kind: str) -> int:
    if kind not in _PLY_TYPES:
        raise UnknownFormError("it holds numbers of an unknown type")
    return _PLY_TYPES[kind]


def _check_lines(pieces: Pieces, wanted: int) -> None:
    """Raise `EndsEarlyError` where there are fewer lines than entries; the last one may have no end."""
    found, last = 0, b"\n"
    while pieces.left_bytes:
        block = pieces.some()
        found, last = found + block.count(b"\n"), block[-1:]
    if found + (last != b"\n") < wanted:
        raise EndsEarlyError


def _skip_element(pieces: Pieces, element: _Element, *, little: bool) -> None:
    if not element.lists:
        pieces.go(pieces.at + element.count * element.fixed_bytes)
        return
    for _ in range(element.count):
        for before, count_bytes, item_bytes in element.lists:
            pieces.go(pieces.at + before)
            count = pieces.little(count_bytes) if little else pieces.big(count_bytes)
            pieces.go(pieces.at + count * item_bytes)
        pieces.go(pieces.at + element.fixed_bytes)
