"""Callbacks of callers that Celery could not send are refused with their message, before anything is bought."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from celery import Celery, chain, chord, group
from celery.canvas import Signature
from kombu.utils.json import dumps, loads

from workers.celery_patches.message_check import well_formed
from workers.celery_patches.signature_check import RESERVED, is_signature


@pytest.fixture(name="app", scope="module")
def _app() -> Iterator[Celery]:
    """An app with a broker in memory."""
    with Celery("caller", broker="memory://", backend="cache+memory://", set_as_current=False) as app:
        yield app


def plain(app: Celery, **options: Any) -> dict[str, Any]:
    """A signature as a message has it."""
    made: dict[str, Any] = json.loads(json.dumps(app.signature("some.where", args=(1,), kwargs={"a": 2}, **options)))
    return made


#: Options that can't be sent. Kombu has neither of these serializers, nor that compression.
UNSENDABLE: list[dict[str, Any]] = [
    {"serializer": "nope"},
    {"serializer": 5},
    {"serializer": ["json"]},
    {"serializer": "raw"},
    {"compression": "nope"},
    {"compression": ["zlib"]},
    {"countdown": "x"},
    {"countdown": 1e300},
    {"countdown": float("nan")},
    {"eta": 5},
    {"expires": "soon"},
    {"expires": {"at": 1}},
    {"expires": float("inf")},
    {"queue": 5},
    {"queue": {"name": "q"}},
    {"exchange": {"a": 1}, "routing_key": [1]},
    {"delivery_mode": "nope"},
    {"retry": True, "retry_policy": {"max_retries": "x"}, "queue": 5},
    {"retry_policy": ["max_retries"]},
    {"headers": ["a"]},
    {"stamped_headers": ["stamp"]},
    {"producer": {"a": 1}},
    {"name": "again"},
]

#: Options that Celery would send, though no receiver could use them.
MISLEADING: list[dict[str, Any]] = [
    {"eta": "nonsense"},
    {"priority": "high"},
    {"queue": "bide.sumbit"},
    {"routing_key": 5},
    {"shadow": ["x"]},
    {"link": {"task": 5}},
    {"link": [{"task": "a.b", "options": {"serializer": "nope"}}]},
]

#: Options that callers use.
SENDABLE: list[dict[str, Any]] = [
    {},
    {"serializer": "json", "compression": "zlib"},
    {"compression": "application/x-bz2"},
    {"countdown": 5},
    {"countdown": 0.5, "expires": 60},
    {"eta": "2026-12-01T10:00:00+00:00", "expires": "2026-12-02T10:00:00+01:00"},
    {"queue": "mine"},
    {"queue": "bide.submit"},
    {"exchange": "", "routing_key": "mine"},
    {"priority": 3, "delivery_mode": "transient"},
    {"delivery_mode": 2, "task_id": "one", "shadow": "shown"},
    {"retry": False, "retry_policy": {"max_retries": 3, "interval_start": 0, "interval_max": None}},
    {"headers": {"tenant": "a"}, "stamp": "x", "stamped_headers": ["stamp"]},
    {"link": [{"task": "a.b", "args": [], "kwargs": {}, "options": {}}], "time_limit": 10},
    {"serializer": None, "queue": None, "countdown": None, "ignore_result": True},
]


@pytest.mark.parametrize("options", UNSENDABLE, ids=str)
def test_a_callback_that_can_not_be_sent_is_refused(app: Celery, options: dict[str, Any]) -> None:
    """Celery raises one of many errors for it, and would do so after the purchase."""
    signature = plain(app)
    signature["options"] = options

    assert not is_signature(signature)
    with pytest.raises(Exception):  # noqa: B017, PT011 - Celery and kombu raise many kinds
        Signature.from_dict(signature, app=app).apply_async()


@pytest.mark.parametrize("options", MISLEADING, ids=str)
def test_a_callback_that_no_receiver_could_use_is_refused(app: Celery, options: dict[str, Any]) -> None:
    """Some of them would break the receiver."""
    assert not is_signature({**plain(app), "options": options})


@pytest.mark.parametrize("options", SENDABLE, ids=str)
def test_a_callback_that_can_be_sent_is_taken(app: Celery, options: dict[str, Any]) -> None:
    """Celery sends it."""
    signature = {**plain(app), "options": options}

    assert is_signature(signature)
    assert Signature.from_dict(signature, app=app).apply_async().id


def test_a_time_that_kombu_has_read_as_such_is_taken(app: Celery) -> None:
    """Its JSON keeps the kind of a time."""
    moment = datetime(2026, 12, 1, 10, tzinfo=UTC)
    assert is_signature(loads(dumps(plain(app) | {"options": {"expires": moment, "eta": moment}})))


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_arguments_of_celerys_own_are_no_options(app: Celery, name: str) -> None:
    """An option of that name would replace one, or come twice."""
    assert not is_signature({**plain(app), "options": {name: "x"}})


def test_parts_of_a_workflow_are_checked(app: Celery) -> None:
    """Chains, groups and chords, also in one another, as the client writes them."""

    def workflows(part: Signature[Any]) -> list[Any]:
        good = app.signature("some.where")
        return [
            chain(good, part, app=app),
            group(good, part, app=app),
            chord([good, part], good, app=app),
            chord([good, good], part, app=app),
            chain(good, group(good, part, app=app), app=app),
            group(chain(good, part, app=app), good, app=app),
        ]

    for workflow in workflows(app.signature("some.where", queue="mine", countdown=1)):
        assert is_signature(json.loads(json.dumps(workflow))), workflow
    for workflow in workflows(app.signature("some.where", serializer="nope")):
        assert not is_signature(json.loads(json.dumps(workflow))), workflow


@pytest.mark.parametrize("place", ["callbacks", "errbacks", "chain"])
def test_a_message_with_such_a_callback_is_not_well_formed(app: Celery, place: str) -> None:
    """The consumer rejects it."""
    good, bad = plain(app), {**plain(app), "options": {"serializer": "nope"}}

    assert well_formed({"id": "j"}, [[], {}, {place: [good]}])
    assert not well_formed({"id": "j"}, [[], {}, {place: [good, bad]}])
    assert not well_formed({"id": "j"}, [[], {}, {"chord": bad}])


def test_a_workflow_nested_for_ever_is_refused(app: Celery) -> None:
    """The depth at which Python gives up is none of a workflow's."""
    signature = plain(app)
    for _ in range(5000):
        signature = {"task": "celery.chain", "args": [], "kwargs": {"tasks": [signature]}, "options": {}}
    assert not is_signature(signature)
