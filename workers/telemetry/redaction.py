"""What a provider said, without what it quotes of the request: prompts belong to nobody who reads logs and traces.

Both sides are compared word by word, however they are escaped, spaced and cased.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import Any
from urllib.parse import unquote

#: Shorter texts without a space are names and options, such as a style or a size, and tell what is wrong.
LONG_CHARACTERS = 24

#: A word of a prompt as long as this is taken for a quotation by itself; two in a row always are.
LONG_WORD_CHARACTERS = 12

#: So much of a word at the end of a text that was cut off is taken for its beginning [characters].
HEAD_CHARACTERS = 4

#: So much of each text of a request is compared [characters].
COMPARED_CHARACTERS = 20_000

#: What follows the question mark of an address may be a key.
QUERY = re.compile(r"\?[^\s\"'<>]*\w[^\s\"'<>]*")

#: The most of a provider's words that is logged.
SAID_CHARACTERS = 300

#: Two of these in a row stand in most sentences.
COMMON = frozenset(
    (
        *("a", "an", "and", "are", "as", "at", "be", "by", "can", "for", "from", "has", "have", "in", "is", "it"),
        *("may", "must", "not", "of", "on", "or", "that", "the", "this", "to", "was", "with", "you", "your"),
    )
)

#: As JSON writes it, once or twice.
_ESCAPED = re.compile(r"\\+(?:u([0-9a-fA-F]{4})|([bfnrt])|([\"'/\\]))")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\s]+")

#: In scripts without spaces each character is a word, and so is each symbol; punctuation is none.
_SPACELESS = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff"
_WORD = re.compile(
    rf"[^\W{_SPACELESS}]+|[{_SPACELESS}]|[^\x00-\xbf\w\s\u2000-\u206f\u3000-\u303f\ufe00-\ufe0f\uff00-\uff20]"
)


def redact(said: str, params: Any) -> str:
    """`said`, shortened, up to where it begins to quote a text of `params`; addresses without their queries."""
    plain = QUERY.sub("?…", _plain(said[: 4 * SAID_CHARACTERS]))[:SAID_CHARACTERS]
    quoted_at = _Quotable(params).begins_in(plain)
    return plain if quoted_at is None else f"{plain[:quoted_at]}…"


class _Quotable:
    """What gives a quotation of a request away: two of its words in a row, or one that is enough."""

    def __init__(self, params: Any) -> None:
        self._enough, self._firsts = set[str](), set[str]()
        self._after = defaultdict[str, set[str]](set)
        for text in _texts(params):
            words = [found[0].casefold() for found in _WORD.finditer(_plain(text[:COMPARED_CHARACTERS]))]
            self._firsts.update(words[:1])
            self._enough.update(word for word in words if len(word) >= LONG_WORD_CHARACTERS or [word] == words)
            for first, second in pairwise(words):
                self._after[first].add(second)
        self._enough -= COMMON

    def begins_in(self, said: str) -> int | None:
        """Where the first quotation begins; None where there is none."""
        words = [(found.start(), found[0].casefold()) for found in _WORD.finditer(said)]
        for (at, first), (_, second) in pairwise(words):
            if first in self._enough or (second in self._after[first] and not {first, second} <= COMMON):
                return at
        return self._cut_off_in(words)

    def _cut_off_in(self, words: list[tuple[int, str]]) -> int | None:
        """As above, of the last word, which may be the beginning of one only."""
        for (before_at, before), (_, last) in pairwise(words[-2:]):
            if any(word.startswith(last) for word in self._after[before] - COMMON):
                return before_at
        for at, last in words[-1:]:
            begun = len(last) >= HEAD_CHARACTERS and any(each.startswith(last) for each in self._enough | self._firsts)
            if begun or last in self._enough:
                return at
        return None


def _plain(text: str) -> str:
    """The text as its author wrote it, in one line."""
    text = unquote(_ESCAPED.sub(_unescaped, html.unescape(html.unescape(text))))
    if _SURROGATE.search(text):
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return _CONTROL.sub(" ", unicodedata.normalize("NFC", text)).strip()


def _unescaped(found: re.Match[str]) -> str:
    code, space, itself = found.groups()
    return chr(int(code, 16)) if code else " " if space else itself


def _texts(params: Any, name: str = "") -> Iterator[str]:
    if isinstance(params, dict):
        for key, value in params.items():
            yield from _texts(value, str(key))
    elif isinstance(params, list | tuple):
        for value in params:
            yield from _texts(value, name)
    elif isinstance(params, str) and ("prompt" in name.lower() or _is_text(params)):
        yield params


def _is_text(value: str) -> bool:
    return len(value) >= LONG_CHARACTERS or not value.isascii() or len(value.split(None, 1)) > 1
