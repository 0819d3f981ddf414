"""A recovery on a real Redis: its JSON is not that of the double of the unit tests."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest

from bide.ledger import Ledger
from bide.ledger.connection import connect
from bide.ledger.keys import prefix
from tests.integration.servers import RedisServer, redis_server
from tests.unit.atelier import ACCOUNT, BASE
from tests.unit.recovered_world import SECOND, TwoAccounts, two_accounts

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """One server for all tests, which empty it first."""
    with redis_server(appendonly=False) as server:
        yield server


@pytest.fixture
def world(server: RedisServer) -> Iterator[TwoAccounts]:
    """Two accounts, whose ledger is a real one."""
    with two_accounts() as world, connect(server.url) as client:
        client.flushall()
        world.receipts.stop()
        world.server = client
        world.ledger = Ledger(client, clock=world.clock)
        world.start_writer()
        world.configure()
        yield world
        world.receipts.stop()


@pytest.mark.parametrize("pid", ["7", "op/7", 'a"b', "a\\b", "é/7"])
def test_a_failed_job_stays_failed(world: TwoAccounts, pid: str) -> None:
    """The first account had the job under an id that Redis writes otherwise: nothing is bought for it again."""
    world.answer({"id": pid})
    world.ask()
    for url in (f"{BASE}/works/{quote(pid, safe='')}", f"https://jobs.atelier.example/{pid}/status"):
        world.reply("GET", url, {"state": "failed", "why": "no", "charged": "no"})
    world.poll_at(ACCOUNT)
    world.refuse()
    world.go_on()
    assert world.at(SECOND) == "failed"
    tried = str(world.server.hget(f"{prefix(SECOND)}job:a", "tried"))
    assert ("\\/" in tried) == ("/" in pid)

    assert world.recover() == {"a": ("receipt", "known", "failed")}
    assert (world.at(ACCOUNT), world.at(SECOND)) == ("", "failed")
    bought = world.purchases()
    world.answer({"id": "99"})
    world.go_on()
    assert world.purchases() == bought
