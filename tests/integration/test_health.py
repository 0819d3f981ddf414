"""The health check against real processes: those that work are healthy, those that only live are not."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from celery import Celery

from bide.contract import CANCEL_TASK, CONTROL_QUEUE, POLL_QUEUE, POLL_TASK
from tests.integration.health_check import HEALTHY, UNHEALTHY, health, health_becomes
from tests.integration.processes import Process, plain_environment
from tests.integration.servers import RedisServer, free_port, redis_server

pytestmark = pytest.mark.integration

#: What each process writes once it serves.
READY = {
    "worker": r"worker-(\d+)@\S+ ready",
    "poller": r"poller-(\d+)@\S+ ready",
    "beat": r"beat: Starting",
    "flower": r"Visit me at ",
}


@dataclass(frozen=True)
class Deployment:
    """A Redis, and the environment of its processes."""

    redis: RedisServer
    folder: Path
    environment: dict[str, str]

    @contextmanager
    def process(self, name: str) -> Iterator[re.Match[str]]:
        """A process of the Procfile while the block runs; returns its line when it is ready."""
        process = Process.of_procfile(name, env=self.environment, ready=READY[name], folder=self.folder)
        try:
            yield process.start()
        finally:
            process.kill()

    def health(self, name: str) -> tuple[int, str]:
        """Exit code and output of the check."""
        return health(name, self.environment)

    def becomes(self, name: str, code: int) -> str:
        """Wait until the check ends with `code`; returns its output."""
        return health_becomes(code, name, self.environment)


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    """A deployment of this test alone, with a runtime folder of its own."""
    with redis_server() as server:
        settings = {
            "BIDE_BROKER_URL": server.url,
            "BIDE_S3__BUCKET": "results",
            "BIDE_FLOWER__PORT": str(free_port()),
            "TMPDIR": str(tmp_path),
        }
        yield Deployment(server, tmp_path, {**plain_environment(), **settings})


@pytest.fixture
def operator(deployment: Deployment) -> Iterator[Celery]:
    """A plain Celery app on the same broker."""
    with Celery("operator", broker=deployment.redis.url, set_as_current=False) as app:
        app.conf.task_ignore_result = True
        yield app


def test_worker_is_healthy_while_it_takes_messages(deployment: Deployment, operator: Celery) -> None:
    """A worker is healthy while it runs, idle or not, and for no other process; a dead one is not."""
    assert deployment.health("worker")[0] == UNHEALTHY

    with deployment.process("worker"):
        assert "0 of 32 threads busy" in deployment.becomes("worker", HEALTHY)
        operator.send_task(CANCEL_TASK, kwargs={"job_id": "unknown"}, queue=CONTROL_QUEUE)
        assert deployment.health("worker")[0] == HEALTHY
        assert deployment.health("poller")[0] == UNHEALTHY

    assert "no worker" in deployment.health("worker")[1]


def test_worker_that_stands_still_is_unhealthy(deployment: Deployment) -> None:
    """A process that is there and does nothing is found, and is healthy again once it goes on."""
    with deployment.process("worker") as ready:
        deployment.becomes("worker", HEALTHY)

        os.kill(int(ready[1]), signal.SIGSTOP)
        assert "its loop has not turned" in deployment.becomes("worker", UNHEALTHY)

        os.kill(int(ready[1]), signal.SIGCONT)
        deployment.becomes("worker", HEALTHY)


def test_deaf_worker_is_unhealthy(deployment: Deployment, operator: Celery) -> None:
    """A worker that turns and answers, but leaves messages waiting while its threads are free, is found."""
    with deployment.process("poller"):
        deployment.becomes("poller", HEALTHY)
        reply = operator.control.cancel_consumer(POLL_QUEUE, reply=True, timeout=10, limit=1)
        assert "no longer consuming" in str(reply)
        assert deployment.health("poller")[0] == HEALTHY

        operator.send_task(POLL_TASK, args=["photogpt", "default", 1], queue=POLL_QUEUE)
        assert "1 messages wait in bide.poll" in deployment.becomes("poller", UNHEALTHY)

        operator.control.add_consumer(POLL_QUEUE, reply=True, timeout=10, limit=1)
        deployment.becomes("poller", HEALTHY)


def test_worker_without_its_broker_is_unhealthy(deployment: Deployment) -> None:
    """While Redis is away no work is done; once it is back the same process is healthy again."""
    with deployment.process("worker"):
        deployment.becomes("worker", HEALTHY)

        deployment.redis.stop()
        deployment.becomes("worker", UNHEALTHY)

        deployment.redis.start()
        deployment.becomes("worker", HEALTHY)


@pytest.mark.parametrize("name", ["beat", "flower"])
def test_beat_and_flower_are_healthy_while_they_run(name: str, deployment: Deployment) -> None:
    """Beat is healthy while it has the lock on the schedules, Flower while it answers."""
    assert deployment.health(name)[0] == UNHEALTHY

    with deployment.process(name):
        deployment.becomes(name, HEALTHY)
