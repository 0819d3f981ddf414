"""The outputs in an answer, by the places that a provider's file names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bide.errors import UnreadableAnswerError
from bide.providers import reading
from bide.providers.copies import with_copies
from bide.providers.declared.answer_tables import MediaTable, ResultTable
from bide.providers.outcomes import Media

Outputs = Callable[[Any], tuple[Media, ...]]


def reader(table: ResultTable) -> Outputs:
    """What reads the outputs of a body; it raises `UnreadableAnswerError` for what stands there and is none."""
    together, otherwise = table.media, table.otherwise
    copies = table.copies or []

    def read(body: Any) -> tuple[Media, ...]:
        if copies:
            found = _with_copies(body, together, [reading.as_urls(path.first(body)) for path in copies])
        else:
            found = tuple(media for place in together for media in _at(place, body))
        rest = iter(otherwise)
        while not found and (place := next(rest, None)):
            found = _at(place, body)
        return found

    return read


def missing(table: ResultTable, body: Any, outputs: tuple[Media, ...]) -> str:
    """What an answer leaves out: in words of the provider's, or of the outputs that it names without content."""
    words = reading.as_text(table.partial.first(body)) if table.partial else ""
    if words or not outputs:
        return words
    return reading.missing(len(outputs), sum(len(_entries(place, body)) for place in table.media))


def _at(place: MediaTable, body: Any) -> tuple[Media, ...]:
    """The outputs of one place."""
    values = [place.at.strict(body)] if place.at.steps is not None else place.at.all(body)
    read = _files if place.addresses else reading.all_media
    found = tuple(media for value in values for media in read(value, role=place.role))
    return tuple(map(reading.by_suffix, found)) if place.by_suffix else found


def _files(value: Any, *, role: str) -> tuple[Media, ...]:
    """Addresses of files, as such or as the `url` of records; a playlist is none."""
    entries = [entry.get("url") if isinstance(entry, dict) else entry for entry in reading.listed(value)]
    urls = [reading.as_url(entry) for entry in entries if entry]
    if any(map(reading.is_playlist, urls)):
        raise UnreadableAnswerError("a playlist where a file was expected")
    return tuple(Media(role, url=url) for url in urls)


def _with_copies(body: Any, places: list[MediaTable], links: list[list[str]]) -> tuple[Media, ...]:
    named = [(place.role, entry) for place in places for entry in _checked(place, body)]
    found = with_copies(named, links, role=places[0].role if places else "image")
    by_suffix = {place.role for place in places if place.by_suffix}
    return tuple(reading.by_suffix(media) if media.role in by_suffix else media for media in found)


def _checked(place: MediaTable, body: Any) -> list[Any]:
    """The entries of a place; raises `UnreadableAnswerError` where they are to be addresses of files, and are not."""
    entries = _entries(place, body)
    if place.addresses:
        _files(entries, role=place.role)
    return entries


def _entries(place: MediaTable, body: Any) -> list[Any]:
    """What a place names, output by output, blank ones too."""
    if place.at.steps is not None:
        return reading.listed(place.at.strict(body))
    return [entry for value in place.at.all(body) for entry in _each(value)]


def _each(value: Any) -> list[Any]:
    """The outputs that one of several values names; a blank one names an output without content."""
    return [value] if value is None or value in ("", {}) else reading.listed(value)
