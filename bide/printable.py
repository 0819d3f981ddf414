"""Foreign texts, made fit for a terminal: nothing in them moves the cursor, rings, or forges a line."""

from __future__ import annotations

import re

#: Characters that a terminal acts on, that turn the direction of a line or end it, and halves of surrogate pairs.
_ACTING = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]")


def printable(text: str, *, keep: str = "") -> str:
    r"""The text in one line, with `\x1b` and its like written out; characters of `keep` stay as they are."""
    return _ACTING.sub(lambda found: found[0] if found[0] in keep else _escape(found[0]), text)


def printable_json(text: str) -> str:
    r"""The JSON with unchanged values: characters that a terminal acts on become `\u001b` and its like.

    Line breaks of the JSON itself stay.
    """
    return _ACTING.sub(lambda found: found[0] if found[0] in "\t\r\n" else f"\\u{ord(found[0]):04x}", text)


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun: `1 row`, `2 rows`, `0 rows`."""
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def plain(text: str) -> str:
    """In one line, without what would move a terminal's cursor or break a log."""
    return " ".join((text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)).split())
