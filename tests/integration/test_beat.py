"""Schedules with real beats: processes of the Procfile on a real Redis, and what they leave in the control queue."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery

from bide.bulk.record import Options
from bide.bulk.runs import Runs
from bide.contract import BULK_TASK, CONTROL_QUEUE
from bide.ledger.connection import connect
from config.celery import BEAT_LOCK_SECONDS
from config.schedules import Schedule, load
from tests.integration.processes import Process, plain_environment, procfile
from tests.integration.servers import RedisServer, redis_server
from tests.integration.waiting import eventually
from workers.scheduling.occurrences import GIVE_UP, STATE_KEY, Occurrences, State
from workers.scheduling.scheduler import NEVER_BEGUN, Schedules

pytestmark = pytest.mark.integration

LOCK = "bide:redbeat::lock"


@pytest.fixture(name="server")
def _server() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture(name="client")
def _client(server: RedisServer) -> Iterator[redis.Redis]:
    with connect(server.url) as client:
        yield client


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    """A schedule that came due at the last full minute, and will not again for a day."""
    due = datetime.now(UTC)
    file = tmp_path / "schedules.toml"
    file.write_text(
        f'[schedules.nightly]\ncron = "{due.minute} {due.hour} * * *"\nsource = "s3://uploads/rows.jsonl"\n'
        "options = { max_jobs = 7 }\n"
    )
    return file


def remember(client: redis.Redis, schedule: Schedule, until: datetime) -> None:
    """An earlier beat has decided about everything up to then."""
    state = State(rule=schedule.rule, until=until.isoformat())
    fields: dict[Any, Any] = {**state.fields()}
    client.hset(STATE_KEY.format(schedule.name), mapping=fields)


def beats(server: RedisServer, file: Path, folder: Path, *names: str) -> list[Process]:
    """Beats as the Procfile has them, but for the file; started at the same time, each writes when it begins."""
    env = {
        **plain_environment(),
        "BIDE_BROKER_URL": server.url,
        "BIDE_S3__BUCKET": "results",
        "BIDE_LOG__FORMAT": "json",
    }
    command = ["bash", "-c", f"exec {procfile()['beat']} --schedule={file}"]
    return [Process(name, command, env=env, ready=r"beat: Starting", log=folder / f"{name}.log") for name in names]


@pytest.fixture(name="pair")
def _pair(server: RedisServer, file: Path, tmp_path: Path) -> Iterator[list[Process]]:
    """Two of them, not started."""
    pair = beats(server, file, tmp_path, "one", "other")
    yield pair
    for beat in pair:
        beat.kill()


def start_at_once(pair: list[Process]) -> None:
    """Start both, neither waiting for the other."""
    threads = [threading.Thread(target=beat.start) for beat in pair]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def sent(client: redis.Redis) -> list[dict[str, Any]]:
    """What lies in the control queue: the argument of each `bide.bulk`."""
    messages: list[Any] = client.lrange(CONTROL_QUEUE, 0, -1)
    decoded = [json.loads(message) for message in messages]
    assert {message["headers"]["task"] for message in decoded} <= {BULK_TASK}
    return [json.loads(base64.b64decode(message["body"]))[1]["run"] for message in decoded]


def test_two_beats_start_one_run(client: redis.Redis, file: Path, pair: list[Process]) -> None:
    """Two at once, then the one that works is killed and the other takes over: the time starts its run once.

    A message that is lost meanwhile is sent again, until there is the run.
    """
    [schedule] = load(file)
    remember(client, schedule, datetime.now(UTC) - timedelta(hours=2))
    start_at_once(pair)

    [run] = eventually(lambda: sent(client), what="the run is sent")
    run_id = run["run_id"]
    assert run == {"run_id": run_id, "source": "s3://uploads/rows.jsonl", "options": {"max_jobs": 7}}
    assert run_id == schedule.run_id(datetime.fromisoformat(Occurrences(client).state("nightly").last_due))

    client.delete(CONTROL_QUEUE)  # lost
    assert eventually(lambda: sent(client), what="the lost message is sent again") == [run]

    Runs(client).create(run_id, rows=1, digest="of the rows", source=run["source"], options=Options())
    Runs(client).begin(run_id)
    eventually(lambda: not Occurrences(client).pending(), what="the run is seen to have begun")
    working, waiting = sorted(pair, key=lambda beat: "Acquired lock" not in beat.output())
    assert "Acquired lock" not in waiting.output()
    working.kill()
    client.delete(CONTROL_QUEUE)
    eventually(lambda: "Acquired lock" in waiting.output(), what="takes over", within_seconds=2 * BEAT_LOCK_SECONDS)
    eventually(lambda: (left := client.pttl(LOCK)) and left > 0, what="turns")

    assert sent(client) == []
    assert Occurrences(client).state("nightly").missed_count == 0


def test_redis_that_restarts_costs_no_run(
    client: redis.Redis, file: Path, pair: list[Process], server: RedisServer
) -> None:
    """The notes are on disk, and beat goes on once Redis is back."""
    [schedule] = load(file)
    pair[0].start()
    eventually(lambda: Occurrences(client).state("nightly").rule, what="the schedule is known")
    server.stop()
    server.start()
    remember(client, schedule, datetime.now(UTC) - timedelta(hours=2))

    [run] = eventually(lambda: sent(client), what="the run is sent")
    assert run["run_id"] in Occurrences(client).pending()
    assert pair[0].alive


@pytest.fixture(name="schedules")
def _schedules(server: RedisServer) -> Iterator[Schedules]:
    """Beat's own, in this process; there is nothing but what was due before."""
    with Celery("beat", broker=server.url, set_as_current=False) as app:
        app.conf.redbeat_redis_url = server.url
        yield Schedules(app, ())


def test_run_whose_rows_are_being_read_is_not_asked_for_again(
    client: redis.Redis, file: Path, schedules: Schedules
) -> None:
    """It may take longer than all the times between two messages; it is asked for when its worker has died at it."""
    [schedule] = load(file)
    now = datetime.now(UTC)
    remember(client, schedule, now - timedelta(hours=2))
    [run_id] = Occurrences(client).advance(schedule, now=now)

    with Runs(client).intake_lease(run_id, seconds=60):
        schedules.turn(now + timedelta(hours=3))
        assert sent(client) == []
    schedules.turn(now + timedelta(hours=3))
    assert [run["run_id"] for run in sent(client)] == [run_id]


@pytest.mark.parametrize("noted", [False, True])
def test_run_that_no_worker_begins_is_listed_with_the_reason(
    client: redis.Redis, file: Path, schedules: Schedules, *, noted: bool
) -> None:
    """Whether no worker ever had it, or one died at it and none came after."""
    [schedule] = load(file)
    now = datetime.now(UTC)
    remember(client, schedule, now - timedelta(hours=2))
    [run_id] = Occurrences(client).advance(schedule, now=now)
    if noted:
        Runs(client).create(run_id, rows=3, digest="of the rows", source=schedule.source, options=Options())

    schedules.turn(now + GIVE_UP + timedelta(hours=1))
    [run] = Runs(client).all()
    assert (run.run_id, run.over, run.text("note")) == (run_id, True, NEVER_BEGUN)
    assert not Occurrences(client).pending()


@pytest.mark.parametrize("at_once", [8])
def test_beats_without_a_lock_decide_once(client: redis.Redis, file: Path, server: RedisServer, at_once: int) -> None:
    """A beat that was held up may believe that the lock is still its own: the transaction decides, not the lock."""
    [schedule] = load(file)
    remember(client, schedule, datetime.now(UTC) - timedelta(hours=2))
    barrier, started = threading.Barrier(at_once), list[str]()

    def decide() -> None:
        with connect(server.url) as own:
            occurrences = Occurrences(own)
            barrier.wait()
            started.extend(occurrences.advance(schedule, now=datetime.now(UTC)))

    threads = [threading.Thread(target=decide) for _ in range(at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(started) == 1


def test_wrong_file_ends_beat_with_all_that_is_wrong(server: RedisServer, tmp_path: Path) -> None:
    """At its start, in words, and without a traceback."""
    file = tmp_path / "wrong.toml"
    file.write_text('[schedules.a]\ncron = "daily"\nsource = 3\n')
    [beat] = beats(server, file, tmp_path, "wrong")

    with pytest.raises(AssertionError):
        beat.start()

    assert beat.wait(5) == 1
    assert "2 problems with the configuration" in beat.output()
    assert "wrong.toml: schedules.a.cron: must have 5 fields, not 1" in beat.output()
    assert "Traceback" not in beat.output()
