"""What ComfyUI says of a run that has ended: its outputs, node by node, or why there are none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlencode

from bide.contract import Charged, FailureCause
from bide.errors import UnreadableAnswerError
from bide.providers import reading
from bide.providers.base import Account, Failed, Media, PollOutcome, Succeeded, Ticket
from bide.providers.refusal import check_busy
from bide.providers.states import is_done, is_failed, no_reason

#: The role of what each documented list of a node names; nodes of others have lists of other names.
ROLES = {"images": "image", "gifs": "video", "video": "video", "audio": "audio", "3d": "model", "text": "text"}

_MODELS = (".glb", ".gltf", ".obj", ".fbx", ".usdz", ".stl", ".ply")

#: The role of a file by its ending, which is surer than its list: films are among the `images`.
_ENDINGS = {
    **dict.fromkeys(_MODELS, "model"),
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".webp", ".gif", ".avif", ".bmp", ".tiff"), "image"),
    **dict.fromkeys((".mp4", ".webm", ".mov", ".mkv", ".avi"), "video"),
    **dict.fromkeys((".flac", ".mp3", ".wav", ".opus", ".ogg", ".m4a"), "audio"),
    **dict.fromkeys((".txt", ".md", ".json", ".csv", ".srt"), "text"),
}

#: The most files that a result names as not taken.
_MOST_NAMED = 5

#: The events of a run that tell how it ended.
_ERROR, _INTERRUPTED = "execution_error", "execution_interrupted"


def complaints(body: dict[str, Any]) -> str:
    """`node_errors` in one line: what is wrong with which node; '' where nothing is."""
    errors = body.get("node_errors")
    if not isinstance(errors, dict):
        return ""
    return reading.as_text([f"node {_text(node)}{_complaint(held)}" for node, held in list(errors.items())[:10]])


def _complaint(held: Any) -> str:
    if not isinstance(held, dict):
        return ""
    kind = reading.as_text(held.get("class_type"))
    errors = held.get("errors")
    listed = [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []
    words = [": ".join(filter(None, map(_text, (it.get("message"), it.get("details"))))) for it in listed]
    return f"{f' ({kind})' if kind else ''}: {'; '.join(words)}"


def ended_job(body: dict[str, Any], status: str, ticket: Ticket, account: Account) -> PollOutcome | None:
    """A job of the jobs API; None for one that goes on."""
    if is_failed(status):
        words = reading.first_text(body, ("error", "message"))
        check_busy(status, words)
        return _failed(body.get("execution_error"), words or no_reason(status))
    return _succeeded(body.get("outputs"), ticket, account) if is_done(status) else None


def ended_run(entry: dict[str, Any], ticket: Ticket, account: Account) -> PollOutcome:
    """An entry of the history, which is there once a run has ended; older ones have no status."""
    status = entry.get("status")
    status = status if isinstance(status, dict) else {}
    if reading.as_text(status.get("status_str")).lower() != "error":
        return _succeeded(entry.get("outputs"), ticket, account)
    messages = status.get("messages")
    events = {_text(it[0]): it[1] for it in messages if _is_event(it)} if isinstance(messages, list) else {}
    interrupted = "the run was interrupted" if _INTERRUPTED in events else ""
    return _failed(events.get(_ERROR), interrupted or no_reason("error"))


def _is_event(value: Any) -> bool:
    return isinstance(value, list) and len(value) >= 2


def _failed(error: Any, otherwise: str) -> Failed:
    """Which node failed, and how, or what is known without that; its traceback stays where it is."""
    if not isinstance(error, dict):
        return Failed(otherwise, charged=Charged.NO)
    node, kind, exception, words = (
        reading.as_text(error.get(name)) for name in ("node_id", "node_type", "exception_type", "exception_message")
    )
    place = f"node {node} ({kind})" if node else ""
    full = "outofmemory" in exception.lower()
    reason = ": ".join(filter(None, (place, exception, words)))[: reading.TEXT_MAX_CHARACTERS]
    cause = FailureCause.CAPACITY if full else FailureCause.PROVIDER
    return Failed(reason or otherwise, cause, Charged.NO)


def _succeeded(outputs: Any, ticket: Ticket, account: Account) -> Succeeded:
    """Saved files; previews where nothing was saved; texts where there is no file at all."""
    if outputs is not None and not isinstance(outputs, dict):
        raise UnreadableAnswerError("outputs that are no object")
    found = list(_found(outputs or {}, account))
    saved = [media for folder, media in found if folder == "output"]
    shown = [media for folder, media in found if folder == "temp"]
    texts = [media for folder, media in found if not folder]
    return Succeeded(tuple(saved or shown or texts), "; ".join(_missing(outputs or {}, ticket)))


def _missing(outputs: dict[str, Any], ticket: Ticket) -> Iterator[str]:
    """What of the graph's outputs is not in the result."""
    handle = ticket.handle if isinstance(ticket.handle, dict) else {}
    if dropped := reading.as_text(handle.get("dropped")):
        yield f"the server left out outputs of the graph: {dropped}"
    named = (
        _filename(entry) for name, entry in _entries(outputs) if _type(entry) == "output" and not _role(name, entry)
    )
    if others := [reading.as_text(filename) for filename in named if filename]:
        yield f"files of other kinds stay on the server: {', '.join(others[:_MOST_NAMED])}"


def _found(outputs: dict[str, Any], account: Account) -> Iterator[tuple[str, Media]]:
    """Folder (`output`, `temp`, `input`; '' for a bare text) and output, in the order of nodes and lists."""
    for name, entry in _entries(outputs):
        if isinstance(entry, str) and name == "text" and entry.strip():
            yield "", Media("text", content=entry.encode(errors="replace"))
        elif (filename := _filename(entry)) and (role := _role(name, entry)):
            subfolder = _text(entry.get("subfolder")) if isinstance(entry, dict) else ""
            query = {"filename": filename, "subfolder": subfolder, "type": _type(entry)}
            yield _type(entry), Media(role, url=account.url(f"/view?{urlencode(query, errors='replace')}"))


def _entries(outputs: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Name of the list and entry, of all lists of all nodes; `animated` is a list of no files."""
    for node in outputs.values():
        lists = node.items() if isinstance(node, dict) else ()
        for name, entries in lists:
            if name != "animated" and isinstance(entries, list):
                yield from ((name, entry) for entry in entries)


def _filename(entry: Any) -> str:
    """The file that an entry names; '' for none. A body in three dimensions may be its bare name."""
    if isinstance(entry, str):
        return entry if entry.lower().endswith(_MODELS) else ""
    return _text(entry.get("filename")) if isinstance(entry, dict) else ""


def _type(entry: Any) -> str:
    """The folder that it is in: `output`, `temp` or `input`."""
    return (_text(entry.get("type")) if isinstance(entry, dict) else "") or "output"


def _role(name: str, entry: Any) -> str:
    """What an entry of a list is; '' for what bide does not take, such as latents."""
    ending = PurePosixPath(_filename(entry).lower()).suffix
    return _ENDINGS.get(ending) or ROLES.get(name, "")


def _text(value: Any) -> str:
    """A name or path as it was given."""
    return value if isinstance(value, str) else ""
