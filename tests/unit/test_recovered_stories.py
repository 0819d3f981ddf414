"""The stories of a job: what was bought of it first, what came later, and what its callers know."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest

from bide.ledger.keys import prefix
from tests.unit.atelier import ACCOUNT, BASE
from tests.unit.recovered_world import SECOND, TwoAccounts, two_accounts


@pytest.fixture
def world() -> Iterator[TwoAccounts]:
    """A deployment in memory with two accounts; it is whole afterwards."""
    with two_accounts() as world:
        yield world
        world.check()


def fail_at_first(world: TwoAccounts, pid: str = "7", charged: str = "no") -> None:
    """The first account accepts the job, and it fails there: it is in line at its fallback."""
    world.answer({"id": pid})
    world.ask()
    for url in (f"{BASE}/works/{quote(pid, safe='')}", f"https://jobs.atelier.example/{pid}/status"):
        world.reply("GET", url, {"state": "failed", "why": "no", "charged": charged})
    world.poll_at(ACCOUNT)
    assert world.at(SECOND) == "queued"


@pytest.mark.parametrize("pid", ["7", "op/7", 'a"b', "é/7"])
def test_an_id_in_the_words_of_redis(world: TwoAccounts, pid: str) -> None:
    """Redis writes the ids of accounts that a job has left in JSON of its own: the job that failed stays failed."""
    fail_at_first(world, pid)
    world.refuse()
    world.go_on()
    key = f"{prefix(SECOND)}job:a"
    written = str(world.server.hget(key, "tried"))
    world.server.hset(key, "tried", written.replace("/", "\\/"))  # as Redis's cjson has it
    assert world.recover() == {"a": ("receipt", "known", "failed")}
