"""`BIDE_LEDGER__SAFE=replica` on real servers: what a replica has not acknowledged is neither sent nor accepted."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bide.client import Client
from bide.errors import NotReplicatedError
from bide.ledger import AccountName, Ledger, Verb
from bide.ledger.connection import connect
from bide.ledger.keys import prefix
from bide.ledger.safety import Safety, announce
from bide.redis_client import close
from tests.contract.ledger_stage import ACCOUNT, request_of, taken
from tests.integration.replicated_redis import MASTER, Replicated, replicated_redis
from tests.integration.waiting import eventually

pytestmark = pytest.mark.integration

ONE = Safety(replicas=1, seconds=0.3)


@pytest.fixture(scope="module")
def led(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicated]:
    """One leader, one replica, three sentinels."""
    with replicated_redis(tmp_path_factory.mktemp("led"), sentinels=3, lines=("appendfsync everysec",)) as redis:
        yield redis


@pytest.fixture
def ledgers(led: Replicated) -> Iterator[list[Ledger]]:
    """Two ledgers of one deployment, each with connections of its own."""
    servers = [connect(led.url, sentinel_master=MASTER) for _ in range(2)]
    yield [Ledger(server, safety=ONE) for server in servers]
    for server in servers:
        close(server)


def replica_has(led: Replicated, job_id: str, account: AccountName = ACCOUNT) -> str:
    """The state of a job as the replica knows it; '' for none."""
    return str(led.replicas[0].client.hget(f"{prefix(account)}job:{job_id}", "state") or "")


def test_nothing_counts_that_the_replica_lacks(led: Replicated, ledgers: list[Ledger]) -> None:
    """Neither a record nor an intent while the replica is silent; afterwards each is there before the call returns."""
    ledger, another = ledgers
    step = ledger.jobs.step("a", ACCOUNT, token="t", request=request_of(), deadline_seconds=900)
    assert replica_has(led, "a") == "queued"

    with led.replicas[0].silent():
        with pytest.raises(NotReplicatedError, match="0 of 1 replicas acknowledged it"):
            ledger.submits.intend(taken(step, Verb.SUBMIT), "t")
        with pytest.raises(NotReplicatedError):  # it was written before; this call writes nothing
            another.submits.intend(taken(step, Verb.SUBMIT), "t")
        with pytest.raises(NotReplicatedError):
            ledger.jobs.open("b", request_of(), deadline_seconds=900)

    assert ledger.submits.intend(taken(step, Verb.SUBMIT), "t") == 1
    assert replica_has(led, "a") == "submitting"
    ledger.jobs.open("b", request_of(), deadline_seconds=900)
    assert replica_has(led, "b") == "queued"


def test_a_client_waits_as_the_workers_announce(led: Replicated) -> None:
    """It returns an id only when a failover would not lose the job."""
    announce(led.leader.client, ONE)
    with Client(led.url, sentinel_master=MASTER) as client:
        with led.replicas[0].silent(), pytest.raises(NotReplicatedError):
            client.submit(request_of(), job_id="c")
        assert client.submit(request_of(), job_id="c") == "c"
    assert replica_has(led, "c") == "queued"


def test_a_new_leader_has_what_counts(led: Replicated, ledgers: list[Ledger]) -> None:
    """The leader is killed after an intent; the replica leads, lacks all scripts, and knows the intent."""
    ledger, _ = ledgers
    record = taken(ledger.jobs.step("d", ACCOUNT, token="t", request=request_of(), deadline_seconds=900), Verb.SUBMIT)
    assert ledger.submits.intend(record, "t") == 1
    led.leader.process.kill()
    eventually(lambda: led.replicas[0].client.info("replication")["role"] == "master", what="the replica leads")

    with pytest.raises(NotReplicatedError):
        ledger.submits.submitted(record, "t", attempt=1, provider_job_id="p")
    assert replica_has(led, "d") == "running"
