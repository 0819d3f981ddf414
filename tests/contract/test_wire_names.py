"""Names and bytes that other programs rely on are those of the release 0.1.0: new ones may come, none may go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.contract.wire_names import ADDED_KEY, wire

RELEASED: dict[str, Any] = json.loads(Path(__file__).with_name("wire_names.json").read_text())


@pytest.fixture(scope="module")
def current() -> dict[str, Any]:
    """What this code says and writes."""
    written: dict[str, Any] = json.loads(json.dumps(wire()))
    return written


@pytest.mark.parametrize("kind", [kind for kind, names in RELEASED.items() if isinstance(names, list)])
def test_no_name_is_gone(current: dict[str, Any], kind: str) -> None:
    """Tasks, queues, states, codes, headers, settings, log events, commands and their options."""
    assert [name for name in RELEASED[kind] if name not in current[kind]] == []


def test_metrics_keep_labels_and_bounds(current: dict[str, Any]) -> None:
    """A dashboard goes on: each metric has its label, and each value or bound that it had."""
    for name, values in RELEASED["metrics"].items():
        assert set(values) <= set(current["metrics"][name]), name


def test_keys_and_objects_have_their_names(current: dict[str, Any]) -> None:
    """What lies in Redis and in the bucket is found again."""
    assert current["keys"] == RELEASED["keys"]


@pytest.mark.parametrize("moment", list(RELEASED["redis"]))
def test_the_ledger_writes_the_same_bytes(current: dict[str, Any], moment: str) -> None:
    """A deploy goes through both ways: each version reads what the other wrote, and leaves alone what it has not."""
    written = {key: value for key, value in current["redis"][moment].items() if not ADDED_KEY.search(key)}
    assert written == RELEASED["redis"][moment]
