"""PhotoGPT's envelope, and the way in which a video that is a playlist is made a file."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from json import dumps, loads
from typing import Any

from bide.errors import PollFailedError, UnreadableAnswerError
from bide.providers import reading
from bide.providers.base import MAX_CURSOR_CHARACTERS, Answer, Media, PollOutcome, Running, Succeeded
from bide.providers.refusal import refused_poll
from bide.providers.states import is_failed

#: Fields of an envelope that may say why something failed.
ENVELOPE_ERRORS = ("message", "err", "error", "detail")


def envelope(body: Any) -> str:
    """The envelope's own word, OK or NOK; empty where there is none."""
    return reading.as_text(body.get("status")).upper() if isinstance(body, dict) else ""


def result_of(body: Any) -> dict[str, Any]:
    """What is in the envelope; raises `UnreadableAnswerError`."""
    result = body.get("result") if isinstance(body, dict) else None
    if not isinstance(result, dict):
        raise UnreadableAnswerError("an answer without a result")
    return result


@dataclass(frozen=True)
class Packaging:
    """The cursor of a finished job whose videos are playlists: each is made a file, one after the other.

    `ready` holds role and address of what is a file, `waiting` the ids of the rest; `asked`: for the file of the first;
    `missing`: how many outputs came without an address.
    """

    ready: tuple[tuple[str, str], ...]
    waiting: tuple[str, ...]
    asked: bool = False
    missing: int = 0

    @classmethod
    def from_cursor(cls, cursor: str) -> Packaging | None:
        if not cursor:
            return None
        fields = loads(cursor)
        ready = tuple((role, url) for role, url in fields["ready"])
        return cls(ready, tuple(fields["waiting"]), fields["asked"], fields.get("missing", 0))

    @property
    def path(self) -> str:
        return f"/videos/{reading.in_path(self.waiting[0])}/{'download' if self.asked else 'create-download'}"

    def outcome(self, status: str) -> PollOutcome:
        if not self.waiting:
            outputs = tuple(Media(role, url=url) for role, url in self.ready)
            return Succeeded(outputs, reading.missing(len(outputs), len(outputs) + self.missing))
        fields = {name: value for name, value in asdict(self).items() if name != "missing" or value}
        cursor = dumps(fields, separators=(",", ":"))
        if len(cursor) > MAX_CURSOR_CHARACTERS:
            raise UnreadableAnswerError("results whose addresses are too long to remember")
        return Running(status, cursor=cursor)


def packaged(answer: Answer, packaging: Packaging) -> PollOutcome:
    """`create-download` is a GET that starts work: asked once, and again only when its file is not known or failed."""
    if not packaging.asked:
        if answer.status == 404:
            raise PollFailedError("HTTP 404 where a video was to be made a file")
        return replace(packaging, asked=True).outcome("file of the video is asked for")
    if answer.status != 404:
        body = answer.json()
        if envelope(body) != "NOK":
            return _download(result_of(body), packaging)
        refused_poll(reading.first_text(body, ENVELOPE_ERRORS))
    return replace(packaging, asked=False).outcome("file of the video is not known")


def _download(result: dict[str, Any], packaging: Packaging) -> PollOutcome:
    status = reading.as_word(result.get("status"))
    if is_failed(status):
        return replace(packaging, asked=False).outcome("file of the video failed")
    if status != "ready":
        return packaging.outcome(f"file of the video: {status}")
    url = reading.as_url(result.get("url"))
    if reading.is_playlist(url):
        raise UnreadableAnswerError("a download that is a playlist again")
    ready, waiting = (*packaging.ready, ("video", url)), packaging.waiting[1:]
    return replace(packaging, ready=ready, waiting=waiting, asked=False).outcome("file of the next video")
