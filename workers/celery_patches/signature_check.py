"""The signatures in a message, checked before its job is bought: Celery sends them after the purchase.

A callback that can't be sent would turn the answer of a job into an error of Celery's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from datetime import datetime
from typing import Any

from celery.canvas import Signature
from dateutil.parser import isoparse  # type: ignore[import-untyped]  # dateutil, which Celery brings, has no types
from kombu.compression import get_encoder
from kombu.serialization import dumps

from bide.contract import QUEUES

#: The longest delay of a callback [seconds]: some 30 years, within every calendar.
MAX_DELAY_SECONDS = 10**9

#: Arguments that Celery passes on by itself while it sends: as an option they would come twice, or be no object.
RESERVED = frozenset({
    "args", "body", "callbacks", "connection", "create_sent_event", "declare", "errbacks", "event_dispatcher", "kwargs",
    "message", "name", "now", "producer", "publisher", "result_cls", "router", "self", "task_type", "timezone",
})  # fmt: skip

#: Options of retries of a publish.
RETRY_POLICY = frozenset({"max_retries", "interval_start", "interval_step", "interval_max"})


def is_moment(value: Any) -> bool:
    """None, or a time in ISO 8601 that exists in every time zone."""
    if value is None:
        return True
    try:
        return 1970 <= datetime.fromisoformat(value).year < 9999
    except ValueError:
        return False


def is_signature(value: Any) -> bool:
    """Whether Celery can make a message of a signature and send it, and each signature inside of it."""
    try:
        return _is_shaped(value) and _is_sendable(value) and Signature.from_dict(deepcopy(value)) is not None
    except Exception:  # Celery's groups, chords and chains raise many kinds for parts they lack
        return False


def _is_shaped(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("task"), str)
        and isinstance(value.get("args", []), list)
        and isinstance(value.get("kwargs", {}), dict)
        and isinstance(value.get("options", {}), dict)
    )


def _is_sendable(value: dict[str, Any]) -> bool:
    """Whether the options of a signature can be sent; raises many kinds where they can't."""
    options = value.get("options", {})
    stamps = options.get("stamped_headers") or []
    return (
        RESERVED.isdisjoint(options)
        and all(is_right(options[name]) for name, is_right in _OPTIONS.items() if options.get(name) is not None)
        and set(stamps) <= set(options)
        and _serializes(options.get("serializer"), [value.get("args", []), value.get("kwargs", {})])
        and all(map(is_signature, _inside(value)))
    )


def _inside(value: Mapping[str, Any]) -> list[Any]:
    """The signatures of a chain, a group or a chord."""
    kwargs = value.get("kwargs", {})
    match value["task"]:
        case "celery.chain" | "celery.group":
            parts = [kwargs.get("tasks")]
        case "celery.chord":
            parts = [kwargs.get("header"), kwargs.get("body")]
        case _:
            return []
    return [each for part in parts if part is not None for each in (part if isinstance(part, list) else [part])]


def _serializes(serializer: Any, content: Any) -> bool:
    """Whether kombu has that serializer here, and it takes the arguments; its `raw` sends bytes only."""
    return serializer is None or (_text(serializer) and serializer != "raw" and bool(dumps(content, serializer)))


def _compresses(value: Any) -> bool:
    return _text(value) and bool(get_encoder(value))


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _queue(value: Any) -> bool:
    """A queue of the caller's, or one that bide has: no other of bide's names is declared."""
    return _text(value) and (value in QUEUES or not value.startswith("bide."))


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and -MAX_DELAY_SECONDS <= value <= MAX_DELAY_SECONDS


def _expiry(value: Any) -> bool:
    return _number(value) or _moment(value)


def _moment(value: Any) -> bool:
    """A time that both Python's reader and Celery's take; kombu reads some times as such out of JSON."""
    text = value.isoformat() if isinstance(value, datetime) else value
    return _text(text) and is_moment(text) and isoparse(text) is not None


def _delivery_mode(value: Any) -> bool:
    return isinstance(value, int) or value in ("persistent", "transient")


def _retry_policy(value: Any) -> bool:
    return (
        isinstance(value, dict) and set(value) <= RETRY_POLICY and all(v is None or _number(v) for v in value.values())
    )


def _object(value: Any) -> bool:
    return isinstance(value, dict)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_text, value))


def _signatures(value: Any) -> bool:
    return all(map(is_signature, value if isinstance(value, list) else [value]))


#: The options of a signature that Celery or kombu reads, each with its rule; None stands for an option left out.
_OPTIONS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(
        ("exchange", "routing_key", "exchange_type", "task_id", "group_id", "reply_to", "root_id", "parent_id",
         "shadow", "route_name", "argsrepr", "kwargsrepr", "origin"),
        _text,
    ),
    **dict.fromkeys(
        ("countdown", "priority", "time_limit", "soft_time_limit", "retries", "group_index", "timeout",
         "confirm_timeout", "expiration", "replaced_task_nesting"),
        _number,
    ),
    "queue": _queue,
    **dict.fromkeys(("link", "link_error", "chain", "chord"), _signatures),
    "eta": _moment,
    "expires": _expiry,
    "compression": _compresses,
    "delivery_mode": _delivery_mode,
    "retry_policy": _retry_policy,
    "headers": _object,
    "stamped_headers": _texts,
}  # fmt: skip
