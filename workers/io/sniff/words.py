"""Text that an operation declares: which kind it is, and whether the end is there, where its form shows that."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from typing import Any

from bide.errors import BadMediaError
from bide.providers.offering import MediaKind
from workers.io.sniff import meshes, text
from workers.io.sniff.form import Form
from workers.io.sniff.kind import EndsEarlyError, Kind, UnknownFormError
from workers.io.sniff.pieces import Pieces

#: The longest JSON that is read whole, and how many values in it; of a longer one the end alone is looked at [bytes].
MOST_JSON_BYTES, _MOST_VALUES = 8 * 1024 * 1024, 500_000

PLAIN, _JSON = Kind("text/plain", "txt"), Kind("application/json", "json")
_LINES, _GLTF = Kind("application/x-ndjson", "jsonl"), Kind("model/gltf+json", "gltf")

#: How the first line of an OBJ begins that is no comment.
_OBJ = re.compile(r"(?:v|vn|vt|vp|f|l|p|o|g|s|mtllib|usemtl)\s+\S")

#: What nearly every glTF names near its beginning.
_GLTF_WORDS = ('"asset"', '"bufferViews"', '"accessors"')

#: What may be left of a JSON text whose end is cut off within a word, a number or an escape.
_CUT_WORD = re.compile(r"[-+.eE\d]*|t(r(u)?)?|f(a(l(s)?)?)?|n(u(l)?)?|\\?(u[\da-fA-F]{0,4})?")

#: How the pages and errors of servers begin. Models write elements of their own, such as `<think>`.
_PAGE = re.compile(
    r"[\ufeff\s]*<([!?/]|(html|head|body|title|meta|link|script|style|div|p|pre|h[1-6]|center|table|br|hr|a|b|font|"
    r"errors?|response|fault|svg|svg:svg)\b)",
    re.IGNORECASE,
)

_SEPARATORS = ",;\t|"


def forms(head: bytes, size_bytes: int) -> Iterator[Form]:
    """What a text that begins so may be, the most telling first; nothing for a page, a drawing or no text at all."""
    what, words = text.described(head), text.decoded(head) or ""
    if what not in (text.JSON, text.OTHER) and not (what == text.PAGE and not _PAGE.match(words)):
        return
    if what == text.JSON:
        gltf = Form("glTF", "model/gltf+json", "gltf", _read_gltf)
        named = any(word in words for word in _GLTF_WORDS)
        yield from [gltf] if named else []
        yield Form("JSON", "application/json", "json", _read_json, MediaKind.TEXT)
        yield from [] if named else [gltf]
        return
    yield from _body(words)
    yield from _by_lines(words, whole=size_bytes <= len(head))
    yield Form("text", "text/plain", "txt", lambda _: PLAIN, MediaKind.TEXT)


def _body(words: str) -> Iterator[Form]:
    """A body in three dimensions that is written as text."""
    start = words.lstrip("\ufeff \r\n\t")
    if start.startswith(("ply\n", "ply\r")):
        yield Form("PLY", "model/ply", "ply", meshes.read_ply)
    if re.match(r"solid\b", start) and "facet" in start:
        yield Form("STL", "model/stl", "stl", _read_stl)
    if start.startswith("; FBX"):
        yield Form("FBX", "model/fbx", "fbx")
    if start.startswith("#usda"):
        yield Form("USD", "model/vnd.usda", "usda")
    first = next((line.strip() for line in start.splitlines() if line.strip() and not line.startswith("#")), "")
    if _OBJ.match(first):
        yield Form("OBJ", "model/obj", "obj", lambda _: Kind("model/obj", "obj"))
    if first.startswith("newmtl "):
        yield Form("MTL", "model/mtl", "mtl", lambda _: Kind("model/mtl", "mtl"))


def _by_lines(words: str, *, whole: bool) -> Iterator[Form]:
    lines = words.lstrip("\ufeff").splitlines()
    if lines and lines[0].startswith("WEBVTT"):
        yield Form("WebVTT", "text/vtt", "vtt", lambda _: Kind("text/vtt", "vtt"), MediaKind.TEXT)
    if len(lines) > 1 and lines[0].strip().isdecimal() and "-->" in lines[1]:
        srt = Kind("application/x-subrip", "srt")
        yield Form("SubRip", srt.content_type, srt.ext, lambda _: srt, MediaKind.TEXT)
    if _is_table(lines if whole else lines[:-1]):
        yield Form("CSV", "text/csv", "csv", lambda _: Kind("text/csv", "csv"), MediaKind.TEXT)


def _is_table(lines: list[str]) -> bool:
    """Whether all rows have the same number of columns, two at least; behind a comma of prose stands a blank."""
    for separator in _SEPARATORS:
        try:
            rows = [row for row in csv.reader(lines, delimiter=separator) if row]
        except csv.Error:
            continue
        columns = {len(row) for row in rows}
        if len(rows) > 1 and len(columns) == 1 and columns != {1}:
            return not any(cell[:1] == " " for row in rows for cell in row[1:])
    return False


def _read_stl(pieces: Pieces) -> Kind:
    """Raises `EndsEarlyError`."""
    if b"endsolid" not in _tail(pieces):
        raise EndsEarlyError
    return meshes.STL


def _read_gltf(pieces: Pieces) -> Kind:
    """Raises `BadMediaError` for JSON that is no glTF."""
    try:
        scene = _parsed(pieces)
    except json.JSONDecodeError:
        scene = None
    if not isinstance(scene, dict) or not isinstance(scene.get("asset"), dict):
        raise BadMediaError("not a 3D model but JSON that is no glTF")
    return _GLTF


def _read_json(pieces: Pieces) -> Kind:
    """JSON, lines of JSON, or text that only begins so. Raises `EndsEarlyError` or `UnknownFormError`."""
    try:
        _parsed(pieces)
    except json.JSONDecodeError:
        pieces.go(0)
        return _LINES if _are_lines(pieces.take(pieces.size_bytes)) else PLAIN
    return _JSON


def _parsed(pieces: Pieces) -> Any:
    """The value of the file. Raises `JSONDecodeError`, `EndsEarlyError`, `UnknownFormError`."""
    pieces.go(0)
    if pieces.size_bytes > MOST_JSON_BYTES:
        if _tail(pieces).rstrip()[-1:] not in (b"}", b"]"):
            raise EndsEarlyError
        raise UnknownFormError(f"only JSON of up to {MOST_JSON_BYTES} bytes is read whole")
    content = pieces.take(pieces.size_bytes)
    if sum(map(content.count, b"[{,")) > _MOST_VALUES:
        raise UnknownFormError(f"it holds more than {_MOST_VALUES} values")
    words = content.decode(json.detect_encoding(content), errors="replace").removeprefix("\ufeff")
    try:
        return json.loads(words)
    except json.JSONDecodeError as error:
        if _is_cut(error):
            raise EndsEarlyError from None
        raise
    except RecursionError:
        raise UnknownFormError("it is nested too deeply") from None


def _is_cut(error: json.JSONDecodeError) -> bool:
    """Whether a JSON text is whole up to where it ends."""
    return "Unterminated" in error.msg or _CUT_WORD.fullmatch(error.doc.rstrip()[error.pos :]) is not None


def _are_lines(content: bytes) -> bool:
    """Whether each line is JSON by itself; raises `EndsEarlyError` where the last one ends early."""
    *lines, last = [line for line in content.decode(errors="replace").splitlines() if line.strip()]
    try:
        for line in lines:
            json.loads(line)
    except (ValueError, RecursionError):
        return False
    try:
        json.loads(last)
    except json.JSONDecodeError as error:
        if lines and _is_cut(error):
            raise EndsEarlyError from None
        return False
    return True


def _tail(pieces: Pieces) -> bytes:
    """The last bytes of the file."""
    pieces.go(max(pieces.size_bytes - 1024, 0))
    return pieces.take(pieces.left_bytes)
