"""`bide doctor` and Redis with replicas: a failover may lose jobs, and a promise is made for one server alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from config.settings import load
from tests.integration.doctoring import doctor, one
from tests.integration.guarded_redis import PASSWORD
from tests.integration.replicated_redis import MASTER, Replicated, replicated_redis
from tests.integration.rig import Rig
from tests.integration.servers import free_port
from tests.integration.waiting import eventually
from workers.doctor.findings import Finding, Level
from workers.doctor.servers import check_servers

pytestmark = pytest.mark.integration

#: What is only true where no failover can happen.
PROMISE = "a power cut loses nothing"

BOUNDED = ("min-replicas-to-write 1", "min-replicas-max-lag 10")


def findings(redis: Replicated, **environment: str) -> list[Finding]:
    """What is found about the servers; no password stands in any of it."""
    env = {**redis.environment(), "BIDE_S3__BUCKET": "bide", **environment}
    found = list(check_servers(load(env, None)))
    assert PASSWORD not in str(found)
    return found


def words(found: Sequence[Finding]) -> str:
    """All words in one."""
    return " ".join(f"{each.says} {each.remedy}" for each in found)


@pytest.fixture(scope="module")
def led(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicated]:
    """One leader, one replica, three sentinels, and none of them bounds what a failover loses."""
    with replicated_redis(tmp_path_factory.mktemp("led"), sentinels=3) as redis:
        yield redis


def test_one_server_keeps_its_promise(tmp_path: Path) -> None:
    """Without replicas and sentinels no finding is about either, and a power cut loses nothing."""
    with replicated_redis(tmp_path, replicas=0) as redis:
        found = findings(redis)

    assert PROMISE in one(found, "persistence").says
    assert "replica" not in words(found)
    assert {each.level for each in found} == {Level.OK}


def test_a_failover_is_no_power_cut(led: Replicated) -> None:
    """Under Sentinel a failover may lose jobs: a finding, with the settings that bound it, and no finding denies it."""
    found = findings(led)

    replicas = one(found, "replicas of redis")
    assert replicas.level is Level.WARNING
    assert "min-replicas-to-write is 0" in replicas.says
    assert "jobs may be lost or bought twice" in replicas.says
    assert "CONFIG SET min-replicas-to-write 1" in replicas.remedy
    assert "min-replicas-max-lag 10" in replicas.remedy
    assert one(found, f"replica 127.0.0.1:{led.replicas[0].port}").level is Level.OK
    assert one(found, "sentinels").level is Level.OK
    assert PROMISE not in words(found)


def test_replicas_without_sentinels(tmp_path: Path) -> None:
    """A replica is found on the leader's plain address too: another system may fail over to it."""
    with replicated_redis(tmp_path) as redis:
        found = findings(redis)

    assert one(found, "replicas of redis").level is Level.WARNING
    assert PROMISE not in words(found)


def test_a_bounded_leader_is_as_well_as_it_gets(tmp_path: Path) -> None:
    """With `min-replicas-to-write` nothing is to be done, and what a failover loses is still listed."""
    with replicated_redis(tmp_path, sentinels=3, lines=BOUNDED) as redis:
        found = findings(redis)

        replicas = one(found, "replicas of redis")
        assert {each.level for each in found} == {Level.OK}
        assert "stops taking writes after 10 s" in replicas.says
        assert "a failover loses" in replicas.says
        assert PROMISE not in words(found)

        redis.leader.client.config_set("min-replicas-max-lag", 3600)
        assert "takes writes for 3600 s" in one(findings(redis), "replicas of redis").says
        redis.leader.client.config_set("min-replicas-max-lag", 0)
        assert "min-replicas-max-lag 0" in one(findings(redis), "replicas of redis").says


def test_a_replica_that_would_lead_otherwise_is_found(tmp_path: Path) -> None:
    """After a failover its own settings hold: each that a promise rests on is looked at there too."""
    with replicated_redis(tmp_path, sentinels=3, lines=BOUNDED) as redis:
        replica = redis.replicas[0]
        replica.client.config_set("maxmemory-policy", "allkeys-lru")
        replica.client.config_set("appendonly", "no")
        replica.client.config_set("min-replicas-to-write", 0)
        found = findings(redis)

    address = f"replica 127.0.0.1:{replica.port}"
    assert "allkeys-lru" in one(found, f"eviction of {address}").says
    assert "append-only file is off" in one(found, f"persistence of {address}").says
    assert one(found, f"limit of {address}").level is Level.WARNING


def test_a_silent_replica_lags_and_then_stops_all_writes(tmp_path: Path) -> None:
    """Lag is given in seconds and bytes; when no replica keeps up, the leader refuses writes, and that is a problem."""
    with replicated_redis(tmp_path, lines=("min-replicas-to-write 1", "min-replicas-max-lag 6")) as redis:
        address = f"replica 127.0.0.1:{redis.replicas[0].port}"
        with redis.replicas[0].silent():
            redis.leader.client.set("written meanwhile", "x" * 1000)
            lagging = eventually(lambda: _warned(findings(redis), address), what="the replica lags")
            refused = eventually(lambda: _refusing(findings(redis)), what="the leader refuses writes")

    assert "s silent" in lagging.says
    assert int(lagging.says.partition(" bytes behind")[0].rpartition(" ")[2]) >= 1000
    assert "every write is refused" in refused.says


def _warned(found: list[Finding], address: str) -> Finding | None:
    lag = one(found, address)
    return lag if lag.level is Level.WARNING and lag.says.startswith("lags") else None


def _refusing(found: list[Finding]) -> Finding | None:
    replicas = one(found, "replicas of redis")
    return replicas if replicas.level is Level.PROBLEM else None


def test_a_replica_that_lacks_much_is_found(led: Replicated) -> None:
    """One that still answers may lag by bytes: here it is stopped for less than the seconds that count."""
    with led.replicas[0].silent():
        led.leader.client.set("large", "x" * 2**21)
        lag = one(findings(led), f"replica 127.0.0.1:{led.replicas[0].port}")
    led.leader.client.delete("large")

    assert lag.level is Level.WARNING
    assert "bytes behind" in lag.says


def test_sentinel_without_a_replica(tmp_path: Path) -> None:
    """Nothing could take over, and one sentinel alone could not decide."""
    with replicated_redis(tmp_path, replicas=0, sentinels=1, quorum=1) as redis:
        found = findings(redis)

    assert "no replica is connected" in one(found, "replicas of redis").says
    assert "1 watches the leader" in one(found, "sentinels").says
    assert {one(found, "replicas of redis").level, one(found, "sentinels").level} == {Level.WARNING}
    assert PROMISE not in words(found)


def test_an_address_that_leads_to_a_replica(tmp_path: Path) -> None:
    """It answers and takes no write: a problem, and what runs there is not asked for."""
    with replicated_redis(tmp_path) as redis:
        replica = redis.replicas[0]
        found = findings(redis, BIDE_BROKER_URL=replica.url)

    role = one(found, "redis")
    assert role.level is Level.PROBLEM
    assert f"a replica of 127.0.0.1:{redis.leader.port}" in role.says
    assert "name the leader" in role.remedy
    assert PROMISE not in words(found)


def test_too_few_sentinels_to_agree(tmp_path: Path) -> None:
    """Sentinels that are gone are named; when the rest can't agree, no failover is possible."""
    with replicated_redis(tmp_path, sentinels=3, quorum=3) as redis:
        lost = redis.sentinels[2]
        lost.process.kill()
        found = eventually(lambda: _unable(findings(redis)), what="the sentinels miss the third")

    silent, quorum = (each for each in found if each.check.startswith("sentinels"))
    assert f"127.0.0.1:{lost.port}" in silent.says
    assert "can't agree on a failover" in quorum.says


def _unable(found: list[Finding]) -> list[Finding] | None:
    return found if any(each.level is Level.PROBLEM for each in found) else None


def test_a_name_that_no_sentinel_knows(led: Replicated) -> None:
    """The variable to correct is named."""
    found = one(findings(led, BIDE_SENTINEL_MASTER="another"), "redis")

    assert found.level is Level.PROBLEM
    assert "BIDE_SENTINEL_MASTER" in found.remedy


def test_a_server_that_closes_config(tmp_path: Path) -> None:
    """A managed service may refuse CONFIG: what can't be read is not promised."""
    with replicated_redis(tmp_path, lines=("user guest on >guest allcommands allkeys allchannels -config",)) as redis:
        guest = redis.leader.url.replace(f":{PASSWORD}@", "guest:guest@")
        unknown = findings(redis, BIDE_BROKER_URL=guest)
        for name, _, value in (line.partition(" ") for line in BOUNDED):
            redis.leader.client.config_set(name, value)
        bounded = findings(redis, BIDE_BROKER_URL=guest)

    assert "can't be read" in one(unknown, "replicas of redis").says
    assert one(unknown, "replicas of redis").level is Level.WARNING
    assert one(bounded, "replicas of redis").level is Level.OK  # INFO counts good replicas only where a limit is set
    assert PROMISE not in words(unknown) + words(bounded)


def test_what_is_lost_depends_on_the_use(led: Replicated, tmp_path: Path) -> None:
    """A broker or a place of results with replicas loses less than a ledger, and other things."""
    with replicated_redis(tmp_path, replicas=0) as alone:
        found = findings(led, BIDE_LEDGER_URL=alone.url)

    assert PROMISE in one(found, "persistence of redis (ledger)").says
    assert "callers may never learn" in one(found, "replicas of redis (broker, result)").says


def test_the_whole_command_under_sentinel(rig: Rig, led: Replicated) -> None:
    """A person reads it, no check breaks, and a dead sentinel among those named is a warning."""
    gone = f"127.0.0.1:{free_port()}"
    done = doctor(rig, BIDE_BROKER_URL=f"{led.url};sentinel://{gone}/0", BIDE_SENTINEL_MASTER=MASTER)

    assert "min-replicas-to-write is 0" in done.stdout
    assert f"no answer about {MASTER} from {gone}" in done.stdout
    assert PROMISE not in done.stdout
    assert "the check itself broke" not in done.stdout
    assert PASSWORD not in done.stdout + done.stderr


@pytest.mark.whole
def test_the_whole_command_on_a_replica(rig: Rig, led: Replicated) -> None:
    """The exit code is 1, and nothing is asked that would have to write there."""
    done = doctor(rig, BIDE_BROKER_URL=led.replicas[0].url)

    assert done.returncode == 1
    assert "takes no writes" in done.stdout
    assert "the check itself broke" not in done.stdout


def test_a_ledger_that_waits_is_tried(led: Replicated) -> None:
    """A write is waited for as a submit does; what the loss of it costs is another thing then."""
    safe = {"BIDE_LEDGER__SAFE": "replica", "BIDE_LEDGER__SAFE_SECONDS": "0.5"}
    found = findings(led, **safe)
    tried = one(found, "safety of the ledger")
    assert tried.level is Level.OK
    assert "1 of 1 replicas acknowledged a write in" in tried.says
    assert "bought twice" not in words(found)

    too_few = one(findings(led, **safe, BIDE_LEDGER__SAFE_REPLICAS="2"), "safety of the ledger")
    assert too_few.level is Level.PROBLEM
    assert "nothing is submitted: 1 of 2 replicas" in too_few.says
    assert "BIDE_LEDGER__SAFE_REPLICAS" in too_few.remedy
