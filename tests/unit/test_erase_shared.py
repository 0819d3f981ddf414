"""`bide erase` in a bucket that deployments share, and over a lost ledger: what is not surely its own stays."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bide.bulk.record import Options
from bide.erasure.erase import Eraser
from bide.erasure.wanted import Wanted
from bide.errors import ConfigurationError
from bide.ledger.identity import LEDGER
from bide.ledger.keys import prefix
from bide.ledger.safety import LEDGER_KEY
from bide.receipts import NotAccepted, folder, to_json
from tests.contract.ledger_stage import ACCOUNT
from tests.unit.bulk_world import World, row
from tests.unit.erase_scene import LONG_AGO, OURS, SECRET, UPLOAD, Scene, known, left, share


@pytest.fixture(name="scene")
def _scene() -> Scene:
    return Scene()


@pytest.mark.parametrize("how", [{"ids": frozenset({"x"})}, {"tenant": "acme"}, {"metadata": (("a", "b"),)}])
@pytest.mark.parametrize(
    ("ledger_id", "with_another", "goes"),
    [
        ("theirs", True, False),
        ("nobody knows", True, False),
        ("", True, False),
        ("", False, True),
        ("ours", True, True),
        ("ours before", True, True),
    ],
)
def test_a_job_that_only_the_bucket_knows(
    scene: Scene, how: dict[str, Any], ledger_id: str, with_another: bool, goes: bool
) -> None:
    """It goes where its objects are the deployment's own; else the report says whose it may be, and what to do."""
    share(scene, with_another=with_another)
    key = left(scene, "x", ledger_id)
    report = scene.eraser(Wanted(**how)).run()
    assert (key not in scene.objects) is goes
    assert report.erased == (["x"] if goes else [])
    assert report.unknown == []
    assert report.whole is goes
    if not goes:
        [[why]] = report.unreached.values()
        assert why.startswith("x: ")
        assert ("ledger" in why, "by hand" in why) == (True, True)


@pytest.mark.parametrize(("ledger_id", "goes"), [("theirs", False), ("ours", True)])
def test_half_a_job_is_judged_by_what_is_there(scene: Scene, ledger_id: str, goes: bool) -> None:
    """The other deployment may be about to write its `job.json`."""
    share(scene)
    key = left(scene, "x", ledger_id, document=False)
    assert scene.erase(tenant="acme").whole is goes
    assert (key not in scene.objects) is goes


def test_two_jobs_of_one_id(scene: Scene) -> None:
    """The record here has failed; the objects at its keys are those of the other deployment's job."""
    share(scene)
    begin = scene.job("x")
    for name in ("0.png", "job.json"):
        scene.storage.put(f"{begin}{name}", b"theirs", content_type="x", metadata={LEDGER: "theirs"})
    report = scene.erase("x")
    assert report.erased == ["x"]
    assert not report.whole
    assert scene.objects[f"{begin}0.png"] == b"theirs"


def test_another_programs_objects_are_no_job(scene: Scene) -> None:
    """Its keys may have a date and a name, too."""
    keys = [f"logs/{LONG_AGO}/host-1/app.log", f"{LONG_AGO}/backup/0.png.gz"]
    for key in keys:
        scene.objects[key] = b"another program's"
    scene.objects[f"{LONG_AGO}/ours/inputs/{'0a' * 16}.png"] = b"stored by an earlier release"
    report = scene.erase("host-1", "backup", "ours")
    assert report.erased == ["ours"]
    assert report.unknown == ["backup", "host-1"]
    assert set(keys) <= set(scene.objects)


def test_uploads_of_a_shared_bucket_stay(scene: Scene) -> None:
    """The same picture is the same object for all; only its own ledger knows which jobs name it."""
    share(scene)
    scene.objects[UPLOAD] = b"a face"
    scene.job("a", inputs={"person": f"s3://memory/{UPLOAD}"}, operation="images.train")
    report = scene.erase("a")
    assert report.erased == ["a"]
    assert list(report.unreached.values()) == [[UPLOAD]]
    assert UPLOAD in scene.objects


def test_receipts_of_others_stay(scene: Scene) -> None:
    """Their job may have the same id. What lies in a folder that nobody is known to have is reported."""
    share(scene)
    receipt = NotAccepted(ledger="", job_id="a", account=str(ACCOUNT), attempt=1, at=1.0)
    places = {
        name: f"{folder(known(scene, f'redis://{name}:6379/0').key)}x.json" for name in ("ours", "theirs", "lost")
    }
    for key in places.values():
        scene.objects[key] = to_json([receipt])
    scene.job("a")
    report = scene.erase("a")
    assert report.receipts == 1
    assert [name for name, key in places.items() if key in scene.objects] == ["theirs", "lost"]
    assert list(report.unreached.values()) == [[places["lost"]]]


@pytest.mark.parametrize(
    "ledger",
    [{}, {"id": "another"}, {"id": "ours before", "looked_at": 100.0}, {"id": "ours", "looked_at": 1.0}],
    ids=["emptied", "new", "an old backup", "went back"],
)
@pytest.mark.parametrize("by_address", [True, False])
def test_nothing_is_erased_over_a_ledger_that_was_lost(scene: Scene, ledger: dict[Any, Any], by_address: bool) -> None:
    """What it does not know any more is not gone; also where hosts reach it under different names."""
    share(scene)
    scene.job("known")
    left(scene, "x", "ours")
    scene.stage.server.delete(LEDGER_KEY)
    if ledger:
        scene.stage.server.hset(LEDGER_KEY, mapping=ledger)
    before = dict(scene.objects)
    eraser = scene.eraser(Wanted(tenant="acme"), known=known(scene, OURS if by_address else "redis://else:6379/0"))
    with pytest.raises(ConfigurationError, match="nothing is erased"):
        eraser.run()
    assert scene.objects == before
    assert scene.stage.state("known") == "succeeded"


def test_a_new_address_of_the_same_ledger_is_its_own(scene: Scene) -> None:
    """Workers in a network of containers and an operator outside name the server differently."""
    share(scene)
    key = left(scene, "x", "ours")
    elsewhere = known(scene, "redis://127.0.0.1:6379/0")
    assert scene.eraser(Wanted(tenant="acme"), known=elsewhere).run().erased == ["x"]
    assert key not in scene.objects


def test_a_job_whose_id_looks_like_a_rows(scene: Scene) -> None:
    """There is no such run, and nothing is left to reach."""
    scene.job("order.7")
    report = scene.erase("order.7")
    assert (report.erased, report.whole, report.runs) == (["order.7"], True, set())


# Runs


def ended_run(world: World, ledger_id: str) -> None:
    """A run of three rows that is over and forgotten here, and that began on a ledger."""
    share(world)
    world.server.hset(LEDGER_KEY, "id", ledger_id) if ledger_id else world.server.hdel(LEDGER_KEY, "id")
    world.begin([row(f"fox {number}", metadata={"who": f"w{number}"}) for number in (1, 2, 3)], Options(window=10))
    world.run_to_its_end()
    for key in world.server.scan_iter("bide:run:*"):
        world.server.delete(key)
    for key in world.server.scan_iter(f"{prefix(ACCOUNT)}*"):
        world.server.delete(key)
    world.server.hset(LEDGER_KEY, mapping={"id": "ours", "looked_at": 100.0})


@pytest.mark.parametrize("how", [{"ids": frozenset({"r.1"})}, {"metadata": (("who", "w1"),)}], ids=["id", "metadata"])
@pytest.mark.parametrize(("ledger_id", "goes"), [("theirs", False), ("", False), ("ours", True), ("ours before", True)])
def test_a_run_that_only_the_bucket_knows(world: World, how: dict[str, Any], ledger_id: str, goes: bool) -> None:
    """It may go on in another deployment, whose feeder reads the input."""
    ended_run(world, ledger_id)
    storage: Any = world.storage
    report = Eraser(world.ledger, storage, world.server, Wanted(**how)).run()
    assert (b"fox 1" not in storage.client.objects["runs/r/input.jsonl"]) is goes
    assert (b"fox 1" not in storage.client.objects["runs/r/results-00001.jsonl"]) is goes
    assert report.whole is goes
    assert report.erased == (["r.1"] if goes else [])
    assert report.unknown == []
    assert Eraser(world.ledger, storage, world.server, Wanted(metadata=(("who", "w9"),))).run().whole
    named = storage.client.head_object(Bucket="", Key="runs/r/input.jsonl")["Metadata"]
    assert named.get(LEDGER, "") == ledger_id.replace(" ", "%20")


def test_a_job_here_that_is_named_like_a_row_elsewhere(scene: Scene) -> None:
    """The job goes, the other deployment's row stays."""
    share(scene)
    line = json.dumps({"params": {"prompt": "theirs"}}).encode() + b"\n"
    scene.storage.put("runs/nightly/input.jsonl", line, content_type="x", metadata={LEDGER: "theirs"})
    scene.job("nightly.1")
    report = scene.erase("nightly.1")
    assert report.erased == ["nightly.1"]
    assert scene.objects["runs/nightly/input.jsonl"] == line
    assert [why.partition(":")[0] for [why] in report.unreached.values()] == ["nightly"]
    assert SECRET not in scene.everything()
