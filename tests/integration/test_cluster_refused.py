"""A Redis in cluster mode is refused at the start of each process, also one that is a cluster of one node."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
import redis

from bide.client import AsyncClient, Client
from bide.errors import ClusterError
from config.settings import load
from tests.contract.ledger_stage import request_of
from tests.integration.processes import ROOT, plain_environment
from tests.integration.servers import RedisServer
from workers.doctor.findings import Level
from workers.doctor.servers import can_be_written, check_servers

pytestmark = pytest.mark.integration

PROCFILE = {
    "worker": ("-m", "celery", "-A", "workers.app", "worker", "-Q", "bide.submit,bide.store,bide.control"),
    "beat": ("-m", "celery", "-A", "workers.app", "beat"),
    "flower": ("-m", "celery", "-A", "workers.app", "flower", "--conf=config/flowerconfig.py"),
    "metrics": ("-m", "workers.metrics"),
    "pages": ("-m", "workers.pages"),
    "hooks": ("-m", "workers.hooks"),
    "command": ("-c", "from bide.cli import main; main()", "jobs"),
}

#: They take seconds each to start.
WHOLE = [pytest.param(name, marks=pytest.mark.whole) for name in PROCFILE if name != "command"]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A cluster of one node that has all slots, as managed services offer it."""
    server = RedisServer(tmp_path_factory.mktemp("cluster"), appendonly=False, cluster=True)
    server.start()
    try:
        with redis.Redis.from_url(server.url) as client:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        yield server
    finally:
        server.kill()


@pytest.mark.parametrize("name", [*WHOLE, "command"])
def test_a_process_ends_with_what_to_take_instead(cluster: RedisServer, name: str) -> None:
    """One line, no traceback, no password, within seconds."""
    url = cluster.url.replace("redis://", "redis://default:hunter2@", 1)
    with redis.Redis.from_url(cluster.url) as client:
        client.acl_setuser("default", enabled=True, passwords="+hunter2", nopass=False)
    try:
        environment = {**plain_environment(), "BIDE_BROKER_URL": url, "BIDE_S3__BUCKET": "bide", "DOTENV": os.devnull}
        done = subprocess.run(
            [sys.executable, *PROCFILE[name]],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        with redis.Redis.from_url(url) as client:
            client.acl_setuser("default", enabled=True, nopass=True)
    assert done.returncode == 1
    assert "is in cluster mode, and bide needs a single server: take a server without cluster mode" in done.stderr
    assert "several ledgers (docs/scaling.md)" in done.stderr
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stderr


def test_no_client_writes_there(cluster: RedisServer) -> None:
    """The first use of either client says so, also with the number of a database, which a cluster refuses first."""
    with Client(cluster.url) as client, pytest.raises(ClusterError):
        client.submit(request_of())
    with Client(cluster.url.removesuffix("0") + "3") as client, pytest.raises(ClusterError):
        client.status("job")
    with pytest.raises(ClusterError):
        asyncio.run(_submitted(cluster.url))
    with redis.Redis.from_url(cluster.url) as server:
        assert server.dbsize() == 0


async def _submitted(url: str) -> str:
    async with AsyncClient(url) as client:
        return await client.submit(request_of())


def test_the_doctor_has_it_as_a_problem(cluster: RedisServer) -> None:
    """It names what the server is for, and looks no further."""
    found = list(check_servers(load({"BIDE_BROKER_URL": cluster.url, "BIDE_S3__BUCKET": "bide"}, None)))
    assert (found[0].check, found[0].level) == ("redis (ledger, broker, result)", Level.PROBLEM)
    assert "is in cluster mode" in found[0].says
    assert "several ledgers" in found[0].remedy
    assert not can_be_written(found)
