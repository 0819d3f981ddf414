"""A Redis that refuses to write: every process waits, says so, and goes on; no job is lost or bought twice."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from kombu import Exchange

from bide.client import Client
from bide.errors import LedgerAwayError
from bide.ledger.connection import PATIENCE_SECONDS as LEDGER_PATIENCE_SECONDS
from tests.integration.caller import Caller, image, marker, succeeded
from tests.integration.processes import ROOT, Process, plain_environment
from tests.integration.refusing import KINDS, refusing
from tests.integration.rig import Rig
from tests.integration.servers import RedisServer
from tests.integration.waiting import eventually

pytestmark = pytest.mark.integration


def _some(*usual: str, of: Sequence[str]) -> list[Any]:
    """All kinds of refusals; each boots a deployment, so only the usual ones are in `make test`."""
    return [kind if kind in usual else pytest.param(kind, marks=pytest.mark.whole) for kind in of]


#: What each process writes once Redis refuses it, and once it works.
WAITS = {"worker": "broker.refuses", "poller": "broker.refuses", "beat": "schedules.away"}
WORKS = {"worker": r"worker-\d+@\S+ ready", "poller": r"poller-\d+@\S+ ready", "beat": "Acquired lock"}

#: Jobs in flight while Redis refuses, and for how long it does [seconds]: longer than a lease here.
JOBS, REFUSED_SECONDS = 16, 5.0


class Deployment:
    """A Redis and the processes on it."""

    def __init__(self, server: RedisServer, folder: Path) -> None:
        self.redis, self.folder = server, folder
        settings = {"BIDE_BROKER_URL": server.url, "BIDE_S3__BUCKET": "results", "BIDE_LOG__FORMAT": "json"}
        self.environment = {**plain_environment(), **settings, "TMPDIR": str(folder)}

    @contextmanager
    def processes(self, ready: Mapping[str, str], *, logs: str = "") -> Iterator[list[Process]]:
        """Processes of the Procfile, not started, by what they write when they are; `logs` is a folder for that."""
        folder = self.folder / logs
        folder.mkdir(exist_ok=True)
        made = [
            Process.of_procfile(name, env=self.environment, ready=word, folder=folder) for name, word in ready.items()
        ]
        try:
            yield made
        finally:
            for process in made:
                process.kill()

    def is_healthy(self, name: str) -> bool:
        """Whether the check of a process ends with 0."""
        return self.run("python", "-m", "workers.health", name)[0] == 0

    def health(self, name: str, *, naming: str = "") -> tuple[int, str] | None:
        """Exit code and output of the check, once the output contains `naming`."""
        code, words = self.run("python", "-m", "workers.health", name)
        return (code, words) if naming in words else None

    def run(self, *command: str) -> tuple[int, str]:
        """Exit code and output of a command that ends."""
        done = subprocess.run(
            command,
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def alone(own_redis: RedisServer, tmp_path: Path) -> Deployment:
    """An empty one, no process started."""
    return Deployment(own_redis, tmp_path)


def lines(process: Process, event: str) -> list[dict[str, Any]]:
    """The lines that a process has logged under that name."""
    logged = [json.loads(line) for line in process.output().splitlines() if line.startswith("{")]
    return [line for line in logged if line["event"] == event]


def broadcast_ping(app: Celery) -> None:
    """Have all workers answer, as `celery inspect ping` does; nothing is written for it here."""
    with app.connection() as connection, connection.Producer() as producer:
        control: Any = app.control
        exchange = Exchange("celery.pidbox", type="fanout", durable=False)
        answer = {"exchange": "reply.celery.pidbox", "routing_key": control.mailbox(connection).oid}
        producer.publish(
            {"method": "ping", "arguments": {}, "destination": None, "ticket": "t", "reply_to": answer},
            exchange=exchange,
            declare=[exchange],
            routing_key="",
            serializer="json",
        )


def works(process: Process) -> bool:
    """Whether it has written that it does."""
    return bool(re.search(WORKS[process.name], process.output()))


@pytest.mark.parametrize("kind", _some("NOREPLICAS", "READONLY", of=KINDS))
def test_processes_that_start_wait_for_writes(kind: str, alone: Deployment) -> None:
    """Each says why on one line, is not healthy, and works as soon as Redis takes writes."""
    with alone.processes(WAITS) as processes:
        with refusing(alone.redis, kind):
            for process in processes:
                process.start()
            for process in processes:
                code, words = eventually(partial(alone.health, process.name, naming=kind), what="the check says why")
                assert (code, process.alive) == (1, True)
                assert "refuse" in words
                [line] = lines(process, WAITS[process.name])
                assert kind in line["reason"]

        for process in processes:
            eventually(partial(works, process), what="it works", within_seconds=10)
            eventually(partial(alone.is_healthy, process.name), what="it is healthy")
            assert "Traceback" not in process.output()


@pytest.mark.parametrize("kind", _some("OOM", of=["NOREPLICAS", "OOM"]))
def test_jobs_in_flight_outlive_a_refusal(kind: str, rig: Rig, caller: Caller) -> None:
    """Whatever step they were at, each ends well and was bought once, and no process has ended."""
    word = marker()
    pids = rig.worker.pid, rig.poller.pid
    results = [caller.submit(image(f"{word} {number}")) for number in range(JOBS)]
    eventually(lambda: len(rig.purchases(word)) >= JOBS // 4, what="some are bought")

    with refusing(rig.redis, kind):
        time.sleep(REFUSED_SECONDS)  # what is to be outlived

    for result in results:
        succeeded(result)
    assert len(rig.purchases(word)) == JOBS
    assert (rig.worker.pid, rig.poller.pid) == pids
    assert rig.worker.alive
    assert rig.poller.alive


@pytest.mark.parametrize("kind", _some("NOREPLICAS", "BUSY", of=["NOREPLICAS", "READONLY", "BUSY"]))
def test_processes_at_work_go_on(kind: str, alone: Deployment) -> None:
    """Also one that is asked something meanwhile and can't write its answer; all are healthy again afterwards."""
    app = Celery("operator", broker=alone.redis.url, set_as_current=False)
    with app, alone.processes(WORKS) as processes:
        for process in processes:
            process.start()
        assert app.control.ping(timeout=10, limit=2)

        with refusing(alone.redis, kind):
            if kind != "BUSY":  # with which nobody can ask
                broadcast_ping(app)
            for process in processes:
                eventually(partial(lines, process, WAITS[process.name]), what=f"{process.name} says so")
            for process in processes:
                code, _ = eventually(partial(alone.health, process.name, naming=kind), what="the check says so")
                assert code == 1

        for process in processes:
            eventually(partial(alone.is_healthy, process.name), what="it is healthy")
            assert process.alive
            assert len({line["reason"] for line in lines(process, WAITS[process.name])}) < 3
        assert len(app.control.ping(timeout=10, limit=2) or ()) == 2


def test_processes_end_while_redis_refuses(alone: Deployment) -> None:
    """Asked to end, each does so in good order, whether it waits at its start or had begun to work."""
    with alone.processes(WORKS) as working:
        for process in working:
            process.start()
        with refusing(alone.redis, "NOREPLICAS"), alone.processes(WAITS, logs="late") as waiting:
            for process in waiting:
                process.start()
            for process in [*working, *waiting]:
                process.ask_to_end()
            for process in [*working, *waiting]:
                assert process.wait(30) == 0
            assert not any("Traceback" in process.output() for process in working)


def test_a_client_gets_the_reason(alone: Deployment) -> None:
    """Within its patience, in words without a raw error; and so is a person at a terminal."""
    with Client(alone.redis.url) as client:
        job_id = client.submit(image())
        with refusing(alone.redis, "NOREPLICAS"):
            begun = time.monotonic()
            with pytest.raises(LedgerAwayError, match="refuses writes: NOREPLICAS, too few replicas"):
                client.submit(image())
            assert time.monotonic() - begun < LEDGER_PATIENCE_SECONDS + 5
            code, words = alone.run("bide", "cancel", job_id)
            assert (code, words.count("\n")) == (1, 1)
            assert "Redis refuses writes: NOREPLICAS" in words
            words = alone.run("python", "-m", "workers.doctor")[1]
            assert "it refuses them: NOREPLICAS" in words
            assert "Traceback" not in words
        assert client.submit(image())


def test_what_is_read_is_shown_while_redis_refuses_even_a_ping(alone: Deployment) -> None:
    """A Redis that can't save answers no PING, and all that is asked."""
    with Client(alone.redis.url) as client:
        job_id = client.submit(image())
    with refusing(alone.redis, "MISCONF"):
        code, words = alone.run("bide", "status", job_id)
    assert (code, job_id in words) == (0, True)
