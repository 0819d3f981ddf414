"""Text that comes where a picture or a video should: what it is, in the words of an error."""

from __future__ import annotations

import codecs
import re

#: Control characters that no text has.
_NO_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")

_PLAYLIST = "a playlist, whose parts are not fetched"

#: What text is that may be one which an operation declares; a page is none, unless its elements are of no page.
JSON, OTHER = "JSON", "an unknown kind of file: text, and no media"
PAGE = "an HTML or XML page"

#: How text begins, once blanks, declarations and comments are passed over, and what it is then.
_BEGINNINGS = (
    ("#extm3u", _PLAYLIST),
    ("[playlist]", _PLAYLIST),
    ("[reference]", _PLAYLIST),
    ("<mpd", _PLAYLIST),
    ("<smoothstreamingmedia", _PLAYLIST),
    ("<asx", _PLAYLIST),
    ("<smil", _PLAYLIST),
    ("<playlist", _PLAYLIST),
    ("<svg", "an SVG drawing, which is not taken"),
    ("<svg:svg", "an SVG drawing, which is not taken"),
    ("<", PAGE),
    ("{", JSON),
    ("[", JSON),
)

#: What may stand before the first element of XML.
_PROLOGUE = re.compile(r"\s+|<\?.*?\?>|<!--.*?-->|<!doctype\s(?:[^\[>]|\[[^\]]*\])*>", re.DOTALL | re.IGNORECASE)

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


def described(head: bytes) -> str | None:
    """What the text is that begins so; None where it is no text."""
    text = decoded(head)
    if text is None:
        return None
    at = 0
    while found := _PROLOGUE.match(text, at):
        at = found.end()
    rest = text[at : at + 64].lower()
    return next((what for beginning, what in _BEGINNINGS if rest.startswith(beginning)), None) or _other(text)


def _other(text: str) -> str:
    begun = text.lstrip()[:1] == "<"
    return PAGE if begun else OTHER


def decoded(head: bytes) -> str | None:
    """The text that begins so; None where it is no text."""
    for mark, encoding in _BOMS:
        if head.startswith(mark):
            text = head.removeprefix(mark).decode(encoding, errors="replace")
            return None if _NO_TEXT.search(text[:1000].encode(errors="replace")) else text
    return None if _NO_TEXT.search(head) else head.decode("latin-1")
