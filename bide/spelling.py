"""Misspelt names: which known name was meant."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import SequenceMatcher

#: How alike two names are from which one counts as the other misspelt: two letters of four that changed places.
ALIKE = 0.75

#: A longer name is no misspelt one [characters].
LONGEST = 64

_SEPARATORS = re.compile(r"[\W_]+")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` was most likely meant as; None where none is near, or where it is known itself.

    Case and separators do not count (`num_images` is `numImages`). A number at the end does: `prompt_2` is another
    field than `prompt`.
    """
    if len(name) > LONGEST:
        return None
    plain = _plain(name)
    shares = [(_likeness(plain, _plain(each)), each) for each in known if each != name]
    share, meant = max(shares, default=(0.0, ""))
    return meant if share >= ALIKE else None


def _plain(name: str) -> str:
    return _SEPARATORS.sub("", name).casefold()


def _likeness(plain: str, other: str) -> float:
    """From 0 for nothing alike to 1 for the same."""
    longest_share = 2 * min(len(plain), len(other)) / max(len(plain) + len(other), 1)
    numbered = plain != other and plain.startswith(other) and plain[len(other) :].isdigit()
    if longest_share < ALIKE or numbered:
        return 0.0
    return SequenceMatcher(None, plain, other, autojunk=False).ratio()
