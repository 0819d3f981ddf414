"""A `bide erase` that is killed in the middle, for real: the same call erases the rest."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from bide.ledger.keys import prefix
from bide.receipts import Receipts, to_json
from bide.storage import Storage, StorageOptions
from tests.contract.ledger_stage import ACCOUNT, Clock, Stage
from tests.integration.object_store import ACCESS_KEY, BUCKET, REGION, SECRET_KEY, ObjectStore
from tests.integration.processes import ROOT, plain_environment
from tests.integration.servers import RedisServer
from tests.unit.erase_scene import SECRET, Scene, receipts_of

pytestmark = pytest.mark.whole

#: More than are erased together.
JOBS = 230

RECEIPTS = "bide-receipts/here/2026/11/30/"


class RealScene(Scene):
    """A ledger in a Redis, and a bucket at a server, with jobs of two tenants."""

    def __init__(self, server: redis.Redis, objects: ObjectStore) -> None:
        clock = Clock()
        clock.now = time.time()
        self.stage, self.server, self.bucket = Stage(server, clock, packs=True), server, objects
        self.storage = Storage(StorageOptions(BUCKET, endpoint_url=objects.url, region=REGION))

    def fill(self) -> None:
        """Jobs that have succeeded, with objects, Celery results and receipts."""
        for number in range(JOBS):
            tenant = "other" if number % 10 == 0 else "acme"
            self.job(f"j{number}", tenant=tenant)
            found = to_json([*receipts_of(f"j{number}", tenant), *receipts_of("stays", "other")])
            self.storage.put(f"{RECEIPTS}{number:04d}.json", found, content_type="application/json")

    def erased_records(self) -> int:
        """How many records are erased."""
        names = [f"{prefix(ACCOUNT)}job:j{number}" for number in range(JOBS)]
        return sum(bool(self.server.hget(name, "erased")) for name in names)

    def objects_of_jobs(self) -> int:
        """How many objects of jobs there are."""
        return len([key for key in self.bucket.names() if key.startswith("20")])

    def receipts(self) -> list[str]:
        """The jobs of which there is a receipt."""
        contents = (self.bucket.read(key)[0] for key in self.bucket.names(RECEIPTS))
        return [each.job_id for content in contents for each in Receipts.model_validate_json(content).receipts]


@pytest.fixture(name="scene")
def _scene(own_redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RealScene]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    objects = ObjectStore(tmp_path)
    objects.process.start()
    server = redis.Redis.from_url(own_redis.url, decode_responses=True)
    try:
        yield RealScene(server, objects)
    finally:
        server.close()
        objects.process.kill()


def erasing(scene: RealScene, own_redis: RedisServer) -> subprocess.Popen[str]:
    """The command as a process."""
    variables = {**plain_environment(), **scene.bucket.environment(), "BIDE_BROKER_URL": own_redis.url}
    return subprocess.Popen(
        ["bide", "erase", "--tenant", "acme", "--yes", "--json"],
        env=variables,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    "begun",
    [
        lambda scene: scene.objects_of_jobs() < 2 * JOBS,
        lambda scene: scene.erased_records() > 0,
        lambda scene: len(scene.bucket.read(f"{RECEIPTS}0001.json")[0]) < len(to_json([*receipts_of("j1") * 2])),
    ],
    ids=["objects", "records", "receipts"],
)
def test_the_same_call_finishes_after_a_kill(
    scene: RealScene, own_redis: RedisServer, begun: Callable[[RealScene], bool]
) -> None:
    """Killed when the first object, record or receipt is gone: the rest goes, and what others have stays."""
    scene.fill()
    first = erasing(scene, own_redis)
    while not begun(scene) and first.poll() is None:
        pass
    first.kill()
    first.communicate()
    assert first.returncode == -9
    assert SECRET in scene_content(scene)

    done = erasing(scene, own_redis)
    out, err = done.communicate(timeout=120)
    assert (done.returncode, err) == (0, "")
    report: dict[str, Any] = json.loads(out)
    others = {f"j{number}" for number in range(0, JOBS, 10)}
    assert report["finished_at"]
    assert (report["refused"], report["unreached"]) == ({}, {})
    assert set(report["jobs"]).isdisjoint(others)
    assert scene.erased_records() == JOBS - len(others)
    assert scene.objects_of_jobs() == 2 * len(others)
    assert set(scene.receipts()) == {*others, "stays"}
    left = {key.removeprefix("celery-task-meta-") for key in scene.server.scan_iter("celery-task-meta-*", count=1000)}
    assert left == others
    reports = [json.loads(scene.bucket.read(key)[0]) for key in scene.bucket.names("erasures/")]
    assert sorted(bool(each["finished_at"]) for each in reports) == [False, True]

    again = erasing(scene, own_redis)
    assert json.loads(again.communicate(timeout=60)[0])["removed"] == dict.fromkeys(report["removed"], 0)


def scene_content(scene: RealScene) -> str:
    """All that has a prompt: records, and receipts."""
    return str([scene.bucket.read(key)[0] for key in scene.bucket.names(RECEIPTS)])
