"""The shape of a message, checked before Celery sees it: a malformed one is rejected, and ends no worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from celery.exceptions import InvalidTaskError
from celery.worker.strategy import default

from bide import strict_json
from bide.contract import REPEATED_NAME_HEADER
from workers.celery_patches.signature_check import is_moment, is_signature

#: Options that may come with the arguments. Celery copies them into the request, where other names would replace facts.
EMBEDDED = frozenset({"callbacks", "errbacks", "chain", "chord"})

#: Headers that are text or missing: Celery sends them on or looks them up.
TEXT_HEADERS = ("eta", "expires", "shadow", "root_id", "parent_id", "group", "argsrepr", "kwargsrepr", "origin")

#: The longest id of a message or a revocation [characters]: log lines, events and keys of results contain it.
MAX_ID_CHARACTERS = 1024


def checked_strategy(task: Any, app: Any, consumer: Any, **more: Any) -> Callable[..., Any]:
    """Celery's default strategy for well-formed messages; the consumer rejects others, by `InvalidTaskError`."""
    handle = default(task, app, consumer, **more)

    def check(message: Any, body: Any, *arguments: Any, **named: Any) -> Any:
        if not well_formed(message.headers if body is None else body, message.payload):
            raise InvalidTaskError("the message does not have the shape of a task")
        if has_repeated_name(message.body):
            message.headers[REPEATED_NAME_HEADER] = True
        return handle(message, body, *arguments, **named)

    return check


def has_repeated_name(body: Any) -> bool:
    """Whether an object in the JSON of a body has a name twice, of which kombu's reader keeps the last one."""
    try:
        strict_json.loads(body)
    except strict_json.RepeatedNameError:
        return True
    except (ValueError, TypeError, RecursionError):
        return False
    return False


def well_formed(headers: Mapping[str, Any], payload: Any) -> bool:
    """Whether Celery's code can process it. Only types count here; the task checks the request."""
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


def _usable(headers: Mapping[str, Any]) -> bool:
    """Whether headers and embedded options have the types that Celery relies on."""
    return (
        isinstance(headers.get("id"), str)
        and len(headers["id"]) <= MAX_ID_CHARACTERS
        and all(_is(str, headers.get(name)) for name in TEXT_HEADERS)
        and all(map(is_moment, (headers.get("eta"), headers.get("expires"))))
        and _are_limits(headers.get("timelimit"))
        and all(_is(int, headers.get(name)) for name in ("retries", "group_index", "replaced_task_nesting"))
        and all(_are_signatures(headers.get(name)) for name in ("callbacks", "errbacks", "chain"))
        and (headers.get("chord") is None or is_signature(headers["chord"]))
        and _is(dict, headers.get("headers"))
        and _is(dict, headers.get("stamps"))
        and _is(list, headers.get("stamped_headers"))
    )


def _are_limits(value: Any) -> bool:
    return value is None or (
        isinstance(value, list | tuple) and len(value) == 2 and all(_is((int, float), limit) for limit in value)
    )


def _are_signatures(value: Any) -> bool:
    return value is None or (isinstance(value, list) and all(map(is_signature, value)))


def _is(kind: type | tuple[type, ...], value: Any) -> bool:
    return value is None or isinstance(value, kind)
