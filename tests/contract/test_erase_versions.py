"""`bide erase --versions` at a server that keeps old versions: nothing of what was erased can be brought back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import fakeredis
import pytest

from bide.bulk.record import Options
from bide.erasure.bucket import remove, version_keys
from bide.erasure.erase import Eraser
from bide.erasure.report import Report
from bide.erasure.wanted import Wanted
from bide.ledger.safety import LEDGER_KEY
from bide.receipts import to_json
from bide.storage import Storage
from tests.contract.stores import BUCKET, bucket_at, moto, set_keys
from tests.unit.bulk_world import World, row
from tests.unit.erase_scene import receipts_of

RECEIPTS = "bide-receipts/here/2026/11/30/1.json"
SECRETS = (b"fox 1", b"the prompt of a person", b"a face")


@pytest.fixture(name="storage")
def _storage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    """A bucket with versions."""
    set_keys(monkeypatch)
    with moto() as url:
        storage = bucket_at(url)
        storage.client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        yield storage
        remove(storage, [*dict.fromkeys(version_keys(storage, ""))], versions=True)
        storage.client.delete_bucket(Bucket=BUCKET)


@pytest.fixture(name="world")
def _world(storage: Storage) -> World:
    """A run that is over with its contact sheet, receipts, and a job that left an output."""
    world = World(fakeredis.FakeRedis(decode_responses=True))
    world.server.hset(LEDGER_KEY, "id", "l")
    world.begin([row("fox 1", tenant="acme"), row("fox 2", tenant="other")], Options(window=9))
    world.run_to_its_end()
    memory: Any = world.storage
    about = {"bide-job": "x", "bide-tenant": "acme"}
    begin = "2020/01/02/x/"
    for key, content in memory.client.objects.items():
        storage.put(key, content, content_type="x", metadata={"bide-ledger": "l"} if "input" in key else {})
    storage.put("runs/r/index.html", b"<p>fox 1</p>", content_type="text/html")
    storage.put(RECEIPTS, to_json([*receipts_of("r.1"), *receipts_of("r.2", tenant="other")]), content_type="x")
    storage.put(f"{begin}0.png", b"a face", content_type="image/png", metadata=about)
    storage.put(f"{begin}job.json", b"{}", content_type="application/json", metadata=about)
    world.storage = storage
    return world


def erase(world: World, *, versions: bool, **how: Any) -> Report:
    """The report of an erasure."""
    return Eraser(world.ledger, world.storage, world.server, Wanted(**how), versions=versions).run()


def kept(storage: Storage) -> dict[str, list[bytes]]:
    """All that the bucket keeps, by key."""
    found: dict[str, list[bytes]] = {}
    for page in storage.client.get_paginator("list_object_versions").paginate(Bucket=BUCKET):
        for each in page.get("Versions", ()):
            body = storage.client.get_object(Bucket=BUCKET, Key=each["Key"], VersionId=each["VersionId"])["Body"]
            found.setdefault(each["Key"], []).append(body.read())
    return found


def holding(storage: Storage) -> set[str]:
    """The keys of which a version has what was erased; the second row's receipts have the same prompt, and stay."""
    found = {key: b"".join(versions).replace(RECEIPTS_THAT_STAY, b"") for key, versions in kept(storage).items()}
    return {key for key, content in found.items() if any(secret in content for secret in SECRETS)}


RECEIPTS_THAT_STAY = to_json(receipts_of("r.2", tenant="other"))


@pytest.mark.parametrize(
    ("how", "before"),
    [
        ({"ids": frozenset({"r.1", "x"})}, 0),
        ({"tenant": "acme"}, 1),
    ],
    ids=["by id", "by tenant, later"],
)
def test_no_old_version_has_what_was_erased(world: World, storage: Storage, how: Any, before: int) -> None:
    """Of objects, of rewritten files of the run, of its contact sheet and of receipts; also in a second call."""
    for _ in range(before):
        assert erase(world, versions=False, **how).to_json()["stays"]["old_versions"]
        assert holding(storage) == {"2020/01/02/x/0.png", RECEIPTS, "runs/r/index.html", *RUN_FILES}
    report = erase(world, versions=True, **how)
    assert holding(storage) == set()
    assert report.whole
    assert report.versions > 0
    assert report.to_json()["stays"]["old_versions"] is False
    assert sorted(report.erased + report.erased_before) == ["r.1", "x"]
    assert b"fox 2" in b"".join(kept(storage)["runs/r/input.jsonl"])
    assert kept(storage)[RECEIPTS] == [RECEIPTS_THAT_STAY]
    assert storage.client.head_object(Bucket=BUCKET, Key="runs/r/input.jsonl")["Metadata"] == {"bide-ledger": "l"}


RUN_FILES = ("runs/r/input.jsonl", "runs/r/results-00001.jsonl")
