"""Weights of models: safetensors and GGUF, by the places that their heads name. Nothing of a pickle is ever loaded."""

from __future__ import annotations

import json

from bide.errors import BadMediaError
from workers.io.sniff.kind import EndsEarlyError, Kind, UnknownFormError
from workers.io.sniff.pieces import Pieces

#: The longest head that safetensors may have, and the longest that is read [bytes]; and how many values in it.
_MOST_HEAD_BYTES, _MOST_READ_BYTES, _MOST_VALUES = 100_000_000, 8 * 1024 * 1024, 500_000

SAFETENSORS = Kind("application/octet-stream", "safetensors")
GGUF = Kind("application/octet-stream", "gguf")

#: Bytes and weights of a block, by the number of the type (ggml.h).
_BLOCKS = {
    0: (4, 1),
    1: (2, 1),
    2: (18, 32),
    3: (20, 32),
    6: (22, 32),
    7: (24, 32),
    8: (34, 32),
    9: (36, 32),
    10: (84, 256),
    11: (110, 256),
    12: (144, 256),
    13: (176, 256),
    14: (210, 256),
    15: (292, 256),
    24: (1, 1),
    25: (2, 1),
    26: (4, 1),
    27: (8, 1),
    28: (8, 1),
    30: (2, 1),
}

#: Bytes of a value by the number of its type; texts and lists have types of their own.
_VALUE_BYTES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_TEXT, _LIST = 8, 9
_MOST_DIMENSIONS = 8

_ALIGNMENT, _USUAL_ALIGNMENT = b"general.alignment", 32


def is_safetensors(head: bytes) -> bool:
    """Whether a file begins as safetensors does: with the length of its head, then the head, a JSON object."""
    return 2 <= int.from_bytes(head[:8], "little") <= _MOST_HEAD_BYTES and head[8:10] in (b'{"', b"{}", b"{ ")


def read_safetensors(pieces: Pieces) -> Kind:
    """Raises `BadMediaError` or `UnknownFormError`."""
    length = pieces.little(8)
    start = pieces.at + length
    if start > pieces.size_bytes:
        raise EndsEarlyError
    if length > _MOST_READ_BYTES:
        raise UnknownFormError(f"its head has {length} bytes")
    content = pieces.take(length)
    if sum(map(content.count, b"[{,")) > _MOST_VALUES:
        raise UnknownFormError("its head names too many tensors")
    try:
        tensors = json.loads(content)
        end = max((int(each["data_offsets"][1]) for name, each in tensors.items() if name != "__metadata__"), default=0)
    except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError):
        raise BadMediaError("the head of the safetensors file is damaged") from None
    if start + end > pieces.size_bytes:
        raise EndsEarlyError
    return SAFETENSORS


def read_gguf(pieces: Pieces) -> Kind:
    """Raises `EndsEarlyError` or `UnknownFormError`."""
    pieces.go(4)
    version, tensors, values = pieces.little(4), pieces.little(8), pieces.little(8)
    if version not in (2, 3):
        raise UnknownFormError("it is of another version, or of another order of bytes")
    alignment = _USUAL_ALIGNMENT
    for _ in range(values):
        name, kind = _text(pieces), pieces.little(4)
        if name == _ALIGNMENT and kind == 4:
            alignment = max(pieces.little(4), 1)
        else:
            _skip_value(pieces, kind)
    end = max((_tensor_end(pieces) for _ in range(tensors)), default=0)
    if -(-pieces.at // alignment) * alignment + end > pieces.size_bytes and end:
        raise EndsEarlyError
    return GGUF


def _text(pieces: Pieces) -> bytes:
    """A text, as far as it may be one that matters."""
    length = pieces.little(8)
    text = pieces.take(min(length, 64, pieces.left_bytes))
    pieces.go(pieces.at + length - len(text))
    return text


def _skip_value(pieces: Pieces, kind: int) -> None:
    if kind == _TEXT:
        _text(pieces)
    elif kind == _LIST:
        inner, count = pieces.little(4), pieces.little(8)
        if inner in _VALUE_BYTES:
            pieces.go(pieces.at + count * _VALUE_BYTES[inner])
        elif inner == _TEXT:
            for _ in range(count):
                _text(pieces)
        else:
            raise UnknownFormError("it holds a list of an unknown type")
    elif kind in _VALUE_BYTES:
        pieces.go(pieces.at + _VALUE_BYTES[kind])
    else:
        raise UnknownFormError("it holds a value of an unknown type")


def _tensor_end(pieces: Pieces) -> int:
    """Where a tensor ends, from where all begin; of an unknown type, where it begins."""
    _text(pieces)
    dimensions, count = pieces.little(4), 1
    if dimensions > _MOST_DIMENSIONS:
        raise UnknownFormError(f"a tensor of it has {dimensions} dimensions")
    for _ in range(dimensions):
        count *= pieces.little(8)
    block_bytes, block = _BLOCKS.get(pieces.little(4), (0, 1))
    return pieces.little(8) + -(-count // block) * block_bytes
