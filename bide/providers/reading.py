"""Tolerant readers of what providers answer: ids, words, numbers, texts, lists and media, in all their shapes.

Each takes any JSON value. What says nothing becomes empty; what says something that can't be understood raises
`UnreadableAnswerError`, never with the value in its message.
"""

from __future__ import annotations

import base64
import math
import mimetypes
import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from bide.errors import UnreadableAnswerError
from bide.printable import plain
from bide.providers.exchange import Answer
from bide.providers.outcomes import Media

#: Longest error text and longest id that is kept [characters].
TEXT_MAX_CHARACTERS, ID_MAX_CHARACTERS = 500, 512

#: Up to here a number with a point is exact, above it digits of an id may be lost.
MAX_EXACT = 2**53

#: How deep an error text may be nested in lists and objects.
TEXT_MAX_DEPTH = 5

#: Where the entries of lists repeat what was asked for.
_REQUESTS = ("params", "input", "inputs", "request", "parameters", "meta")

#: What comes before the content of a data URI in base64.
DATA_URI = re.compile(r"data:[^,]{0,200};base64,", re.IGNORECASE)

_URL_SAFE = str.maketrans("-_", "+/")
_HTTP = re.compile(r"https?://", re.IGNORECASE)


def as_id(value: Any) -> str:
    """An id (a string, or a whole number: 123.0 is 123) as text; empty where none could be asked for again."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= MAX_EXACT:
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        return ""
    text = value.strip()
    usable = _is_whole(text) and len(text) <= ID_MAX_CHARACTERS and text not in (".", "..")
    return text if usable else ""


def _is_whole(text: str) -> bool:
    """Whether nothing of an id or address was lost: `Answer.json` marks bytes that are no UTF-8 so."""
    return text.isprintable() and "\ufffd" not in text


def has_id(value: Any) -> bool:
    """Whether something stands where an id belongs, be it one that could be asked for or not."""
    return isinstance(value, int | float | str) and not isinstance(value, bool) and bool(str(value).strip())


def in_path(text: str) -> str:
    """`text` as one segment of a URL's path."""
    return quote(text, safe="")


def as_word(value: Any) -> str:
    """A status word in lower case; raises where there is none."""
    if not isinstance(value, str) or not value.strip():
        raise UnreadableAnswerError("an answer without a status")
    return as_text(value).lower()


def as_positive(value: Any) -> float | None:
    """A positive, finite number (of seconds, credits, pages), also one written as a string; else None."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and number > 0 else None


def as_moment(value: Any) -> datetime | None:
    """A moment in ISO 8601, in UTC where it names no zone; None for anything else."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        return moment and (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def rfc3339(moment: datetime) -> str:
    """A moment as queries have it: `2026-01-05T10:00:00Z`."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def as_text(value: Any, *, depth: int = TEXT_MAX_DEPTH) -> str:
    """Strings, lists and objects of error texts as one line of at most `TEXT_MAX_CHARACTERS`."""
    if value is None or value is False or depth == 0:
        return ""
    if isinstance(value, str):
        return plain(value[: 2 * TEXT_MAX_CHARACTERS])[:TEXT_MAX_CHARACTERS]
    if isinstance(value, dict):
        return _joined(_labelled(value, depth))
    if isinstance(value, list | tuple):
        return _joined(as_text(entry, depth=depth - 1) for entry in value[:20])
    return str(value)[:TEXT_MAX_CHARACTERS]


def _labelled(value: dict[Any, Any], depth: int) -> Iterable[str]:
    # FastAPI's validation errors also repeat the caller's input, which may be private: only place and message are kept.
    if "msg" in value:
        place = ".".join(map(as_text, value["loc"])) if isinstance(value.get("loc"), list) else ""
        value = {place: value["msg"]}
    for key, entry in list(value.items())[:20]:
        if text := as_text(entry, depth=depth - 1):
            yield f"{as_text(key)}: {text}" if key else text


def _joined(texts: Iterable[str]) -> str:
    return "; ".join(text for text in texts if text)[:TEXT_MAX_CHARACTERS]


def error_text(answer: Answer, names: Iterable[str]) -> str:
    """The first of the fields `names` that says something; for a body that is not JSON, what it is."""
    try:
        body = answer.json()
    except UnreadableAnswerError:
        return f"{as_text(answer.headers.get('content-type', 'unknown'))} body of {len(answer.body)} bytes"
    return first_text(body, names)


def retry_after(answer: Answer) -> float | None:
    """What `retry_after` in a body says of when to come back [seconds]; None where it says nothing."""
    try:
        return as_positive(answer.object().get("retry_after"))
    except UnreadableAnswerError:
        return None


def first_text(body: Any, names: Iterable[str]) -> str:
    """The first field of an object that says something; empty where none does."""
    if not isinstance(body, dict):
        return ""
    return next((text for name in names if (text := as_text(body.get(name)))), "")


def listed(value: Any) -> list[Any]:
    """A list, also where it came as one string, nothing at all, one record, or an object keyed "0", "1", ..."""
    if value is None or value in ("", {}):
        return []
    if isinstance(value, list):
        return value
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict) and all(len(key) < 6 and key.isdecimal() for key in value):
        return [value[key] for key in sorted(value, key=int)]
    if isinstance(value, dict) and "url" in value:
        return [value]
    raise UnreadableAnswerError(f"a JSON {type(value).__name__} where a list was expected")


def is_http(text: str) -> bool:
    """Whether `text` means to be an absolute http(s) address, well-formed or not."""
    return _HTTP.match(text.strip()) is not None


def as_url(value: Any) -> str:
    """An absolute http(s) address; raises for anything else."""
    text = value.strip() if isinstance(value, str) else ""
    try:
        well_formed = is_http(text) and _is_whole(text) and bool(urlsplit(text).hostname)
    except ValueError:
        well_formed = False
    if not well_formed:
        raise UnreadableAnswerError("a result that is not an http(s) address")
    return text


def as_urls(value: Any) -> list[str]:
    """The addresses of a list of copies, '' where one can't be read; none where it is no list."""
    try:
        return [url_or_blank(entry) for entry in listed(value)]
    except UnreadableAnswerError:
        return []


def url_or_blank(value: Any) -> str:
    """An absolute http(s) address; '' for anything else."""
    try:
        return as_url(value)
    except UnreadableAnswerError:
        return ""


def is_playlist(url: str) -> bool:
    """Whether an address is an HLS playlist: a list of pieces, not the video."""
    return urlsplit(url).path.lower().endswith((".m3u8", ".m3u"))


def as_base64(text: str) -> bytes:
    """Strictly decoded, after a data-URI prefix, white space, padding and the URL-safe alphabet were put right."""
    prefix = DATA_URI.match(text.lstrip()[:256])
    data = text.lstrip()[prefix.end() :] if prefix else text
    digits = "".join((unquote(data) if "%" in data else data).split()).translate(_URL_SAFE).rstrip("=")
    try:
        return base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)
    except ValueError as error:
        raise UnreadableAnswerError(
            f"a result of {len(digits)} characters that is neither an address nor base64"
        ) from error


def as_media(value: Any, *, role: str) -> Media | None:
    """One output: an address or base64, as such or as the `url` of a record; None where it is blank."""
    if isinstance(value, dict):
        value = value.get("url")
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if not isinstance(value, str):
        raise UnreadableAnswerError(f"a JSON {type(value).__name__} where a result was expected")
    if is_http(value):
        return Media(role, url=as_url(value))
    content = as_base64(value)
    return Media(role, content=content) if content else None


def all_media(value: Any, *, role: str) -> tuple[Media, ...]:
    """All outputs of a list in any of the shapes of `listed`, blanks left out."""
    return tuple(media for entry in listed(value) if (media := as_media(entry, role=role)))


def by_suffix(media: Media) -> Media:
    """An output of a place that does not tell images from videos: the suffix of its address may."""
    kind = mimetypes.guess_type(urlsplit(media.url).path)[0] or ""
    return replace(media, role="video") if kind.startswith("video/") else media


def missing(usable: int, named: int) -> str:
    """What `Succeeded.partial` says where an answer names more outputs than can be had; '' where it does not."""
    return f"{usable} of {named} outputs: the provider gives no content of the others" if 0 < usable < named else ""


def prompt(entry: dict[str, Any]) -> str:
    """The whole prompt of a job on a list, at its top or in the request that it repeats; empty where there is none."""
    places = [entry, *(entry[name] for name in _REQUESTS if isinstance(entry.get(name), dict))]
    texts = (text for place in places for name in ("prompt", "Prompt") if isinstance(text := place.get(name), str))
    return next((found for text in texts if (found := " ".join(text.split()))), "")


def records(body: Any, *wrappers: str) -> list[dict[str, Any]]:
    """The entries of a catalog: a list, bare or inside the first of `wrappers` that holds one, to two levels deep."""
    if isinstance(body, list):
        return [entry if isinstance(entry, dict) else {"name": as_text(entry)} for entry in body]
    if isinstance(body, dict):
        inside = [body[name] for name in wrappers if isinstance(body.get(name), list | dict)]
        deeper = [held[name] for held in inside if isinstance(held, dict) for name in wrappers if name in held]
        for found in (*inside, *deeper):
            if isinstance(found, list):
                return records(found)
    raise UnreadableAnswerError("a catalog that is not a list")
