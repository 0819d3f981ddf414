"""RabbitMQ as the broker, records and results in Redis: jobs come home, also when their worker is killed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery

from bide.contract import CANCEL_TASK, CONTROL_QUEUE
from tests.integration.caller import Caller, image, marker, succeeded
from tests.integration.health_check import HEALTHY, UNHEALTHY, health_becomes
from tests.integration.rabbitmq import RabbitServer, rabbitmq, rabbitmq_missing
from tests.integration.rig import Rig
from tests.integration.test_operations import CASES
from tests.integration.waiting import eventually

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(bool(rabbitmq_missing()), reason=rabbitmq_missing() or "it is there"),
]

#: One of each provider: inline and by link, at once and by polls, one picture and several.
HANDFUL = (
    "cyberphotobooth, inline",
    "dreambooth, text2img at once",
    "dreambooth, img2img",
    "nextry",
    "photogpt, images",
)


class RabbitRig(Rig):
    """The deployment with its messages on RabbitMQ."""

    def __init__(self, folder: Path, broker: RabbitServer) -> None:
        super().__init__(folder)
        self.broker = broker

    def environment(self) -> dict[str, str]:
        own = {"BIDE_BROKER_URL": self.broker.url, "BIDE_LEDGER_URL": self.redis.url, "TMPDIR": str(self._folder)}
        return {**super().environment(), **own}


class RabbitCaller(Caller):
    """A service that sends over RabbitMQ, and finds its results in Redis."""

    def __init__(self, broker_url: str, result_url: str) -> None:
        self.app = Celery("caller", broker=broker_url, backend=result_url, set_as_current=False)


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitRig]:
    """RabbitMQ, Redis, S3, the sandbox, a worker and a poller."""
    folder = tmp_path_factory.mktemp("rabbit")
    with rabbitmq(folder / "rabbitmq") as broker, RabbitRig(folder, broker) as rig:
        yield rig


@pytest.fixture(scope="module")
def caller(rig: RabbitRig) -> Iterator[Caller]:
    """A service that submits jobs."""
    with RabbitCaller(rig.broker.url, rig.redis.url) as caller:
        yield caller


def test_jobs_of_all_providers_come_home(rig: RabbitRig, caller: Caller) -> None:
    """Each is bought once and polled, and its objects are stored; no message is left over."""
    results = {name: caller.submit(CASES[name].request) for name in HANDFUL}

    for name, result in results.items():
        answer = succeeded(result)
        assert [output["role"] for output in answer["outputs"]] == [role for role, _ in CASES[name].outputs]
        assert all(rig.store.read(output["key"])[0] for output in answer["outputs"])
        assert sum(bought["id"] == answer["provider_job_id"] for bought in rig.sandbox.purchases()) == 1


def test_killed_processes_lose_nothing(rig: RabbitRig, caller: Caller) -> None:
    """Worker and poller are killed while jobs are at the provider; another waits for them: all end well, once."""
    mark = marker()
    results = [caller.submit(image(f"{mark} {number}")) for number in range(4)]
    eventually(lambda: len(rig.purchases(mark)) == 4, what="all are bought")
    eventually(lambda: all(rig.state(result.id) != "submitting" for result in results), what="all are known to be")

    rig.worker.kill()
    rig.poller.kill()
    results.append(caller.submit(image(f"{mark} late")))
    rig.mend()

    for result in results:
        succeeded(result)
    assert len(rig.purchases(mark)) == 5


def test_health_sees_a_worker_that_takes_nothing(rig: RabbitRig, caller: Caller) -> None:
    """Healthy while it consumes, unhealthy while a message waits for it in vain."""
    health_becomes(HEALTHY, "poller", rig.environment(), within_seconds=20)
    health_becomes(HEALTHY, "worker", rig.environment(), within_seconds=20)

    reply = caller.app.control.cancel_consumer(CONTROL_QUEUE, reply=True, timeout=10, limit=2)
    assert str(reply).count("no longer consuming") >= 1
    caller.app.send_task(CANCEL_TASK, kwargs={"job_id": "unknown"}, queue=CONTROL_QUEUE, ignore_result=True)
    assert "1 messages wait in " in health_becomes(UNHEALTHY, "worker", rig.environment(), within_seconds=20)

    caller.app.control.add_consumer(CONTROL_QUEUE, reply=True, timeout=10, limit=1)
    health_becomes(HEALTHY, "worker", rig.environment(), within_seconds=20)


def test_killed_broker_loses_nothing(rig: RabbitRig, caller: Caller) -> None:
    """RabbitMQ is killed while jobs are at the provider, and started again: all end well, each bought once."""
    mark = marker()
    results = [caller.submit(image(f"{mark} {number}")) for number in range(3)]
    eventually(lambda: all(rig.state(result.id) == "running" for result in results), what="all are at the provider")

    rig.broker.restart()

    for result in results:
        succeeded(result)
    assert len(rig.purchases(mark)) == 3
    assert rig.worker.alive
    assert rig.poller.alive
