"""A Redis that takes connections and does not answer: every process waits, and beat takes its lock anew."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bide.ledger.connection import connect
from config.celery import BEAT_LOCK_SECONDS
from config.schedules import load
from tests.faults.chaos.proxy import Wire
from tests.integration.processes import Process, plain_environment
from tests.integration.servers import RedisServer, free_port, redis_server
from tests.integration.test_beat import remember, sent
from tests.integration.waiting import eventually

pytestmark = pytest.mark.integration

LOCK = "bide:redbeat::lock"

#: How long the lock of `tests.integration.quick_beat` lives [seconds].
LOCK_SECONDS = 3.0

#: Makes a Redis silent for the block.
Silence = Callable[[RedisServer, Wire], AbstractContextManager[None]]


@pytest.fixture(name="server")
def _server() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@contextmanager
def stopped(server: RedisServer, _: Wire) -> Iterator[None]:
    """SIGSTOP: the kernel takes connections, no one reads them. What was sent meanwhile is read afterwards."""
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


@contextmanager
def swallowed(_: RedisServer, wire: Wire) -> Iterator[None]:
    """A proxy that takes all and passes nothing on."""
    wire.swallows = True
    try:
        yield
    finally:
        wire.swallows = False


def environment(url: str, folder: Path) -> dict[str, str]:
    """Of a deployment without providers."""
    own = {"BIDE_BROKER_URL": url, "BIDE_S3__BUCKET": "results", "BIDE_LOG__FORMAT": "json", "TMPDIR": str(folder)}
    return {**plain_environment(), **own}


@pytest.fixture(name="beat")
def _beat(wire: Wire, file: Path, tmp_path: Path) -> Iterator[Process]:
    """A beat with short times, behind the wire; not started."""
    address = f"redis://127.0.0.1:{wire.port}/0"
    command = [sys.executable, "-m", "celery", "-A", "tests.integration.quick_beat", "beat", "--loglevel=INFO"]
    beat = Process(
        "beat",
        [*command, "--pidfile=", f"--schedule={file}"],
        env=environment(address, tmp_path),
        ready="Acquired lock",
        log=tmp_path / "beat.log",
    )
    yield beat
    beat.kill()


@pytest.fixture(name="wire")
def _wire(server: RedisServer) -> Iterator[Wire]:
    with Wire(urlsplit(server.url).port or 0, reads=False) as wire:
        yield wire


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    """A schedule that came due at the last full minute, and will not again for a day."""
    due = datetime.now(UTC)
    file = tmp_path / "schedules.toml"
    file.write_text(f'[schedules.a]\ncron = "{due.minute} {due.hour} * * *"\nsource = "s3://uploads/rows.jsonl"\n')
    return file


@pytest.mark.parametrize("silence", [stopped, swallowed])
@pytest.mark.parametrize("seconds", [1.5, LOCK_SECONDS + 2.0, 4.0 * LOCK_SECONDS])
def test_beat_outlives_a_silence(
    server: RedisServer, wire: Wire, beat: Process, file: Path, silence: Silence, seconds: float
) -> None:
    """Shorter and longer than its lock lives: it goes on, has the lock again, and sends the run that came due."""
    beat.start()
    with silence(server, wire):
        time.sleep(seconds)

    with connect(server.url) as client:
        remember(client, load(file)[0], datetime.now(UTC) - timedelta(hours=2))
        [run] = eventually(lambda: sent(client), what="the run is sent")
        eventually(lambda: (left := client.pttl(LOCK)) and left > 0, what="the lock is held")
    assert run["source"] == "s3://uploads/rows.jsonl"
    assert beat.alive
    assert "Traceback" not in beat.output()
    if seconds > 2 * LOCK_SECONDS:
        assert "schedules.away" in beat.output()
        assert beat.output().count("Acquired lock") >= 2


def test_beat_that_begins_in_a_silence_waits(wire: Wire, beat: Process) -> None:
    """It takes its lock once Redis answers."""
    wire.swallows = True
    starting = threading.Thread(target=beat.start)
    starting.start()
    eventually(lambda: "schedules.away" in beat.output(), what="it waits")
    wire.swallows = False
    starting.join()

    assert beat.alive


def test_beat_that_loses_its_lock_to_another_waits_for_it(server: RedisServer, wire: Wire, beat: Process) -> None:
    """It ends neither the other's lock nor itself."""
    beat.start()
    with connect(server.url) as client, swallowed(server, wire):
        eventually(lambda: client.set(LOCK, "another beat's", nx=True, px=6000), what="the lock runs out")
    eventually(lambda: "schedules.lock_lost" in beat.output(), what="it notices")
    with connect(server.url) as client:
        assert client.get(LOCK) == "another beat's"
        eventually(lambda: client.get(LOCK) not in (None, "another beat's"), what="it has the lock again")
    assert beat.alive


@pytest.mark.whole
@pytest.mark.timeout(300)
def test_a_silence_of_fifty_seconds_ends_no_process(server: RedisServer, tmp_path: Path) -> None:
    """With the times of a deployment, under honcho, which ends all processes when one ends."""
    ports = {"BIDE_METRICS__PORT": str(free_port()), "BIDE_FLOWER__PORT": str(free_port())}
    honcho = Process(
        "honcho",
        [sys.executable, "-m", "honcho", "start"],
        env=environment(server.url, tmp_path) | ports,
        ready=r"Acquired lock[\s\S]*",
        log=tmp_path / "honcho.log",
    )
    try:
        honcho.start()
        for name in ("worker", "poller"):
            eventually(lambda name=name: f"{name}-" in honcho.output() or None, what=f"{name} serves")  # type: ignore[misc]  # bound
        os.kill(server.pid, signal.SIGSTOP)
        time.sleep(2 * BEAT_LOCK_SECONDS)  # the silence under test, in which no process can show anything
        os.kill(server.pid, signal.SIGCONT)
        eventually(lambda: honcho.output().count("Acquired lock") == 2, what="beat has its lock again")
        with connect(server.url) as client:
            eventually(lambda: (left := client.pttl(LOCK)) and left > 0, what="the lock is held")
        assert honcho.alive
        assert "stopped" not in honcho.output()
    finally:
        honcho.ask_to_end()
        honcho.wait(60)
