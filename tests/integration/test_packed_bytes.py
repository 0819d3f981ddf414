"""What a finished job takes of a real Redis: its bytes are counted, so that no field makes it large again unseen."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from bench.finished import Maker
from bench.memory import by_kind
from bide.ledger.connection import connect
from tests.contract.ledger_contract_packing import PackingContract
from tests.integration.servers import RedisServer, redis_server

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def shared() -> Iterator[RedisServer]:
    """One server for all tests, which empty it first."""
    with redis_server(appendonly=False) as server:
        yield server


@pytest.fixture
def server(shared: RedisServer) -> Iterator[redis.Redis]:
    """A client of it."""
    with connect(shared.url) as client:
        client.flushall()
        yield client


class TestPackingOnRedis(PackingContract):
    @pytest.fixture
    def server(self, shared: RedisServer) -> Iterator[redis.Redis]:
        with connect(shared.url) as client:
            client.flushall()
            yield client


@pytest.mark.parametrize(("outputs", "most"), [(1, 720), (4, 950)])
def test_a_finished_record_takes_few_bytes(server: redis.Redis, outputs: int, most: int) -> None:
    """Key and hash of the record, on the average of a few jobs; the bounds leave a tenth of room. No body is left."""
    maker = Maker(server, packs=True)
    for _ in range(40):
        maker.succeeded(outputs)
    found = by_kind(server)
    assert found["record"] / 40 <= most
    assert "request" not in found
    assert {server.object("encoding", key) for key in server.scan_iter("bide:{*}:job:*")} == {"listpack"}
