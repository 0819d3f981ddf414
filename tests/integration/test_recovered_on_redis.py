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
from tests.unit.recovered_world import SECOND, TwoAccounts, late, two_accounts

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


@pytest.mark.parametrize("pid", ["7", "op/7", 'a"b', "a\\b", "é/7", "works/7 b"])
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


def test_ids_with_blanks_and_an_account_that_was_left(world: TwoAccounts) -> None:
    """Both accounts have their purchase in their books, and each id with a blank stays one."""
    world.answer({"id": "works 7"})
    world.ask()
    for url in (f"{BASE}/works/works%207", "https://jobs.atelier.example/works 7/status"):
        world.reply("GET", url, {"state": "failed", "why": "no", "charged": "yes"})
    world.poll_at(ACCOUNT)
    world.answer({"id": "works 9"})
    world.go_on()
    late(world, SECOND, "works 10")
    before = world.booked(ACCOUNT)
    assert before == {"spent": 40_000, "purchases": 1}
    world.receipts.stop()
    world.server.flushall()
    world.start_writer()
    assert world.recover() == {"a": ("receipt", "taken", "running")}
    assert world.booked(ACCOUNT) == before
    record = world.ledger.jobs.read(SECOND, "a")
    assert record
    assert (record.text("pid"), record.other_ids) == ("works 10", ["works 9"])
    assert world.recover() == {"a": ("receipt", "known", "running")}
