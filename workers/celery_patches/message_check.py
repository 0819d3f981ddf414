"""Looks at a message before Celery does: one that is malformed is rejected instead of ending the worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from datetime import datetime
from typing import Any

from celery.canvas import Signature
from celery.exceptions import InvalidTaskError
from celery.worker.strategy import default

#: What may come with the arguments. Celery lays it over the request, where any other name would replace a fact.
EMBEDDED = frozenset({"callbacks", "errbacks", "chain", "chord"})

#: Headers, and what of them Celery sends on or looks up, that are text or nothing.
TEXTS = ("eta", "expires", "shadow", "root_id", "parent_id", "group", "argsrepr", "kwargsrepr", "origin")

#: The longest id of a message or a revocation [characters]: it stands in log lines, events and keys of results.
LONGEST_ID = 1024


def careful(task: Any, app: Any, consumer: Any, **more: Any) -> Callable[..., Any]:
    """Celery's own way of taking a message, for well-formed ones; `InvalidTaskError` has the consumer reject others."""
    take = default(task, app, consumer, **more)

    def checked(message: Any, body: Any, *arguments: Any, **named: Any) -> Any:
        if not well_formed(message.headers if body is None else body, message.payload):
            raise InvalidTaskError("the message does not have the shape of a task")
        return take(message, body, *arguments, **named)

    return checked


def well_formed(headers: Mapping[str, Any], payload: Any) -> bool:
    """Whether Celery's code can work with it: types only, what it asks for is checked by the task."""
    if isinstance(payload, dict):  # the protocol before 4.0 has all in the body
        headers = {**payload, **headers}
        return _callable(payload.get("args", []), payload.get("kwargs", {}), {}) and _usable(headers)
    if not (isinstance(payload, list) and len(payload) == 3):
        return False
    args, kwargs, embedded = payload
    return _callable(args, kwargs, embedded) and _usable({**headers, **(embedded or {})})


def _callable(args: Any, kwargs: Any, embedded: Any) -> bool:
    shaped = isinstance(args, list) and isinstance(kwargs, dict) and _is(dict, embedded)
    return shaped and set(embedded or ()) <= EMBEDDED


def _usable(told: Mapping[str, Any]) -> bool:
    """The facts of a message, from wherever they come: of the types that Celery takes for granted."""
    return (
        isinstance(told.get("id"), str)
        and len(told["id"]) <= LONGEST_ID
        and all(_is(str, told.get(name)) for name in TEXTS)
        and all(map(_is_moment, (told.get("eta"), told.get("expires"))))
        and _are_limits(told.get("timelimit"))
        and all(_is(int, told.get(name)) for name in ("retries", "group_index", "replaced_task_nesting"))
        and all(_are_signatures(told.get(name)) for name in ("callbacks", "errbacks", "chain"))
        and (told.get("chord") is None or _is_signature(told["chord"]))
        and _is(dict, told.get("headers"))
        and _is(dict, told.get("stamps"))
        and _is(list, told.get("stamped_headers"))
    )


def _are_limits(value: Any) -> bool:
    return value is None or (
        isinstance(value, list | tuple) and len(value) == 2 and all(_is((int, float), limit) for limit in value)
    )


def _is_moment(value: Any) -> bool:
    """None, or ISO 8601 that is a moment in every time zone."""
    if value is None:
        return True
    try:
        return 1970 <= datetime.fromisoformat(value).year < 9999
    except ValueError:
        return False


def _are_signatures(value: Any) -> bool:
    return value is None or (isinstance(value, list) and all(map(_is_signature, value)))


def _is_signature(value: Any) -> bool:
    """A task to call, as Celery writes it into a message: known to be one before anything is bought for it."""
    shaped = (
        isinstance(value, dict)
        and isinstance(value.get("task"), str)
        and isinstance(value.get("args", []), list)
        and isinstance(value.get("kwargs", {}), dict)
        and isinstance(value.get("options", {}), dict)
    )
    try:
        return shaped and Signature.from_dict(deepcopy(value)) is not None
    except Exception:  # whatever Celery's groups, chords and chains raise for parts they lack
        return False


def _is(kind: type | tuple[type, ...], value: Any) -> bool:
    return value is None or isinstance(value, kind)
