"""What a provider said, without what it quotes of the request: prompts belong to nobody who reads logs and traces."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

#: Shorter texts without a space are names and options, such as a style or a size, and tell what is wrong.
LONG_CHARACTERS = 24

#: So much of a prompt at the end of a text that was cut off is taken for its beginning [characters].
HEAD_CHARACTERS = 12

#: What follows the question mark of an address may be a key.
QUERY = re.compile(r"(://[^\s?\"']+\?)[^\s\"']+")

#: The most of a provider's words that is logged.
SAID_CHARACTERS = 300


def without_quotes(said: str, params: Any) -> str:
    """`said`, shortened, up to where it begins to quote a text of `params`; addresses without their queries."""
    said = QUERY.sub(r"\1…", said)[:SAID_CHARACTERS]
    folded = said.casefold()
    for text in _texts(params):
        head = text[:HEAD_CHARACTERS].casefold().strip()
        if (at := _quoted_at(folded, head)) >= 0:
            said, folded = f"{said[:at]}…", f"{folded[:at]}…"
    return said


def _quoted_at(said: str, head: str) -> int:
    """Where the words of `head` begin in `said`, or the part of them that its end cuts off; -1 where they don't."""
    if not head or (at := said.find(head)) >= 0:
        return at if head else -1
    cut = next((size for size in range(len(head) - 1, 3, -1) if said.endswith(head[:size])), 0)
    return len(said) - cut if cut else -1


def _texts(params: Any, name: str = "") -> Iterator[str]:
    if isinstance(params, dict):
        for key, value in params.items():
            yield from _texts(value, str(key))
    elif isinstance(params, list | tuple):
        for value in params:
            yield from _texts(value, name)
    elif isinstance(params, str) and ("prompt" in name.lower() or " " in params or len(params) >= LONG_CHARACTERS):
        yield params.strip()
