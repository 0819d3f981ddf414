"""Requests, results and failures as they are sent: other services rely on every name in them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bide import contract
from bide.contract import (
    FINAL_STATES,
    MAX_DEADLINE_SECONDS,
    MAX_REQUEST_BYTES,
    Failure,
    FailureCode,
    GenerateRequest,
    JobResult,
    JobState,
    Output,
)
from bide.errors import InvalidRequestError

LEAST = {"provider": "photogpt", "operation": "images.upscaling"}
EVERYTHING: dict[str, Any] = {
    "provider": "photogpt",
    "operation": "images.generation",
    "params": {"modelID": "m1", "prompt": "a red fox", "numImages": 1},
    "inputs": {"person": "s3://uploads/p.png"},
    "account": "second",
    "priority": "bulk",
    "idempotency_key": "order-1042-3",
    "deadline_seconds": 900,
    "on_unknown": "resubmit",
    "output_prefix": "tenant-a/2026",
    "callback_url": "https://shop.example/done",
    "metadata": {"order": "1042"},
}

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_LEAVES = (
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False, allow_infinity=False) | _TEXT
)
JSON = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3), max_leaves=8
)
REQUESTS = st.fixed_dictionaries(
    {
        "provider": st.from_regex(r"[a-z0-9][a-z0-9_.-]{0,10}", fullmatch=True),
        "operation": st.from_regex(r"[a-z0-9][a-z0-9_.-]{0,10}", fullmatch=True),
    },
    optional={
        "params": st.dictionaries(_TEXT, JSON, max_size=4),
        "inputs": st.dictionaries(_TEXT, _TEXT, max_size=3),
        "priority": st.sampled_from(["interactive", "bulk"]),
        "idempotency_key": _TEXT.filter(bool),
        "deadline_seconds": st.floats(0.001, MAX_DEADLINE_SECONDS),
        "metadata": st.dictionaries(_TEXT, JSON, max_size=3),
    },
)


def test_names_on_the_wire() -> None:
    """Clients in other languages have these written out: changing one breaks them."""
    assert (contract.GENERATE_TASK, contract.POLL_TASK, contract.CANCEL_TASK) == (
        "bide.generate",
        "bide.poll",
        "bide.cancel",
    )
    assert contract.QUEUES == ("bide.submit", "bide.poll", "bide.store", "bide.control")
    assert {code.value for code in FailureCode} == {
        *("invalid_request", "rejected", "unauthorized", "generation_failed", "deadline", "lost", "empty_result"),
        "moderated",
        "over_budget",
        *("bad_media", "storage", "submission_unknown", "canceled", "crashed", "protocol"),
    }


def test_three_states_are_final() -> None:
    """A job in any other state can still change."""
    assert {state for state in JobState if state.final} == FINAL_STATES == {"succeeded", "failed", "canceled"}


def test_reads_a_request_with_every_field() -> None:
    """Every documented field has its place."""
    request = GenerateRequest.parse(EVERYTHING)
    assert request.model_dump() == {**EVERYTHING, "deadline_seconds": 900.0}


def test_fills_in_what_may_be_left_out() -> None:
    """A provider and an operation are enough."""
    request = GenerateRequest.parse(LEAST)
    assert (request.account, request.priority, request.on_unknown) == ("default", "interactive", "hold")
    assert (request.params, request.inputs, request.metadata) == ({}, {}, {})
    assert request.to_json() == json.dumps(LEAST, separators=(",", ":"))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"provider": None}, "provider: "),
        ({"provider": "../etc"}, "provider: "),
        ({"provider": "Photo GPT"}, "provider: "),
        ({"provider": "p\n"}, "provider: "),
        ({"operation": ""}, "operation: "),
        ({"operation": "x" * 65}, "operation: "),
        ({"account": "a/b"}, "account: "),
        ({"params": []}, "params: "),
        ({"params": "{}"}, "params: "),
        ({"inputs": {"a": 1}}, "inputs.a: "),
        ({"priority": "urgent"}, "priority: "),
        ({"on_unknown": "retry"}, "on_unknown: "),
        ({"idempotency_key": ""}, "idempotency_key: "),
        ({"idempotency_key": 7}, "idempotency_key: "),
        ({"idempotency_key": "k" * 257}, "idempotency_key: "),
        ({"deadline_seconds": 0}, "deadline_seconds: "),
        ({"deadline_seconds": -1}, "deadline_seconds: "),
        ({"deadline_seconds": MAX_DEADLINE_SECONDS + 1}, "deadline_seconds: "),
        ({"deadline_seconds": float("nan")}, "deadline_seconds: "),
        ({"deadline_seconds": "soon"}, "deadline_seconds: "),
        ({"deadline_seconds": True}, "deadline_seconds: must be a number, not true or false"),
        ({"deadline_seconds": False}, "deadline_seconds: must be a number, not true or false"),
        ({"output_prefix": "/abs"}, "output_prefix: "),
        ({"output_prefix": "a/../b"}, "output_prefix: "),
        ({"output_prefix": "a//b"}, "output_prefix: "),
        ({"output_prefix": "a/"}, "output_prefix: "),
        ({"output_prefix": "a\n"}, "output_prefix: "),
        ({"output_prefix": ".."}, "output_prefix: "),
        ({"output_prefix": "a/."}, "output_prefix: "),
        ({"output_prefix": "%2e%2e/runs"}, "output_prefix: "),
        ({"output_prefix": "./runs"}, "output_prefix: "),
        ({"output_prefix": "tenant\\runs"}, "output_prefix: "),
        ({"callback_url": "ftp://x"}, "callback_url: "),
        ({"metadata": [1]}, "metadata: "),
        ({"idempotencykey": "k"}, "idempotencykey: is not a known field"),
    ],
)
def test_refuses_what_is_wrong_by_its_field(change: dict[str, Any], says: str) -> None:
    """The message names the field, so that a person can mend it."""
    with pytest.raises(InvalidRequestError) as raised:
        GenerateRequest.parse({**EVERYTHING, **change})
    assert str(raised.value).startswith(says)


@pytest.mark.parametrize("missing", ["provider", "operation"])
def test_says_what_is_missing(missing: str) -> None:
    """A required field is asked for by name."""
    with pytest.raises(InvalidRequestError, match=f"^{missing}: is required$"):
        GenerateRequest.parse({name: value for name, value in LEAST.items() if name != missing})


@pytest.mark.parametrize("raw", [None, [], "{}", 7, b"{}"])
def test_a_request_is_an_object(raw: object) -> None:
    """Anything else is refused by what it is."""
    with pytest.raises(InvalidRequestError, match=f"must be a JSON object, not {type(raw).__name__}"):
        GenerateRequest.parse(raw)


def test_names_every_problem_at_once() -> None:
    """One round trip mends them all."""
    with pytest.raises(InvalidRequestError) as raised:
        GenerateRequest.parse({"provider": "p", "priority": 1, "colour": 2})
    message = str(raised.value)
    assert message.count(": ") == 3
    assert all(f"{field}: " in message for field in ("operation", "priority", "colour"))


def test_repeats_no_values() -> None:
    """A wrong value may be a secret in the wrong place."""
    with pytest.raises(InvalidRequestError) as raised:
        GenerateRequest.parse({**LEAST, "priority": "sk-live-1", "account": "sk-live-2 ", "key": "sk-live-3"})
    assert "sk-live" not in str(raised.value)


def test_pictures_do_not_show() -> None:
    """A request in a log has no base64."""
    assert "iVBOR" not in repr(GenerateRequest.parse({**LEAST, "inputs": {"a": "iVBOR"}}))


def test_is_frozen() -> None:
    """A request does not change after it was read."""
    request = GenerateRequest.parse(LEAST)
    with pytest.raises(ValueError, match="frozen"):
        request.account = "other"  # type: ignore[misc]  # that it can't be set is what is tested


@pytest.mark.parametrize("field", ["params", "inputs", "metadata"])
def test_is_bounded_in_size(field: str) -> None:
    """Exactly the limit passes, one byte more is refused with the remedy; bytes count, not characters."""
    bare = len(GenerateRequest.parse({**LEAST, field: {"a": ""}}).to_json().encode())
    fits = {**LEAST, field: {"a": "é" * ((MAX_REQUEST_BYTES - bare) // 2) + "x" * ((MAX_REQUEST_BYTES - bare) % 2)}}
    assert len(GenerateRequest.parse(fits).to_json().encode()) == MAX_REQUEST_BYTES
    with pytest.raises(InvalidRequestError, match="upload large inputs to object storage first"):
        GenerateRequest.parse({**fits, field: {"a": fits[field]["a"] + "x"}})  # type: ignore[index]  # a dict, as built above


@settings(max_examples=60, derandomize=True)
@given(raw=REQUESTS)
def test_survives_the_way_through_the_queue(raw: dict[str, Any]) -> None:
    """Written and read again it is the same request, with the same fingerprint."""
    request = GenerateRequest.parse(raw)
    again = GenerateRequest.parse(json.loads(request.to_json()))
    assert again == request
    assert again.fingerprint() == request.fingerprint()


@settings(max_examples=40, derandomize=True)
@given(raw=REQUESTS, data=st.data())
def test_the_order_of_fields_means_nothing(raw: dict[str, Any], data: st.DataObject) -> None:
    """A request with its fields in another order, as another client sends it, has the same fingerprint."""
    names = data.draw(st.permutations(sorted(raw)))
    shuffled = {name: raw[name] for name in names}
    if "params" in raw:
        shuffled["params"] = dict(reversed(raw["params"].items()))
    assert GenerateRequest.parse(shuffled).fingerprint() == GenerateRequest.parse(raw).fingerprint()


@pytest.mark.parametrize("field", sorted(EVERYTHING))
def test_every_field_counts_in_the_fingerprint(field: str) -> None:
    """A change in any field shows, so that an idempotency key never serves two requests."""
    other = {"provider": "nextry", "operation": "x", "priority": "interactive", "on_unknown": "hold"}
    changed = {**EVERYTHING, field: other.get(field)}
    if changed[field] is None:
        del changed[field]
    assert GenerateRequest.parse(changed).fingerprint() != GenerateRequest.parse(EVERYTHING).fingerprint()


def test_a_default_written_out_means_nothing() -> None:
    """A client that spells out a default sends the same request."""
    spelt = {**LEAST, "account": "default", "priority": "interactive", "params": {}}
    assert GenerateRequest.parse(spelt).fingerprint() == GenerateRequest.parse(LEAST).fingerprint()


@settings(max_examples=80, derandomize=True)
@given(raw=JSON | st.dictionaries(st.sampled_from(sorted(EVERYTHING)) | _TEXT, JSON, max_size=6))
def test_reads_or_refuses_any_json(raw: object) -> None:
    """Any JSON in the queue is a request or an `InvalidRequestError`."""
    try:
        assert isinstance(GenerateRequest.parse(raw), GenerateRequest)
    except InvalidRequestError:
        assert raw != LEAST


@pytest.mark.parametrize("field", ["params", "metadata"])
@pytest.mark.parametrize("value", ["\ud800", float("nan"), float("inf")], ids=["half a pair", "nan", "inf"])
def test_refuses_what_json_can_not_hold(field: str, value: object) -> None:
    """NaN and half a surrogate pair are refused: Python reads them, but they can be neither stored nor sent."""
    with pytest.raises(InvalidRequestError, match="JSON"):
        GenerateRequest.parse({**LEAST, field: {"a": value}})


def test_result_on_the_wire() -> None:
    """A result is plain JSON, for the task's answer and `job.json`, and is read back unchanged."""
    output = Output(uri="s3://b/k", bucket="b", key="k", content_type="image/png", size=3, sha256="0" * 64, width=1)
    finished = datetime(2026, 1, 5, 10, tzinfo=UTC)
    result = JobResult(job_id="j", provider="p", operation="o", polls=4, finished_at=finished, outputs=(output,))
    wire = json.dumps(result.to_wire())
    assert json.loads(wire)["state"] == "succeeded"
    assert json.loads(wire)["outputs"][0] == {**output.model_dump(), "height": None, "role": "image"}
    assert JobResult.model_validate_json(wire) == result


def test_failure_on_the_wire() -> None:
    """The message of `JobFailed` is JSON with these keys."""
    failure = Failure(code=FailureCode.LOST, message="gone", job_id="j", provider="p", provider_job_id="7")
    wire = failure.model_dump_json()
    assert json.loads(wire) == {
        "code": "lost",
        "message": "gone",
        "job_id": "j",
        "provider": "p",
        "provider_job_id": "7",
        "retryable": False,
    }
    assert Failure.model_validate_json(wire) == failure
