"""Receipts and `bide erase`: all of a job go, in one pass, also where its record is gone; and one erasure at a time."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any

import pytest

from bide.bulk import lease
from bide.erasure import erase as module
from bide.erasure.wanted import Wanted
from bide.errors import StorageError, TryLaterError
from bide.receipts import Receipt, Receipts, to_json
from tests.unit.command import Command
from tests.unit.erase_scene import PARAMS, SECRET, Scene, receipts_of

PREFIX = "bide-receipts/here/2026/11/30/"


def put(scene: Scene, name: str, *receipts: Receipt) -> None:
    """An object of receipts."""
    scene.objects[f"{PREFIX}{name}.json"] = to_json(receipts)


def left(scene: Scene) -> list[str]:
    """The jobs of which there is a receipt, in the order of the objects."""
    found = (content for key, content in sorted(scene.objects.items()) if key.startswith(PREFIX))
    return [each.job_id for content in found for each in Receipts.model_validate_json(content).receipts]


@pytest.fixture(name="scene")
def _scene() -> Scene:
    return Scene()


def test_receipts_are_read_once_however_many_jobs_there_are(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not once for each page of jobs."""
    monkeypatch.setattr(module, "PAGE", 2)
    jobs = [f"j{number}" for number in range(9)]
    for job_id in jobs:
        scene.job(job_id, tenant="acme")
        put(scene, job_id, *receipts_of(job_id), *receipts_of("stays", tenant="other"))
    reads: list[str] = []
    read = scene.storage.get

    def noted(uri: str, **how: Any) -> bytes:
        reads.append(uri)
        return read(uri, **how)

    monkeypatch.setattr(scene.storage, "get", noted)
    report = scene.erase(*jobs)
    assert (len(report.erased), report.receipts) == (9, 27)
    assert left(scene) == ["stays"] * 27
    assert max(reads.count(f"s3://memory/{PREFIX}{job_id}.json") for job_id in jobs) <= 2


@pytest.mark.parametrize(
    "how",
    [
        {"ids": frozenset({"a"})},
        {"tenant": "acme"},
        {"before": datetime(2021, 1, 1, tzinfo=UTC)},
        {"tenant": "acme", "before": datetime(2021, 1, 1, tzinfo=UTC)},
    ],
)
def test_a_job_of_which_receipts_alone_are_left(scene: Scene, how: dict[str, Any]) -> None:
    """It failed, and left no object; its record has expired. The receipts of others stay."""
    put(scene, "1", *receipts_of("a")[:1], *receipts_of("b", tenant="other", created=1_700_000_000.0))
    put(scene, "2", *receipts_of("a")[1:])
    report = scene.eraser(Wanted(**how)).run()
    assert (report.erased, report.receipts) == (["a"], 3)
    assert left(scene) == ["b"] * 3
    assert scene.eraser(Wanted(**how)).run().erased == []


def test_a_record_that_does_not_fit_keeps_its_receipts(scene: Scene) -> None:
    """The record knows the job better than a receipt: it goes on."""
    scene.stage.running("a", tenant="acme", params=PARAMS)
    put(scene, "1", *receipts_of("a"))
    report = scene.erase(tenant="acme")
    assert list(report.refused) == ["a"]
    assert left(scene) == ["a"] * 3


def test_an_erasure_that_was_killed_before_the_receipts(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records are erased already: the same call takes the receipts out, by id and by tenant."""
    for job_id in ("a", "b"):
        scene.job(job_id, tenant="acme")
        put(scene, job_id, *receipts_of(job_id))

    def die(*_: object) -> None:
        raise StorageError("gone")

    for how in ({"ids": frozenset({"a"})}, {"tenant": "acme"}):
        with monkeypatch.context() as patch:
            patch.setattr("bide.erasure.receipted.Receipted.remove", die)
            with pytest.raises(StorageError):
                scene.eraser(Wanted(**how)).run()
        report = scene.eraser(Wanted(**how)).run()
        assert report.receipts == 3
    assert left(scene) == []
    assert SECRET not in scene.everything()


def test_receipts_that_can_not_be_read_are_named(scene: Scene) -> None:
    """They may hold what was to be erased; a probe of `bide doctor` is none of them."""
    scene.job("a")
    scene.objects[f"{PREFIX}odd.json"] = b'{"version": 2, "receipts": []}'
    scene.objects["bide-receipts/here/doctor"] = b"a probe"
    report = scene.erase("a")
    assert list(report.unreached.values()) == [[f"{PREFIX}odd.json"]]
    assert not report.whole


# One erasure at a time


@pytest.fixture
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lease of a process that died lasts for half a second."""
    monkeypatch.setattr(lease, "REWRITING_SECONDS", 0.5)
    monkeypatch.setattr(lease, "WAIT_SECONDS", 0.8)


@pytest.mark.usefixtures("_short")
def test_two_erasures_at_once_do_not_write_back_what_the_other_took(scene: Scene, monkeypatch: Any) -> None:
    """The second one waits, and is refused while the first goes on; it removes nothing then."""
    scene.job("a")
    scene.job("b")
    put(scene, "1", *receipts_of("a"), *receipts_of("b"))
    begun, go = threading.Event(), threading.Event()

    def slow(key: str, content: Any, **how: Any) -> None:
        if key.startswith(PREFIX):
            begun.set()
            assert go.wait(10)
        put_object(key, content, **how)

    put_object = scene.storage.put
    monkeypatch.setattr(scene.storage, "put", slow)
    first = threading.Thread(target=scene.erase, args=("a",))
    first.start()
    assert begun.wait(10)
    before = dict(scene.objects)
    with pytest.raises(TryLaterError, match="under way"):
        scene.erase("b")
    assert before == scene.objects
    refused = Command(scene.stage, store=scene.storage)("erase", "b", "--yes")
    assert (refused.exit_code, "under way" in refused.output) == (1, True)
    go.set()
    first.join()
    assert left(scene) == ["b"] * 3
    assert scene.erase("b").receipts == 3
    assert left(scene) == []


@pytest.mark.usefixtures("_short")
def test_the_lease_of_a_dead_erasure_runs_out(scene: Scene) -> None:
    """The next one waits for that."""
    scene.job("a")
    scene.stage.server.set(lease.REWRITING_KEY, "of the dead", px=300)
    assert scene.erase("a").erased == ["a"]
    assert not scene.stage.server.exists(lease.REWRITING_KEY)


def test_who_lost_the_lease_writes_nothing(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stood still for too long, and another erasure may have begun."""
    scene.job("a")
    put(scene, "1", *receipts_of("a"), *receipts_of("b"))

    def lose(*_: object) -> None:
        scene.stage.server.set(lease.REWRITING_KEY, "another's")

    monkeypatch.setattr(module, "KINDS", (*module.KINDS, lose))
    with pytest.raises(TryLaterError, match="lost"):
        scene.erase("a")
    assert left(scene) == [*["a"] * 3, *["b"] * 3]
    assert scene.stage.server.get(lease.REWRITING_KEY) == "another's"
