"""A file format, as a file's first bytes show it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from bide.providers.offering import MediaKind
from workers.io.sniff.kind import Kind
from workers.io.sniff.pieces import Pieces

#: Kinds of which content types tell.
_BY_TYPE = {f"{kind}/": kind for kind in (MediaKind.IMAGE, MediaKind.VIDEO, MediaKind.AUDIO, MediaKind.MODEL)}


class Form(NamedTuple):
    """A file format: its name, what is stored of it, and its reader; None where there is none."""

    name: str
    content_type: str
    ext: str
    read: Callable[[Pieces], Kind] | None = None
    #: What it is where the content type does not tell.
    is_a: MediaKind | None = None

    @property
    def media(self) -> MediaKind | None:
        """What a file of this format is; None for one of an unknown format."""
        return self.is_a or media_of(self.content_type)


def media_of(content_type: str) -> MediaKind | None:
    """What a content type tells of a file."""
    return next((kind for prefix, kind in _BY_TYPE.items() if content_type.startswith(prefix)), None)


#: The kinds of outputs, as errors name them.
_NOUNS = {
    MediaKind.IMAGE: "a picture",
    MediaKind.VIDEO: "a video",
    MediaKind.AUDIO: "sound",
    MediaKind.MODEL: "a 3D model",
    MediaKind.WEIGHTS: "model weights",
    MediaKind.TEXT: "text",
    MediaKind.ARCHIVE: "an archive",
}


def none_of(kinds: frozenset[MediaKind]) -> str:
    """How an error begins about a file that is none of the kinds: "neither a picture nor a video"."""
    *others, last = [noun for kind, noun in _NOUNS.items() if kind in kinds]
    return f"neither {', '.join(others)} nor {last}" if others else f"not {last}"


def called(form: Form) -> str:
    """A file of the format, as errors name it."""
    return f"{form.name}, {_NOUNS[form.media]}" if form.media else form.name
