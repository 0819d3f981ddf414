"""Looks at a message before Celery does: one that is malformed is rejected instead of ending the worker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery.exceptions import InvalidTaskError
from celery.worker.strategy import default


def careful(task: Any, app: Any, consumer: Any, **more: Any) -> Callable[..., Any]:
    """Celery's own way of taking a message, for well-formed ones; `InvalidTaskError` has the consumer reject others."""
    take = default(task, app, consumer, **more)

    def checked(message: Any, body: Any, *arguments: Any, **named: Any) -> Any:
        if body is None and not well_formed(message.headers, message.payload):
            raise InvalidTaskError("the message does not have the shape of a task")
        return take(message, body, *arguments, **named)

    return checked


def well_formed(headers: dict[str, Any], payload: Any) -> bool:
    """Whether Celery's code can work with it: types only, what it asks for is checked by the task."""
    if isinstance(payload, dict):  # the protocol before 4.0 has all in the body
        return isinstance(payload.get("args", []), list) and isinstance(payload.get("kwargs", {}), dict)
    if not (isinstance(payload, list) and len(payload) == 3):
        return False
    args, kwargs, embedded = payload
    limits = headers.get("timelimit") or (None, None)
    return (
        isinstance(args, list)
        and isinstance(kwargs, dict)
        and _is(dict, embedded)
        and isinstance(headers.get("id"), str)
        and all(_is(str, headers.get(name)) for name in ("eta", "expires", "shadow", "root_id"))
        and isinstance(limits, list | tuple)
        and len(limits) == 2
        and all(_is((int, float), limit) for limit in limits)
    )


def _is(kind: type | tuple[type, ...], value: Any) -> bool:
    return value is None or isinstance(value, kind)
