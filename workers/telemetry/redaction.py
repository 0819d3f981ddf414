"""Redaction of a provider's texts: quotations of the request, such as prompts, stay out of logs and traces.

Text and request are compared word by word, however they are escaped, spaced and cased.
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

#: Shorter texts without a space are names and options, such as a style or a size. An error needs them.
LONG_CHARACTERS = 24

#: A word of a prompt as long as this counts as a quotation by itself; two in a row always do.
LONG_WORD_CHARACTERS = 12

#: The least beginning of a prompt's word that counts, at the end of a text that was cut off [characters].
HEAD_CHARACTERS = 4

#: The most of each text of a request that is compared [characters].
COMPARED_CHARACTERS = 20_000

#: The query of an address may contain a key.
QUERY = re.compile(r"\?[^\s\"'<>]*\w[^\s\"'<>]*")

#: The most of a provider's text that is logged [characters].
MAX_CHARACTERS = 300

#: Words that are no quotation, not even two in a row: most sentences have some.
COMMON_WORDS = frozenset(
    (
        *("a", "an", "and", "are", "as", "at", "be", "by", "can", "for", "from", "has", "have", "in", "is", "it"),
        *("may", "must", "not", "of", "on", "or", "that", "the", "this", "to", "was", "with", "you", "your"),
    )
)

#: Characters as JSON escapes them, once or twice.
_ESCAPED = re.compile(r"\\+(?:u([0-9a-fA-F]{4})|([bfnrt])|([\"'/\\]))")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\s]+")

#: In scripts without spaces each character is a word, and so is each symbol; punctuation is none.
_SPACELESS = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff"
_WORD = re.compile(
    rf"[^\W{_SPACELESS}]+|[{_SPACELESS}]|[^\x00-\xbf\w\s\u2000-\u206f\u3000-\u303f\ufe00-\ufe0f\uff00-\uff20]"
)


def redact(text: str, params: Any) -> str:
    """The text, shortened, up to where it begins to quote `params`; addresses lose their queries."""
    plain = QUERY.sub("?…", _plain(text[: 4 * MAX_CHARACTERS]))[:MAX_CHARACTERS]
    quoted_at = _Quotations(params).find(plain)
    return plain if quoted_at is None else f"{plain[:quoted_at]}…"


class _Quotations:
    """Finds quotations of a request: two of its words in a row, or one that is long or a whole text."""

    def __init__(self, params: Any) -> None:
        self._alone, self._firsts = set[str](), set[str]()
        self._after = defaultdict[str, set[str]](set)
        for text in _texts(params):
            words = [found[0].casefold() for found in _WORD.finditer(_plain(text[:COMPARED_CHARACTERS]))]
            self._firsts.update(words[:1])
            self._alone.update(word for word in words if len(word) >= LONG_WORD_CHARACTERS or [word] == words)
            for first, second in pairwise(words):
                self._after[first].add(second)
        self._alone -= COMMON_WORDS

    def find(self, text: str) -> int | None:
        """Where the first quotation begins; None where there is none."""
        words = [(found.start(), found[0].casefold()) for found in _WORD.finditer(text)]
        for (at, first), (_, second) in pairwise(words):
            if first in self._alone or (second in self._after[first] and not {first, second} <= COMMON_WORDS):
                return at
        return self._find_at_end(words)

    def _find_at_end(self, words: list[tuple[int, str]]) -> int | None:
        """Where a quotation begins at the last word, which may be cut off; None where there is none."""
        for (before_at, before), (_, last) in pairwise(words[-2:]):
            if any(word.startswith(last) for word in self._after[before] - COMMON_WORDS):
                return before_at
        for at, last in words[-1:]:
            is_head = len(last) >= HEAD_CHARACTERS and any(each.startswith(last) for each in self._alone | self._firsts)
            if is_head or last in self._alone:
                return at
        return None


def _plain(text: str) -> str:
    """The text as its author wrote it, in one line."""
    text = unquote(_ESCAPED.sub(_unescape, html.unescape(html.unescape(text))))
    if _SURROGATE.search(text):
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return _CONTROL.sub(" ", unicodedata.normalize("NFC", text)).strip()


def _unescape(found: re.Match[str]) -> str:
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
