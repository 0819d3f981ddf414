"""For providers that run any model: pictures are put into its input, and its output is JSON of any shape."""

from __future__ import annotations

import json
import mimetypes
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from bide.errors import UnreadableAnswerError
from bide.providers import reading
from bide.providers.exchange import Submission
from bide.providers.offering import MediaKind
from bide.providers.outcomes import Media, Succeeded

#: A model may make anything.
KINDS = frozenset(MediaKind)

#: Where models put what they make: where one of these is blank, and there is neither file nor text, nothing was made.
RESULT_FIELDS = frozenset(
    {"audio", "audio_file", "file", "files", "image", "images", "model_mesh", "output", "outputs", "video", "videos"}
)

#: The file types that a name alone tells apart.
_SUFFIXES = {
    **dict.fromkeys((".glb", ".gltf", ".obj", ".fbx", ".usdz", ".ply", ".stl"), MediaKind.MODEL),
    **dict.fromkeys((".safetensors", ".ckpt", ".pt", ".gguf"), MediaKind.WEIGHTS),
    **dict.fromkeys((".zip", ".tar", ".gz", ".tgz", ".7z"), MediaKind.ARCHIVE),
}

_MAIN_TYPES = frozenset({MediaKind.IMAGE, MediaKind.VIDEO, MediaKind.AUDIO, MediaKind.TEXT, MediaKind.MODEL})

_NUMBERED = re.compile(r"(?P<name>.+)\.(?P<number>\d{1,3})")


def input_of(submission: Submission) -> dict[str, Any]:
    """The model's input, with the addresses of the pictures: `image`, or `images.0`, `images.1` for a list."""
    given = dict(submission.params.get("input") or {})
    lists: dict[str, list[tuple[int, str]]] = {}
    for name, upload in submission.inputs.items():
        if numbered := _NUMBERED.fullmatch(name):
            lists.setdefault(numbered["name"], []).append((int(numbered["number"]), upload.url))
        else:
            given[name] = upload.url
    for name, urls in lists.items():
        before = given.get(name)
        given[name] = [*(before if isinstance(before, list) else ()), *(url for _, url in sorted(urls))]
    return given


def output_of(value: Any) -> Succeeded:
    """The files of an output, in their order; without any, its text or the whole of it, if that is not empty.

    Texts beside files are not kept. An output that is missing among others is named in `partial`.
    """
    found = _Found()
    found.search(value)
    if found.files:
        media = tuple(dict.fromkeys(found.files))
        return Succeeded(media, f"{found.missing} of {len(media) + found.missing} outputs" if found.missing else "")
    texts = filter(_is_text, _texts(value))
    return Succeeded(tuple(Media(MediaKind.TEXT, content=text.encode(errors="replace")) for text in texts))


@dataclass
class _Found:
    """What a walk through an output has met."""

    files: list[Media] = field(default_factory=list)
    #: Places of files that hold none.
    missing: int = 0

    def search(self, value: Any) -> None:
        """Walk through any JSON; raises `UnreadableAnswerError` for a file that can't be read."""
        todo = [value]
        while todo:
            here = todo.pop()
            if isinstance(here, dict) and isinstance(here.get("url", ...), str | None):
                self._record(here)
            elif isinstance(here, str):
                self._bare(here)
            else:
                todo.extend(reversed(list(self._inside(here))))

    def _bare(self, text: str) -> None:
        """A text without a record may also begin with an address, or hold one that leads nowhere."""
        if not reading.DATA_URI.match(text):
            text = text.strip()
            if re.search(r"\s", text) or not reading.url_or_blank(text):
                return
        self.files += [media] if (media := _file(text)) else []

    def _inside(self, value: Any) -> Iterator[Any]:
        if isinstance(value, dict):
            yield from value.values()
        elif isinstance(value, list):
            if any(map(_is_file, value)):
                self.missing += sum(entry is None for entry in value)
            yield from value

    def _record(self, record: dict[str, Any]) -> None:
        media = _file(record["url"], content_type=str(record.get("content_type")))
        self.files += [media] if media else []
        self.missing += media is None and not record["url"]


def _is_file(value: Any) -> bool:
    """Whether a text means to be a file or the address of one."""
    address = value.get("url") if isinstance(value, dict) else value
    return isinstance(address, str) and (bool(reading.DATA_URI.match(address)) or reading.is_http(address))


def _file(value: Any, *, content_type: str = "") -> Media | None:
    if not _is_file(value):
        return None
    if prefix := reading.DATA_URI.match(value):
        content = reading.as_base64(value)
        return Media(_role(prefix[0][5:].partition(";")[0]), content=content) if content else None
    url = reading.as_url(value)
    return Media(_role(content_type, urlsplit(url).path.lower()), url=url)


def _role(content_type: str, path: str = "") -> str:
    """What a file is by its type or its name: the bytes decide what it is stored as."""
    by_name = next((str(kind) for suffix, kind in _SUFFIXES.items() if path.endswith(suffix)), "")
    types = (content_type, mimetypes.guess_type(path)[0] or "")
    mains = (name.partition("/")[0].strip().lower() for name in types)
    return by_name or next((main for main in mains if main in _MAIN_TYPES), "file")


def _texts(value: Any) -> list[str]:
    """An output without files: a text, the parts of one, or else all of it as JSON; nothing for an empty one."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return ["".join(value)]
    if not isinstance(value, dict):
        return [] if value in (None, []) else [_json(value)]
    text = next((value[name] for name in ("output", "text") if _is_text(value.get(name))), "")
    if text:  # the whole beside it only where that holds more than remarks, such as the times of its words
        holds_more = any(isinstance(each, list | dict) and each for each in value.values())
        return [text, _json(value)] if holds_more else [text]
    blank = any(value[name] in (None, "", [], {}) for name in RESULT_FIELDS & value.keys())
    return [] if blank or not value else [_json(value)]


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=2)
    except (ValueError, RecursionError):
        raise UnreadableAnswerError("an output that is no JSON value") from None
