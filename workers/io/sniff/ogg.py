"""Ogg: its pages, up to the last of each stream."""

from __future__ import annotations

from workers.io.sniff.kind import EndsEarlyError, Kind, UnknownFormError
from workers.io.sniff.pieces import Pieces

_MARK, _HEAD_BYTES = b"OggS", 27
_LAST = 0x04


def read(pieces: Pieces) -> Kind:
    """Raises `EndsEarlyError`, or `UnknownFormError` where no page says that it is the last."""
    open_streams: set[bytes] = set()
    while pieces.left_bytes:
        head = pieces.take(min(_HEAD_BYTES, pieces.left_bytes))
        if not head.startswith(_MARK[: len(head)]):
            break  # bytes behind the end
        if len(head) < _HEAD_BYTES:
            raise EndsEarlyError
        serial, lengths = head[14:18], pieces.take(head[26])
        pieces.go(pieces.at + sum(lengths))
        if head[5] & _LAST:
            open_streams.discard(serial)
        else:
            open_streams.add(serial)
    if open_streams:
        raise UnknownFormError("no page of it says that it is the last")
    return Kind("audio/ogg", "ogg")
