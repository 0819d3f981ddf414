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

#: The longest id of a message or a revocation [characters]: log lines, events and keys of results contain it.
MAX_ID_CHARACTERS = 1024


def checked_strategy(task: Any, app: Any, consumer: Any, **more: Any) -> Callable[..., Any]:
    """Celery's default strategy for well-formed messages; the consumer rejects others, by `InvalidTaskError`."""
    handle = default(task, app, consumer, **more)

    def check(message: Any, body: Any, *arguments: Any, **named: Any) -> Any:
        payload = message.payload
        if not well_formed(message.headers if body is None else body, payload):
            raise InvalidTaskError("the message does not have the shape of a task")
        if _has_arguments(payload) and has_repeated_name(message.body):
            message.headers[REPEATED_NAME_HEADER] = True
        return handle(message, body, *arguments, **named)

    return check


def _has_arguments(payload: Any) -> bool:
    """Whether there is a request in which a name may be lost; a message of bide's own has none."""
    return isinstance(payload, dict) or bool(payload[0] or payload[1])


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
    shaped = isinstance(args, list) and isinstance(kwargs, dict) and (embedded is None or isinstance(embedded, dict))
    return shaped and set(embedded or ()) <= EMBEDDED


def _usable(headers: Mapping[str, Any]) -> bool:
    """Whether headers and embedded options have the types that Celery relies on; None stands for one left out."""
    job_id = headers.get("id")
    return (
        isinstance(job_id, str)
        and len(job_id) <= MAX_ID_CHARACTERS
        and all(_HEADERS[name](value) for name, value in headers.items() if value is not None and name in _HEADERS)
    )


def _are_limits(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2 and all(map(_is_limit, value))


def _is_limit(value: Any) -> bool:
    return value is None or isinstance(value, int | float)


def _are_signatures(value: Any) -> bool:
    return isinstance(value, list) and all(map(is_signature, value))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_time(value: Any) -> bool:
    return isinstance(value, str) and is_moment(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


#: The headers and embedded options that Celery sends on, looks up or computes with, each with its rule.
_HEADERS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("shadow", "root_id", "parent_id", "group", "argsrepr", "kwargsrepr", "origin"), _is_text),
    **dict.fromkeys(("eta", "expires"), _is_time),
    "timelimit": _are_limits,
    **dict.fromkeys(("retries", "group_index", "replaced_task_nesting"), _is_number),
    **dict.fromkeys(("callbacks", "errbacks", "chain"), _are_signatures),
    "chord": is_signature,
    **dict.fromkeys(("headers", "stamps"), _is_object),
    "stamped_headers": _is_list,
}
