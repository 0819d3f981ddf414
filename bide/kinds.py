"""What stored objects are to people, by their content types."""

from __future__ import annotations

from collections.abc import Sequence

from bide.contract import Output

_WORDS = {"image": "picture", "video": "video", "audio": "sound", "model": "model", "text": "text"}

#: Content types of which the first part does not tell.
_OTHERS = {
    **dict.fromkeys(("application/json", "application/x-ndjson", "application/x-subrip"), "text"),
    **dict.fromkeys(("application/zip", "application/x-tar", "application/gzip"), "archive"),
}


def kind_of(output: Output) -> str:
    """In a word: `picture`, `video`, `sound`, `model`, `text`, `archive` or `file`."""
    return _WORDS.get(output.content_type.partition("/")[0]) or _OTHERS.get(output.content_type, "file")


def shown_first(outputs: Sequence[Output]) -> int:
    """The place of the output that stands for all of a job's: the first picture, else the first video, else 0."""
    kinds = [kind_of(output) for output in outputs]
    return next((kinds.index(kind) for kind in ("picture", "video") if kind in kinds), 0)
