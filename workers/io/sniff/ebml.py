"""The elements of which WebM and Matroska are made."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from workers.io.sniff.kind import UnknownFormError
from workers.io.sniff.pieces import Pieces


class Element(NamedTuple):
    """An element: where it begins, where its contents do, and where it ends; None where that is not known."""

    name: int
    head: int
    start: int
    end: int | None


def element(pieces: Pieces) -> Element:
    """The element that begins here; the file stands at its contents. Raises `UnknownFormError` where none does."""
    head = pieces.at
    first = pieces.big(1)
    width = 9 - first.bit_length()
    if width > 4:
        raise UnknownFormError("an element of it has no name")
    name = first << 8 * (width - 1) | pieces.big(width - 1)
    length = _length(pieces)
    return Element(name, head, pieces.at, None if length is None else pieces.at + length)


def inside(pieces: Pieces, outer: Element) -> Iterator[Element]:
    """The elements in one of known length; the file stands at the contents of the one that is handed out."""
    pieces.go(outer.start)
    while outer.end is not None and pieces.at < outer.end:
        inner = element(pieces)
        if inner.end is None or inner.end > outer.end:
            return
        yield inner
        pieces.go(inner.end)


def number(pieces: Pieces, inner: Element) -> int:
    """The value of an element that holds a whole number without sign."""
    return int.from_bytes(_value(pieces, inner), "big")


def real(pieces: Pieces, inner: Element) -> float:
    """The value of an element that holds a floating-point number."""
    value = _value(pieces, inner)
    layout = {4: ">f", 8: ">d"}.get(len(value))
    return float(struct.unpack(layout, value)[0]) if layout else 0.0


def _value(pieces: Pieces, inner: Element) -> bytes:
    pieces.go(inner.start)
    return pieces.take(min((inner.end or inner.start) - inner.start, 8))


def _length(pieces: Pieces) -> int | None:
    """A length of one to eight bytes; None where all its bits are set (unknown)."""
    first = pieces.big(1)
    width = 9 - first.bit_length()
    if width > 8:
        raise UnknownFormError("an element of it has no length")
    value = (first & (0xFF >> width)) << 8 * (width - 1) | pieces.big(width - 1)
    return None if value == (1 << 7 * width) - 1 else value
