"""One deployment for all integration tests; each starts without ordered faults."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bide.client import Client
from bide.ledger import Ledger
from tests.integration.caller import Caller
from tests.integration.rig import Rig
from tests.integration.servers import RedisServer

#: Size of a result [bytes]. Drawing a picture for each job takes the provider longer than all else takes together.
RESULT_BYTES = 60_000


@pytest.fixture(scope="session")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Redis, S3, the sandbox, a worker and a poller."""
    with Rig(tmp_path_factory.mktemp("rig"), result_bytes=RESULT_BYTES) as rig:
        yield rig


@pytest.fixture
def rig(deployment: Rig) -> Iterator[Rig]:
    """The deployment, as one test has it: whole, with accounts that submit, whatever the test before has done to it."""
    deployment.mend()
    deployment.mark_logs()
    with deployment.server() as server:
        ledger = Ledger(server)
        for account in ledger.accounts.names():
            ledger.accounts.resume(account)
    yield deployment
    deployment.sandbox.clear_faults()


@pytest.fixture(scope="session")
def caller(deployment: Rig) -> Iterator[Caller]:
    """A service that submits jobs."""
    with Caller(deployment.redis.url) as caller:
        yield caller


@pytest.fixture(scope="module")
def client(deployment: Rig) -> Iterator[Client]:
    """A client of the deployment, shared by the tests of a file."""
    with Client(deployment.redis.url) as client:
        yield client


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """An empty Redis of the test's own."""
    server = RedisServer(tmp_path, appendonly=False)
    server.start()
    yield server
    server.kill()
