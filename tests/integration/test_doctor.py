"""`bide doctor` on a real deployment: well, and with each thing wrong that can be made wrong for real."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from bide.contract import POLL_QUEUE, SUBMIT_QUEUE
from bide.ledger import AccountName
from bide.ledger.connection import connect
from bide.ledger.keys import ACCOUNTS_KEY, prefix
from tests.integration.caller import Caller, failure, image, marker
from tests.integration.doctoring import anybody_may_look, app_of, configured, doctor, one, settings_of, store
from tests.integration.object_store import SECRET_KEY
from tests.integration.processes import Process
from tests.integration.rig import FLOWER_PASSWORD, KEYS, Rig
from tests.integration.servers import free_port, redis_server
from workers.doctor.findings import Level
from workers.doctor.outside import check_providers
from workers.doctor.processes import check_flower, check_sweep, check_workers
from workers.doctor.servers import MUTEX_KEY, check_servers
from workers.doctor.stores import check_store
from workers.doctor.work import BACKLOG, check_queues, check_work
from workers.toolbox import Toolbox

pytestmark = pytest.mark.integration


@pytest.fixture
def app(rig: Rig) -> Iterator[Celery]:
    """An app with the deployment's settings, as the command has one."""
    with app_of(settings_of(rig)) as app:
        yield app


def test_a_healthy_deployment_is_well(rig: Rig) -> None:
    """Exit code 0, a line for each thing that was looked at, and no secret in any."""
    with configured(rig, "appendfsync", "always"):
        done = doctor(rig, "--json")

    report = json.loads(done.stdout)
    problems = [finding for finding in report["findings"] if finding["level"] == Level.PROBLEM]
    assert (done.returncode, report["ok"], problems) == (0, True, []), problems
    looked_at = " ".join(finding["check"] for finding in report["findings"])
    for what in ("settings", "version", "eviction", "persistence", "memory", "clock of redis", "clock of the store"):
        assert what in looked_at
    for what in ("store rights", "large objects", "address of photogpt", SUBMIT_QUEUE, POLL_QUEUE, "timeouts", "sweep"):
        assert what in looked_at
    for secret in (SECRET_KEY, FLOWER_PASSWORD, *(key for name, key in KEYS.items() if name.endswith("API_KEY"))):
        assert secret not in done.stdout + done.stderr


def test_a_person_reads_what_to_do(rig: Rig) -> None:
    """Exit code 1, the problem on a line, its remedy below, and the count at the end."""
    with configured(rig, "maxmemory-policy", "allkeys-lru"):
        done = doctor(rig)

    assert done.returncode == 1
    [line] = [line for line in done.stdout.splitlines() if line.startswith("FAIL")]
    assert "eviction of redis (ledger, broker, result): maxmemory-policy is allkeys-lru" in line
    assert "to do: CONFIG SET maxmemory-policy noeviction" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("1 to mend, ")


def test_all_wrong_settings_are_reported_together(rig: Rig) -> None:
    """Without usable settings nothing else can be looked at."""
    done = doctor(rig, "--json", BIDE_TIMING__VISIBILITY_TIMEOUT_SECONDS="61", BIDE_S3__BUCKET="")

    found = {finding["check"] for finding in json.loads(done.stdout)["findings"]}
    assert done.returncode == 1
    assert found == {"setting BIDE_TIMING__VISIBILITY_TIMEOUT_SECONDS", "setting BIDE_S3__BUCKET"}


def test_without_redis_it_says_so_and_looks_on(rig: Rig) -> None:
    """What does not answer is named without its password; the rest is looked at still."""
    url = f"redis://user:hunter2@127.0.0.1:{free_port()}/0"

    done = doctor(rig, BIDE_BROKER_URL=url)

    assert done.returncode == 1
    assert "does not answer" in done.stdout
    assert "store rights" in done.stdout
    assert "hunter2" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("name", "value", "check", "level", "words"),
    [
        ("maxmemory-policy", "volatile-ttl", "eviction", Level.PROBLEM, "records of paid jobs"),
        ("appendonly", "no", "persistence", Level.PROBLEM, "forgets jobs that are paid for"),
        ("appendfsync", "no", "persistence", Level.PROBLEM, "half a minute"),
        ("appendfsync", "everysec", "persistence", Level.WARNING, "about a second"),
        ("appendfsync", "always", "persistence", Level.OK, "loses nothing"),
        ("maxmemory", "8gb", "memory", Level.OK, "of 8192 MiB"),
    ],
)
def test_how_redis_is_set_up(rig: Rig, name: str, value: str, check: str, level: Level, words: str) -> None:
    """Each setting that a promise rests on."""
    with configured(rig, name, value):
        found = one(check_servers(settings_of(rig)), check)

    assert found.level is level
    assert words in found.says
    assert bool(found.remedy) is (level is not Level.OK)


def test_rewrites_without_flushes_are_found(rig: Rig) -> None:
    """`appendfsync always` does not hold while such a server rewrites its file."""
    with configured(rig, "appendfsync", "always"), configured(rig, "no-appendfsync-on-rewrite", "yes"):
        found = one(check_servers(settings_of(rig)), "persistence")

    assert found.level is Level.WARNING
    assert "no-appendfsync-on-rewrite no" in found.remedy


def test_a_full_redis_is_found(rig: Rig) -> None:
    """A warning before the server refuses writes."""
    with rig.server() as server:
        used = server.info("memory")["used_memory"]

    with configured(rig, "maxmemory", str(int(used * 1.2))):
        assert one(check_servers(settings_of(rig)), "memory").level is Level.WARNING
    with configured(rig, "maxmemory", str(int(used * 1.05))):
        assert one(check_servers(settings_of(rig)), "memory").level is Level.PROBLEM


def test_a_mutex_that_nobody_holds_is_found(rig: Rig) -> None:
    """Left behind by a killed worker of an older kombu, it stops redelivery for ever."""
    with rig.server() as server:
        server.set(MUTEX_KEY, "a worker that was killed")
        try:
            found = one(check_servers(settings_of(rig)), "redelivery")
        finally:
            server.delete(MUTEX_KEY)

    assert found.level is Level.PROBLEM
    assert "unacked_mutex" in found.remedy


@pytest.mark.parametrize(
    ("options", "environment", "words"),
    [
        ({"bucket": "no-such-bucket"}, {}, "create the bucket"),
        ({}, {"AWS_SECRET_ACCESS_KEY": "another"}, "give these access keys the right"),
        ({"endpoint_url": "http://127.0.0.1:9"}, {}, "can not be reached"),
    ],
    ids=["no bucket", "wrong keys", "nobody there"],
)
def test_a_store_that_takes_nothing(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, options: Mapping[str, Any], environment: Mapping[str, str], words: str
) -> None:
    """No paid result could be stored: a finding before one is there."""
    found = one(check_store(store(rig, monkeypatch, options, environment)), "object store")

    assert found.level is Level.PROBLEM
    assert words in found.says


def test_a_store_that_takes_results(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is written to and read from, in one piece and in parts, and left as it was."""
    findings = list(check_store(store(rig, monkeypatch, {}, {})))

    assert not [found for found in findings if found.level is Level.PROBLEM]
    assert one(findings, "store rights").level is Level.OK
    assert one(findings, "large objects").level is Level.OK
    assert rig.store.names("bide-doctor/") == []


def test_an_address_where_nobody_listens(rig: Rig) -> None:
    """A provider's address that can't be connected to is named; nothing is sent to the others."""
    before = rig.sandbox.stats()
    settings = settings_of(rig, BIDE_PROVIDERS__PHOTOGPT__BASE_URL=f"http://127.0.0.1:{free_port()}")

    findings = list(check_providers(settings, Toolbox(settings, Celery(set_as_current=False))))

    assert "can't be connected to" in one(findings, "address of photogpt").says
    assert one(findings, "address of cyberphotobooth").level is Level.OK
    assert rig.sandbox.stats() == before


def test_a_stopped_poller_is_found(rig: Rig, app: Celery) -> None:
    """Each queue must be served by a worker that answers."""
    assert one(check_workers(app), POLL_QUEUE).level is Level.OK
    rig.poller.ask_to_end()
    rig.poller.wait(30)
    try:
        findings = list(check_workers(app))
    finally:
        rig.poller.start()

    assert one(findings, SUBMIT_QUEUE).level is Level.OK
    assert one(findings, POLL_QUEUE).level is Level.PROBLEM
    assert "start a poller" in one(findings, POLL_QUEUE).remedy


def test_processes_that_do_not_agree(rig: Rig) -> None:
    """One visibility timeout for all: the shortest would have messages delivered twice."""
    with app_of(settings_of(rig, BIDE_TIMING__VISIBILITY_TIMEOUT_SECONDS="600")) as app:
        found = one(check_workers(app), "timeouts")

    assert found.level is Level.PROBLEM
    assert "visibility_timeout 300 instead of 600" in found.says


def test_a_backlog_is_found(rig: Rig, app: Celery) -> None:
    """Counted in a queue of a Redis that nobody serves."""
    assert one(check_queues(app), "queues").level is Level.OK
    with redis_server() as alone, app_of(settings_of(rig, BIDE_BROKER_URL=alone.url)) as other:
        with connect(alone.url) as server:
            server.lpush(SUBMIT_QUEUE, *(["{}"] * BACKLOG))
        found = one(check_queues(other), "queues")

    assert found.level is Level.WARNING
    assert f"{BACKLOG} in {SUBMIT_QUEUE}" in found.says


def test_work_that_nobody_does_is_found(rig: Rig) -> None:
    """Without any process: no sweep, polls that are late, a lease that nobody takes back."""
    name = AccountName("photogpt", "default")
    with redis_server() as alone:
        settings = settings_of(rig, BIDE_BROKER_URL=alone.url)
        tools = Toolbox(settings, Celery(set_as_current=False))
        server = tools.ledger.server
        server.sadd(ACCOUNTS_KEY, str(name))
        server.zadd(f"{prefix(name)}due", {"a": server.time()[0] - 500})
        server.zadd(f"{prefix(name)}lease", {"b": server.time()[0] - 500})

        swept, work = list(check_sweep(settings, tools)), list(check_work(settings, tools))
        server.close()

    assert one(swept, "sweep").level is Level.PROBLEM
    assert "500 s late" in one(work, "polls of photogpt/default").says
    assert one(work, "sweep of photogpt/default").level is Level.PROBLEM


def test_what_waits_for_an_operator_is_found(rig: Rig, caller: Caller) -> None:
    """An account whose circuit breaker is open, with the reason, and a job that may have been bought."""
    failure(caller.submit(image(f"{marker()} [fault:accept_then_drop]")))
    settings = settings_of(rig)
    tools = Toolbox(settings, Celery(set_as_current=False))
    tools.ledger.accounts.block_submits(
        AccountName("photogpt", "tripped"), seconds=30, reason="HTTP 401: invalid credentials"
    )
    tools.ledger.server.sadd(ACCOUNTS_KEY, "photogpt/tripped")

    findings = list(check_work(settings, tools))

    tools.ledger.server.hdel(f"{prefix(AccountName('photogpt', 'tripped'))}account", "gate_until", "strikes")
    tools.ledger.server.close()
    assert "HTTP 401" in one(findings, "account photogpt/tripped").says
    unconfirmed = [found for found in findings if found.remedy == "settle them with `bide unconfirmed`"]
    assert "jobs of photogpt/default" in [found.check for found in unconfirmed]  # other tests have left their own


def test_flower_must_not_stand_open(rig: Rig, tmp_path: Path) -> None:
    """Closed is well; open to this machine is a warning, open to others a problem."""
    settings, closed = settings_of(rig), rig.environment()
    unlocked = {name: value for name, value in closed.items() if not name.startswith("BIDE_FLOWER__")}
    for env, level in ((closed, Level.OK), (unlocked, Level.WARNING)):
        flower = Process.of_procfile("flower", env=env, ready=r"Visit me at (http://[\w.:]+)", folder=tmp_path)
        try:
            assert one(check_flower(settings, flower.start()[1]), "flower").level is level
        finally:
            flower.kill()

    assert "does not answer" in one(check_flower(settings, f"http://127.0.0.1:{free_port()}"), "flower").says
    with anybody_may_look() as url:
        assert one(check_flower(settings, url), "flower").level is Level.PROBLEM
        elsewhere = settings.model_copy(update={"flower": settings.flower.model_copy(update={"url": url})})
        assert one(check_flower(elsewhere, None), "flower").level is Level.PROBLEM
