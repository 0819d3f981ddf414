"""Answers nobody would send: noise for adapters, and recorded answers bent in every place."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from bide.providers.base import Answer

#: Nested deeper than any reader should follow.
DEEP = json.loads('{"a": [' * 60 + "1" + "]}" * 60)

#: What may stand where something else was expected.
STRANGE: tuple[Any, ...] = (None, "", "?", "\ud800", 0, -1, 10**400, float("nan"), True, [], {}, [[None]], DEEP)

_WORDS = st.sampled_from(
    [
        *("success", "error", "failed", "processing", "completed", "not_found", "pending", "complete", "ready", "OK"),
        *("NOK", "IN_QUEUE", "COMPLETED", "starting", "succeeded", "canceled", "aborted", "https://a.example/1.png"),
    ]
)
_NAMES = st.one_of(
    st.sampled_from(
        ("status", "id", "job_id", "jobId", "history_item_id", "result", "results", "output", "images", "videos", "url")
    ),
    st.sampled_from(
        ("message", "messege", "detail", "error", "stock_url", "preview_url", "eta", "retry_after", "s3_urls", "data")
    ),
    st.sampled_from(
        ("request_id", "status_url", "response_url", "queue_position", "error_type", "type", "urls", "logs", "get")
    ),
)
_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | _WORDS
_JSON = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_NAMES | st.text(max_size=5), inner, max_size=6),
    max_leaves=12,
)
_OBJECTS = st.dictionaries(_NAMES, _JSON, max_size=8)
_BODIES = st.binary(max_size=60) | (_OBJECTS | _JSON).map(lambda value: json.dumps(value).encode())
_CODES = st.sampled_from([200, 200, 200, 201, 202, 204, 400, 401, 403, 404, 409, 422, 429, 500, 503]) | st.integers(
    100, 599
)
_HEADERS = st.dictionaries(
    st.sampled_from(["content-type", "retry-after", "x-fal-billable-units"]), st.text(max_size=20), max_size=2
)

ANSWERS = st.builds(Answer, status=_CODES, headers=_HEADERS, body=_BODIES)


def bent(body: Any, *, with_values: tuple[Any, ...] = STRANGE) -> Iterator[Any]:
    """Every variant of a JSON value in which one part is replaced by another value, or taken away."""
    yield from with_values
    for path in _paths(body):
        for value in with_values:
            variant = copy.deepcopy(body)
            _parent(variant, path)[path[-1]] = value
            yield variant
        shortened = copy.deepcopy(body)
        del _parent(shortened, path)[path[-1]]
        yield shortened


def _paths(value: Any, so_far: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in steps:
        yield (*so_far, step)
        yield from _paths(inner, (*so_far, step))


def _parent(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path[:-1]:
        value = value[step]
    return value
