"""Deployments that share a bucket: whose objects are whose."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from bide.deployments import owners
from bide.ledger.identity import LEDGER, PREFIX, KnownLedger, LedgerState
from bide.storage import header_safe
from tasks.steps.home import document_metadata_of, metadata_of
from tests.contract.ledger_stage import Stage, request_of
from tests.unit.memory_store import memory_storage


def known(storage: Any, url: str) -> KnownLedger:
    """What the bucket knows of the ledger at an address."""
    return KnownLedger(storage, url, sentinel_master="mymaster")


def test_a_bucket_of_one_deployment_is_its_own() -> None:
    """Also what an earlier release has stored, which names no ledger."""
    storage = memory_storage()
    known(storage, "redis://one:6379/0").write(LedgerState("one"))
    found = owners(storage, ["one"])
    assert found.owns("one")
    assert found.owns("")
    assert not found.owns("another")


def test_two_deployments_tell_their_objects_apart() -> None:
    """What names no ledger may be the other's."""
    storage = memory_storage()
    for name in ("one", "two"):
        known(storage, f"redis://{name}:6379/0").write(LedgerState(name))
    first, second = (owners(storage, [name]) for name in ("one", "two"))
    assert (first.owns("one"), first.owns("two"), first.owns("")) == (True, False, False)
    assert (second.owns("one"), second.owns("two"), second.owns("")) == (False, True, False)
    assert first.others == (known(storage, "redis://two:6379/0").key,)


def test_a_ledger_stays_the_deployments_own_after_its_loss() -> None:
    """Each confirmation keeps the ids of before; a host that reaches it under another name sees the same."""
    storage = memory_storage()
    inside, outside = known(storage, "redis://redis:6379/0"), known(storage, "redis://127.0.0.1:6379/0")
    for ledger_id in ("one", "two", "three"):
        inside.write(LedgerState(ledger_id))
    inside.keep_look("three", 7.0)
    outside.write(LedgerState("three"), earlier=["zero"])
    assert inside.ids() == ("three", "two", "one")
    assert inside.read() == LedgerState("three", 7.0)
    found = owners(storage, ["three"])
    assert found.ours == {"zero", "one", "two", "three"}
    assert found.others == ()


@pytest.mark.parametrize("content", [b"", b"no json", b"[]", b'{"id": 7, "earlier": "x"}', b"\xff"])
def test_a_broken_object_is_nobodys(content: bytes) -> None:
    """It may have named another deployment's ledger."""
    storage = memory_storage()
    known(storage, "redis://one:6379/0").write(LedgerState("one"))
    storage.put(f"{PREFIX}broken.json", content, content_type="application/json")
    found = owners(storage, ["one"])
    assert found.owns("one")
    assert not found.owns("")


def test_objects_name_the_ledger_and_callers_cannot() -> None:
    """Metadata that would pass for bide's own goes into the result alone."""
    stage = Stage.in_memory()
    odd = {"bide-ledger": "x", "Bide_Ledger": "x", "BIDE-account": "x", "sha256": "x", "bide tenant": "x", "order": "7"}
    stage.ledger.jobs.open("a", request_of(metadata=odd), deadline_seconds=900)
    record = stage.ledger.jobs.find("a")
    assert record is not None
    tools = cast("Any", SimpleNamespace(ledger=SimpleNamespace(identity=SimpleNamespace(expected="mine"))))
    for found in (metadata_of(tools, record), document_metadata_of(tools, record)):
        sent = header_safe(found)
        assert sent[LEDGER] == "mine"
        assert sent["order"] == "7"
        assert "x" not in sent.values()
