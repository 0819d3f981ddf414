"""Outputs of an answer that has further addresses of them: lists of copies, in the order of the outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bide.errors import UnreadableAnswerError
from bide.providers import reading
from bide.providers.outcomes import MAX_FALLBACKS, Media


def with_copies(named: Sequence[tuple[str, Any]], links: Sequence[list[str]], *, role: str) -> tuple[Media, ...]:
    """Each output with its copies; where there is none at all, the copies are the outputs, of this role.

    `named`: role and entry of each output, blank ones too. `links`: lists of addresses, '' for one that can't be read;
    a list of another length than the outputs says nothing of which belongs to which. Raises `UnreadableAnswerError` for
    an output that can't be read and has no copy.
    """
    outputs = [(own_role, entry) for own_role, entry in named if not _is_blank(entry)]
    count = len(outputs) or max(map(len, links), default=0)
    paired = [urls for urls in links if len(urls) == count]
    copies = [list(dict.fromkeys(filter(None, (urls[number] for urls in paired)))) for number in range(count)]
    if not outputs:
        return tuple(_first_of(role, urls) for urls in copies if urls)
    return tuple(_read(own_role, entry, urls) for (own_role, entry), urls in zip(outputs, copies, strict=True))


def _read(role: str, entry: Any, copies: list[str]) -> Media:
    """One output; what can't be read of it may have a copy that can."""
    try:
        output = reading.as_media(entry, role=role)
    except UnreadableAnswerError:
        if not copies:
            raise
        output = None
    if output is None:
        if not copies:
            raise UnreadableAnswerError("an output without content")
        return _first_of(role, copies)
    if not output.url:
        return output
    return replace(output, fallback_urls=tuple(url for url in copies if url != output.url)[:MAX_FALLBACKS])


def _first_of(role: str, urls: list[str]) -> Media:
    return Media(role, url=urls[0], fallback_urls=tuple(urls[1 : MAX_FALLBACKS + 1]))


def _is_blank(entry: Any) -> bool:
    """Whether an entry names no output at all."""
    text = entry.get("url") if isinstance(entry, dict) else entry
    return text is None or (isinstance(text, str) and not text.strip())
