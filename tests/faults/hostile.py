"""Messages as no well-meaning client writes them: put on a queue by hand, and spoilt at every place they have."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from bide.contract import CANCEL_TASK, CONTROL_QUEUE, GENERATE_TASK, POLL_QUEUE, POLL_TASK, STORE_QUEUE, SUBMIT_QUEUE

#: What each queue's well-meant messages ask for. None of it buys anything: there is no such provider, job or round.
NOBODYS = {"provider": "nobody", "operation": "nothing", "params": {}}
MEANT: dict[str, tuple[str, dict[str, Any]]] = {
    SUBMIT_QUEUE: (GENERATE_TASK, {"request": NOBODYS}),
    STORE_QUEUE: (GENERATE_TASK, {}),
    CONTROL_QUEUE: (CANCEL_TASK, {"job_id": "nobody"}),
    POLL_QUEUE: (POLL_TASK, {"provider": "photogpt", "account": "default", "seq": -1}),
}

#: Marks a part that is to be left out.
MISSING = object()


@dataclass(frozen=True)
class Item:
    """What is pushed, as bytes, and where to."""

    queue: str
    content: bytes


def message(queue: str, *, task: str | None = None, body: Any = MISSING, **headers: Any) -> dict[str, Any]:
    """A well-formed message as kombu writes it; `body` is [args, kwargs, embed], still to be packed."""
    meant, arguments = MEANT[queue]
    job_id = str(uuid.uuid4())
    own: dict[str, Any] = {
        "lang": "py",
        "task": task or meant,
        "id": job_id,
        "root_id": job_id,
        "parent_id": None,
        "group": None,
    }
    own |= {"eta": None, "expires": None, "retries": 0, "timelimit": [None, None], "shadow": None}
    own |= {"argsrepr": "()", "kwargsrepr": "{}", "origin": "gen1@host", "ignore_result": False, "group_index": None}
    embed = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    return {
        "body": [[], arguments, embed] if body is MISSING else body,
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {**own, **headers},
        "properties": {
            "correlation_id": job_id,
            "reply_to": str(uuid.uuid4()),
            "delivery_mode": 2,
            "delivery_tag": str(uuid.uuid4()),
            "delivery_info": {"exchange": "bide", "routing_key": queue},
            "priority": 0,
            "body_encoding": "base64",
        },
    }


def packed(content: Any) -> bytes:
    """As it lies in the queue: the body as base64 of JSON, where there is still one that is not text."""
    if isinstance(content, dict) and "body" in content and not isinstance(content["body"], str):
        content = {**content, "body": base64.b64encode(json.dumps(content["body"]).encode()).decode()}
    return json.dumps(content).encode()


def places(content: dict[str, Any], before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path to every part of a message."""
    for name, part in content.items():
        yield (*before, name)
        if isinstance(part, dict):
            yield from places(part, (*before, name))
        elif name == "body":
            for number, third in enumerate(part):
                yield (*before, name, number)
                if isinstance(third, dict):
                    yield from places(third, (*before, name, number))


def spoilt(content: Any, path: Sequence[Any], value: Any) -> Any:
    """A copy with another value at `path`, or without what is there; a path that is no longer there changes nothing."""
    name, *rest = path
    inside = isinstance(content, dict) and name in content
    if not (inside or (isinstance(content, list) and isinstance(name, int) and name < len(content))):
        return content
    copy = content.copy()
    if rest:
        copy[name] = spoilt(content[name], rest, value)
    elif value is MISSING:
        del copy[name]
    else:
        copy[name] = value
    return copy


_LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20)
)
_JSON = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)
#: What stands in the wrong place the most often, and then anything.
_VALUES = (
    st.sampled_from(
        [
            MISSING,
            None,
            "",
            0,
            -1,
            1e308,
            [],
            {},
            [None],
            [{}],
            {"": ""},
            "x",
            True,
            [[], {}, {}],
            "9999-12-31T23:59:59",
            {"__type__": "datetime", "__value__": 5},
            [{"task": "x"}],
            {"task": "x"},
            [{"task": "x", "subtask_type": "chord"}],
        ]
    )
    | _JSON
)


@st.composite
def items(draw: st.DrawFn) -> Item:
    """A message with one to three spoilt places, or bytes that are none at all."""
    queue = draw(st.sampled_from(list(MEANT)))
    if draw(st.integers(0, 19)) == 0:
        return Item(queue, draw(st.binary(max_size=60)))
    content: Any = message(queue)
    for path in draw(st.lists(st.sampled_from(list(places(content))), min_size=1, max_size=3)):
        content = spoilt(content, path, draw(_VALUES))
    return Item(queue, packed(content))
