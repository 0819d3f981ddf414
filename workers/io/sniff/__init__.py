"""What a file really is: type, width and height as shown, and whether it is whole, read from its structure."""

from __future__ import annotations

from typing import IO

from bide.errors import BadMediaError
from bide.providers.offering import PICTURES, MediaKind
from workers.io.sniff.form import Form
from workers.io.sniff.kind import MAX_PIXELS, EndsEarlyError, Kind, UnknownFormError, check_extent
from workers.io.sniff.names import HEAD_BYTES, check_contents, form_of
from workers.io.sniff.pieces import MAX_PIECES, Pieces
from workers.io.sniff.words import PLAIN

__all__ = ["MAX_PIECES", "MAX_PIXELS", "EndsEarlyError", "Kind", "identify", "kind_of_text"]


def identify(file: IO[bytes], size_bytes: int, *, kinds: frozenset[MediaKind] = PICTURES) -> Kind:
    """The kind of the file, which is read from its start, in small pieces, and must be one of `kinds`.

    A file that can't be judged has a `warning`, and neither width nor height. Raises `BadMediaError` for what is
    surely none of the kinds or not taken, `EndsEarlyError` where the end is missing.
    """
    file.seek(0)
    form = form_of(file.read(HEAD_BYTES), size_bytes, kinds)
    kind = _read(form, file, size_bytes)
    check_contents(form, kind, kinds)
    if kind.width is not None and kind.height is not None:
        check_extent(form.name, kind.width, kind.height)
    return kind


def kind_of_text(file: IO[bytes], size_bytes: int) -> Kind:
    """The kind of a text that is whole whatever it says; raises `BadMediaError` where there is none."""
    try:
        return identify(file, size_bytes, kinds=frozenset({MediaKind.TEXT}))
    except BadMediaError:
        if not size_bytes:
            raise
        return PLAIN


def _read(form: Form, file: IO[bytes], size_bytes: int) -> Kind:
    """The kind by the form's own reader. What that does not understand costs nobody a paid result."""
    if form.read is None:
        return _unjudged(form, "bide does not read this format")
    try:
        return form.read(Pieces(file, size_bytes))
    except (BadMediaError, OSError, MemoryError):
        raise
    except UnknownFormError as error:
        return _unjudged(form, str(error))
    except Exception as error:  # a gap in a reader says nothing about the file
        return _unjudged(form, f"its reader failed with {type(error).__name__}")


def _unjudged(form: Form, reason: str) -> Kind:
    warning = f"the {form.name} could not be checked: {reason}"
    return Kind(form.content_type, form.ext, warning=warning)
