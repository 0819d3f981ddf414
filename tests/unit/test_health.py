"""The health check: what it makes of a worker's heartbeat, and where that heartbeat is kept."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import pytest
from celery import Celery
from redbeat.schedulers import RedBeatConfig
from structlog.testing import capture_logs

from config.celery import celery_settings
from config.settings import load
from workers.health.checks import BEAT_LOCK_KEY, UnhealthyError, check_workers, judge
from workers.health.heartbeat import Heartbeat, heartbeat_folder, heartbeats, start_time
from workers.health.heartbeat_step import HeartbeatStep

NOW = 1000.0


def heartbeat(**changed: object) -> Heartbeat:
    """An idle worker that noted everything just now."""
    fields: dict[str, object] = {
        "node": "worker-1@here",
        "pid": os.getpid(),
        "born": start_time(os.getpid()),
        "queues": ("bide.store", "bide.submit"),
        "running": 0,
        "threads": 4,
        "ticked_at": NOW,
        "taken_at": NOW,
        "free_since": NOW,
    }
    return Heartbeat(**{**fields, **changed})  # type: ignore[arg-type]  # the fields that tests change are of many types


def judged(given: Heartbeat, *, messages: int = 0) -> str:
    """What the check says of it, with so many messages waiting."""
    return judge(given, now=NOW, patience_seconds=30, count=lambda _: messages)


def never_asked(_: Sequence[str]) -> int:
    """A broker that a check must get along without."""
    raise AssertionError("the broker was asked")


# Healthy


@pytest.mark.parametrize(
    "given",
    [
        heartbeat(),
        heartbeat(taken_at=NOW - 29, free_since=NOW - 900),
        heartbeat(running=4, taken_at=NOW - 900, free_since=NOW - 1),
    ],
)
def test_heartbeat_is_enough_for_a_worker_that_takes_messages(given: Heartbeat) -> None:
    """The broker is not asked about a worker that took a message lately, or that had no thread free for one."""
    assert "threads busy" in judge(given, now=NOW, patience_seconds=30, count=never_asked)


def test_idle_worker_without_messages_is_healthy() -> None:
    """A worker that has had nothing to take for an hour is healthy."""
    assert judged(heartbeat(taken_at=NOW - 3600, free_since=NOW - 3600)) == "worker-1@here: 0 of 4 threads busy"


def test_worker_whose_store_refuses_says_so_and_is_healthy() -> None:
    """A restart would not mend the store, and the worker has other work than submits."""
    line = judged(heartbeat(store_refused="the object store does not take a test object: AccessDenied"))
    assert line == (
        "worker-1@here: 0 of 4 threads busy; it submits nothing: "
        "the object store does not take a test object: AccessDenied"
    )


# Unhealthy


def test_loop_that_stands_still_is_unhealthy() -> None:
    """A loop that has not turned for longer than one is patient."""
    with pytest.raises(UnhealthyError, match="worker-1@here: its loop has not turned for 31 s"):
        judged(heartbeat(ticked_at=NOW - 31))


def test_worker_that_redis_refuses_is_unhealthy() -> None:
    """Its loop turns, and it can take nothing; the check says why, and asks no broker."""
    refused = heartbeat(refused="Redis has refused writes for 9 s: NOREPLICAS, too few replicas")
    with pytest.raises(UnhealthyError, match="worker-1@here takes nothing: Redis has refused writes for 9 s: NOREP"):
        judge(refused, now=NOW, patience_seconds=30, count=never_asked)


def test_free_thread_beside_waiting_messages_is_unhealthy() -> None:
    """A worker that has had a thread free all the time, and took none of the messages that wait."""
    with pytest.raises(
        UnhealthyError, match=r"3 of 4 threads busy, 7 messages wait in bide\.store, bide\.submit, none taken for 31 s"
    ):
        judged(heartbeat(running=3, taken_at=NOW - 31, free_since=NOW - 40), messages=7)


# Where it is kept


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for heartbeats in place of the system's."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return heartbeat_folder()


def test_heartbeat_is_read_as_it_was_written(folder: Path) -> None:
    """A kind of worker has its own heartbeats, in files that no other user can read."""
    heartbeat().write()
    heartbeat(node="poller-2@here").write()

    assert list(heartbeats("worker")) == [heartbeat()]
    assert folder.stat().st_mode & 0o777 == 0o700


def test_heartbeat_of_a_dead_worker_is_removed(folder: Path) -> None:
    """The file of a killed worker is removed, also when another process has its id by now."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    heartbeat(node="worker-1@here", pid=ended.pid).write()
    heartbeat(node="worker-2@here", born="1").write()

    with pytest.raises(UnhealthyError, match="no worker of this user notes a heartbeat"):
        check_workers("worker", patience_seconds=30)
    assert list(folder.iterdir()) == []


def test_heartbeat_of_another_version_is_passed_over(folder: Path) -> None:
    """What another version of bide, or a full disk, has left in the folder says nothing of the workers beside it."""
    (folder / "worker-0@here.json").write_text('{"node": "worker-0@here", "pid": 1}')
    (folder / "worker-1@here.json").write_text("")
    heartbeat().write()

    assert list(heartbeats("worker")) == [heartbeat()]
    assert len(list(folder.iterdir())) == 1


@pytest.mark.usefixtures("folder")
def test_all_workers_of_a_kind_are_checked() -> None:
    """Of several workers on one machine each must be healthy."""
    heartbeat(node="worker-1@here", ticked_at=0.0).write()
    heartbeat(node="worker-2@here").write()

    with pytest.raises(UnhealthyError, match="worker-1@here"):
        check_workers("worker", patience_seconds=30)


@pytest.fixture(params=["a link", "a file", "a folder that is open to all", "another user's folder"])
def foreign(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file or folder in the usual place that other users may write to."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temp"))
    (tmp_path / "temp").mkdir()
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    place = tmp_path / "temp" / f"bide-{os.getuid()}"
    match request.param:
        case "a link":
            place.symlink_to(tmp_path / "elsewhere")
        case "a file":
            place.touch()
        case "a folder that is open to all":
            place.mkdir()
            place.chmod(0o777)
        case _:
            place.mkdir(mode=0o755)
            if os.getuid() != 0:
                pytest.skip("only root can give a folder away")
            os.chown(place, 65534, 65534)
    return place


def test_a_foreign_folder_stops_no_worker(foreign: Path) -> None:
    """The heartbeat goes to a folder of another name, which the check finds; nothing goes to the foreign one."""
    for node in ("worker-1@here", "worker-2@here"):
        heartbeat(node=node).write()

    assert [each.node for each in heartbeats("worker")] == ["worker-1@here", "worker-2@here"]
    assert "worker-2@here: 0 of 4 threads busy" in check_workers("worker", patience_seconds=1e9)
    [own] = [each for each in foreign.parent.iterdir() if each != foreign]
    assert own.stat().st_mode & 0o777 == 0o700
    assert len(list(own.iterdir())) == 2
    assert list((foreign.parent.parent / "elsewhere").iterdir()) == []
    assert not foreign.is_dir() or list(foreign.iterdir()) == []


@pytest.mark.usefixtures("foreign")
def test_heartbeats_of_two_folders_are_found() -> None:
    """Two workers that start at once may have made one each."""
    first, second = heartbeat_folder(), Path(tempfile.mkdtemp(prefix=f"bide-{os.getuid()}-"))
    for folder, node in ((first, "worker-1@here"), (second, "worker-2@here")):
        heartbeat(node=node).write()
        (heartbeat_folder() / f"{node}.json").replace(folder / f"{node}.json")

    assert {each.node for each in heartbeats("worker")} == {"worker-1@here", "worker-2@here"}


def test_heartbeats_of_other_users_do_not_count(foreign: Path) -> None:
    """A heartbeat that lies in a folder where others can write speaks for no worker."""
    forged = json.dumps(asdict(heartbeat(node="worker-9@here")))
    if foreign.is_dir():
        (foreign / "worker-9@here.json").write_text(forged)

    with pytest.raises(UnhealthyError, match="no worker of this user notes a heartbeat"):
        check_workers("worker", patience_seconds=30)


class Consumer:
    """As much of Celery's consumer as the step that notes heartbeats reads."""

    hostname, pool = "worker-1@here", SimpleNamespace(num_processes=4)


def test_a_worker_that_can_not_write_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log says so once, and again when it happens again; the loop turns on, and writes heartbeats once it can."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    step = HeartbeatStep(Consumer())
    with capture_logs() as logs:
        for times in (3, 2):
            for _ in range(times):
                step._tick(Consumer())
            (tmp_path / "gone").mkdir()
            step._tick(Consumer())
            assert [each.node for each in heartbeats("worker")] == ["worker-1@here"]
            shutil.rmtree(tmp_path / "gone")

    assert [entry["event"] for entry in logs] == ["heartbeat.not_written"] * 2


# What it relies on


def test_beat_lock_is_redbeats() -> None:
    """The check reads the key that beat locks."""
    app = Celery("beat", set_as_current=False)
    app.config_from_object(celery_settings(load({"BIDE_S3__BUCKET": "results"}, env_file=None)))

    assert RedBeatConfig(app).lock_key == BEAT_LOCK_KEY


def test_check_of_a_busy_worker_imports_little() -> None:
    """A check that finds its answer in the heartbeat starts without Celery, Redis and the settings."""
    code = "import sys, workers.health; print({'celery', 'redis', 'pydantic'} & set(sys.modules))"
    root = Path(__file__).parents[2]

    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)

    assert done.stdout == "set()\n"
