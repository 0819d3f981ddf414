"""An account moves to another ledger by the steps of docs/scaling.md, with its jobs in line and under way."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bide.cli.main import main
from bide.client import LedgersClient
from tests.faults.lost.stage import NeighbourRig
from tests.integration.caller import image, marker
from tests.integration.rig import Rig
from tests.integration.waiting import eventually

pytestmark = [pytest.mark.faults, pytest.mark.whole, pytest.mark.timeout(600)]

#: Half of what the provider allows stands in each deployment while the old one is drained.
HALF = {"BIDE_PROVIDERS__PHOTOGPT__MAX_IN_FLIGHT": "4"}


def test_an_account_moves_and_no_job_is_lost(tmp_path: Path, monkeypatch: Any) -> None:
    """Each job is bought once, where its ledger was when it came, and its caller gets its result."""
    marked = marker()
    (tmp_path / "old").mkdir()
    with Rig(tmp_path / "old", settings=HALF) as old, NeighbourRig(tmp_path / "new", old, settings=HALF) as new:
        before, after = (_named(old, new, owner) for owner in ("old", "new"))
        first, second = ([f"{marked}-{wave}-{number}" for number in range(20)] for wave in ("first", "second"))
        for name, value in before.items():
            monkeypatch.setenv(name, value)
        with LedgersClient.from_environment(before) as client:
            client.submit_many([image(name) for name in first], job_ids=first)
        eventually(lambda: len(old.purchases(marked)) >= 4, what="some are bought", within_seconds=60)

        _bide("pause", "photogpt", "default", "--ledger", "old", "--reason", "moves")
        for name, value in after.items():
            monkeypatch.setenv(name, value)
        with LedgersClient.from_environment(after) as client:
            client.submit_many([image(name) for name in second], job_ids=second)
            assert {client.ledger_of(name) for name in first} == {"old"}
            assert {client.ledger_of(name) for name in second} == {"new"}
            for name in second:
                assert client.wait(name, timeout_seconds=120).outputs
            waiting = _jobs("--ledger", "old", "--account", "default", "--state", "queued")
            assert {each["job_id"] for each in waiting} <= {*first}
            assert waiting

            _bide("resume", "photogpt", "default", "--ledger", "old")
            for name in first:
                assert client.wait(name, timeout_seconds=120).outputs
        assert _jobs("--ledger", "old", "--provider", "photogpt", "--account", "default") == []
        assert json.loads(_bide("unconfirmed", "list", "--ledger", "old", "--json")) == []
        bought = Counter(str(each["reference"]).split(".")[0] for each in old.purchases(marked))
    assert bought == Counter([*first, *second])


def _named(old: Rig, new: Rig, owner: str) -> dict[str, str]:
    """The variables that name both ledgers, with the account in one of them."""
    found = {}
    for name, rig in (("old", old), ("new", new)):
        found[f"BIDE_LEDGERS__{name.upper()}__BROKER_URL"] = rig.redis.url
        accounts = ["photogpt/default"] if name == owner else [f"photogpt/{name}"]
        found[f"BIDE_LEDGERS__{name.upper()}__ACCOUNTS"] = json.dumps(accounts)
    return found


def _jobs(*options: str) -> list[dict[str, Any]]:
    return list(json.loads(_bide("jobs", *options, "--json"))["jobs"])


def _bide(*arguments: str) -> str:
    """What a command prints; it must end well."""
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    return result.stdout
