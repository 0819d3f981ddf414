"""`bide erase` folder by folder: an id may have several, and each object says whose it is."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from bide.bulk.record import Options
from bide.contract import JobState
from bide.erasure import erase as module
from bide.erasure.erase import Eraser
from bide.erasure.wanted import Wanted
from bide.ledger.identity import LEDGER
from tests.contract.ledger_stage import ACCOUNT
from tests.unit.bulk_world import World, row
from tests.unit.erase_scene import LONG_AGO, PARAMS, SECRET, UPLOAD, Scene, share

LATER = "2020/03/04"
EARLY = datetime(2021, 1, 1, tzinfo=UTC)


@pytest.fixture(name="scene")
def _scene() -> Scene:
    return Scene()


def put(scene: Scene, day: str, job_id: str, *, tenant: str = "acme", **named: str) -> list[str]:
    """A job's objects of another day; their keys."""
    about = {"bide-job": job_id, "bide-tenant": tenant, **named}
    keys = [f"{day}/{job_id}/{name}" for name in ("0.png", "job.json")]
    for key in keys:
        scene.storage.put(key, b"{}", content_type="x", metadata=about)
    return keys


def there(scene: Scene, job_id: str) -> list[str]:
    """The keys of its objects."""
    return sorted(key for key in scene.objects if f"/{job_id}/" in key)


# Several folders of one id


@pytest.mark.parametrize("how", [{"ids": frozenset({"x"})}, {"tenant": "acme"}, {"before": EARLY}])
def test_all_folders_of_a_job_without_a_record(scene: Scene, how: dict[str, Any]) -> None:
    """Each of them may be of another story of it."""
    put(scene, LONG_AGO, "x")
    put(scene, LATER, "x")
    put(scene, f"pictures/{LATER}", "x")
    report = scene.eraser(Wanted(**how)).run()
    assert (report.erased, report.objects, report.whole, there(scene, "x")) == (["x"], 6, True, [])


@pytest.mark.parametrize("how", [{"ids": frozenset({"x"})}, {"tenant": "acme"}, {"before": datetime.now(UTC)}])
@pytest.mark.parametrize("page", [1, 200])
def test_all_folders_of_a_job_with_a_record(
    scene: Scene, how: dict[str, Any], page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of a story before its record, too, whatever they say; what would go is counted once."""
    monkeypatch.setattr(module, "PAGE", page)
    begin = scene.job("x", tenant="acme")
    put(scene, LONG_AGO, "x")
    put(scene, f"other/{begin[:10]}", "x", tenant="")
    tried = scene.eraser(Wanted(**how), dry_run=True).run()
    assert (tried.erased, tried.objects) == (["x"], 6)
    report = scene.eraser(Wanted(**how)).run()
    assert (report.erased, report.objects, report.whole, there(scene, "x")) == (["x"], 6, True, [])
    assert (report.refused, report.unknown, report.erased_before) == ({}, [], [])


def test_what_an_earlier_erasure_has_left(scene: Scene) -> None:
    """The record says that the job is erased, and a folder is there."""
    scene.job("x")
    assert scene.erase("x").erased == ["x"]
    assert scene.erase("x").erased_before == ["x"]
    put(scene, LONG_AGO, "x")
    report = scene.erase("x")
    assert (report.erased, report.erased_before, there(scene, "x")) == (["x"], [], [])


def test_nothing_of_a_job_that_goes_on(scene: Scene) -> None:
    """Its other folders stay until it is over."""
    scene.stage.running("x", params=PARAMS)
    keys = put(scene, LONG_AGO, "x")
    report = scene.erase("x")
    assert (report.erased, list(report.refused), there(scene, "x")) == ([], ["x"], keys)


def test_an_id_that_another_tenant_has_now(scene: Scene) -> None:
    """The job of the record is not touched, and the report says what lies beside it."""
    scene.job("x", tenant="now")
    before = there(scene, "x")
    put(scene, LONG_AGO, "x")
    report = scene.erase(tenant="acme")
    assert (report.erased, report.whole) == ([], False)
    assert list(report.unreached.values()) == [[f"{LONG_AGO}/x/"]]
    assert set(before) <= set(there(scene, "x"))


@pytest.mark.parametrize("first", ["theirs", "ours"])
def test_own_folders_beside_those_of_others(scene: Scene, first: str) -> None:
    """Each is judged by itself."""
    share(scene)
    second = "ours" if first == "theirs" else "theirs"
    keys = {first: put(scene, LONG_AGO, "x", **{LEDGER: first}), second: put(scene, LATER, "x", **{LEDGER: second})}
    report = scene.erase(tenant="acme")
    assert (report.erased, report.whole, there(scene, "x")) == (["x"], False, keys["theirs"])


# What names no ledger, in a shared bucket


@pytest.mark.parametrize("state", ["erased", "following", "ended"])
@pytest.mark.parametrize("how", [{"ids": frozenset({"x"})}, {"before": EARLY}])
def test_a_record_here_is_no_word_on_other_folders(scene: Scene, state: str, how: dict[str, Any]) -> None:
    """The other deployment may have a job of that id."""
    share(scene)
    if state == "following":
        scene.job("lead", idempotency_key="k")
        scene.stage.arrive("x", params=PARAMS, idempotency_key="k")
    else:
        scene.job("x")
    if state == "erased":
        scene.erase("x")
    keys = put(scene, LONG_AGO, "x")
    report = scene.eraser(Wanted(**how)).run()
    assert set(keys) <= set(scene.objects)
    assert report.whole is False
    assert report.unknown == []


def test_what_names_no_ledger_at_a_jobs_own_keys_is_its_own(scene: Scene) -> None:
    """An earlier release has stored it; its record says where it put its objects."""
    share(scene)
    scene.job("x")
    assert (scene.erase("x").whole, there(scene, "x")) == (True, [])


@pytest.mark.parametrize("with_record", [True, False])
def test_each_object_is_judged_by_what_it_says(scene: Scene, with_record: bool) -> None:
    """One of the other deployment lies beside our `job.json`."""
    share(scene)
    begin = scene.job("x") if with_record else f"{LONG_AGO}/x/"
    for name, ledger_id in (("1.png", "theirs"), ("job.json", "ours")):
        about = {"bide-job": "x", LEDGER: ledger_id}
        scene.storage.put(f"{begin}{name}", b"{}", content_type="x", metadata=about)
    report = scene.erase("x")
    assert (report.erased, report.whole, there(scene, "x")) == (["x"], False, [f"{begin}1.png"])


def test_a_run_here_whose_objects_are_theirs(world: World) -> None:
    """Two deployments have begun a run of one name; the later one's input lies there."""
    share(world)
    world.begin([row("fox", metadata={"who": "w1"})], Options(window=10))
    world.run_to_its_end()
    storage: Any = world.storage
    line = json.dumps({"params": {"prompt": "theirs"}, "metadata": {"who": "w1"}}).encode() + b"\n"
    storage.put("runs/r/input.jsonl", line, content_type="x", metadata={LEDGER: "theirs"})
    report = Eraser(world.ledger, storage, world.server, Wanted(frozenset({"r.1"}))).run()
    assert report.erased == []
    assert [why.partition(":")[0] for [why] in report.unreached.values()] == ["r"]
    assert storage.client.objects["runs/r/input.jsonl"] == line


# Other programs


@pytest.mark.parametrize(
    ("names", "about", "goes"),
    [
        (["2020.pdf"], {}, False),
        (["0.gz", "1.gz"], {}, False),
        (["job.json"], {}, False),
        (["inputs/report.csv"], {}, False),
        ([f"inputs/{'0a' * 16}.png"], {}, True),
        ([f"inputs/{'0a' * 16}.png", "1.png"], {}, False),
        (["0.png", "1.png"], {"1.png": "acme-corp"}, True),
        (["0.png", "1.png"], {"1.png": "another"}, False),
    ],
)
@pytest.mark.parametrize("by_id", [True, False])
def test_a_folder_is_a_jobs_where_an_object_says_so(
    scene: Scene, names: list[str], about: dict[str, str], goes: bool, by_id: bool
) -> None:
    """Keys alone may be another program's: invoices, logs."""
    begin = f"invoices/{LONG_AGO}/acme-corp/"
    for name in names:
        named = {"bide-job": about[name]} if name in about else None
        scene.storage.put(f"{begin}{name}", b"x", content_type="x", metadata=named)
    wanted = Wanted(frozenset({"acme-corp"})) if by_id else Wanted(before=EARLY)
    report = scene.eraser(wanted).run()
    assert report.erased == (["acme-corp"] if goes else [])
    assert bool(there(scene, "acme-corp")) is not goes


# Uploads, and callers of another job


def test_an_upload_of_a_job_that_is_opened_meanwhile(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its upload stays, though an earlier page had uploads already."""
    monkeypatch.setattr(module, "PAGE", 1)
    other = f"uploads/{'cd' * 32}"
    for job_id, upload in (("a", other), ("b", UPLOAD)):
        scene.objects[upload] = b"a face"
        scene.job(job_id, inputs={"person": f"s3://memory/{upload}"}, operation="images.train")

    def opens(_: Eraser, targets: list[Any]) -> None:
        if [target.job_id for target in targets] == ["a"]:
            inputs = {"person": f"s3://memory/{UPLOAD}"}
            scene.stage.open("c", params=PARAMS, inputs=inputs, operation="images.train")

    monkeypatch.setattr(module, "KINDS", (*module.KINDS, opens))
    report = scene.erase("a", "b")
    assert (report.erased, report.shared_uploads) == (["a", "b"], 1)
    assert UPLOAD in scene.objects
    assert other not in scene.objects


def test_a_caller_whose_job_has_ended(scene: Scene) -> None:
    """Its result is the other job's, which stays: no claim that it is erased. With that job it goes."""
    record, token = scene.stage.storing("lead", params=PARAMS, idempotency_key="k")
    scene.stage.arrive("f", params=PARAMS, idempotency_key="k")
    assert "goes on" in scene.erase("f").refused["f"]
    assert scene.stage.ledger.jobs.conclude(record, token, JobState.SUCCEEDED, result="{}")
    scene.stage.ledger.jobs.answered(ACCOUNT, "lead")
    scene.stage.ledger.jobs.answered(ACCOUNT, "f", leader="lead", known_state="succeeded")
    scene.stage.server.set("celery-task-meta-f", SECRET)
    report = scene.erase("f")
    assert report.refused == {"f": "its result is that of job lead: erase that"}
    assert (report.erased, report.whole) == ([], False)
    report = scene.erase("f", "lead")
    assert (report.erased, report.refused) == (["f", "lead"], {})
    assert SECRET not in scene.everything()
    assert scene.erase("f").whole
