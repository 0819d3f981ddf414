"""The lines about single purchases: none is missed or out of order where one page ends and the next begins."""

from __future__ import annotations

import json
from datetime import date
from typing import Any, cast

import pytest

from bide.ledger import Ledger
from bide.ledger.keys import purchases_key
from bide.statements import Statements
from bide.storage import Storage
from tests.contract.ledger_stage import ACCOUNT, Clock
from tests.contract.observed_redis import ObservedRedis
from tests.unit.memory_store import MemoryStorage

KEY = purchases_key(ACCOUNT)


class World:
    """A ledger with lines that no statement has yet, its store, and the time, which stands still."""

    def __init__(self) -> None:
        self.server, self.store, self.clock = ObservedRedis(), MemoryStorage(), Clock()
        self.server.sadd("bide:accounts", str(ACCOUNT))
        self.statements = Statements(Ledger(self.server, clock=self.clock), cast(Storage, self.store))
        self._number = 0

    def note(self, job: str, state: str) -> None:
        """What the scripts do when it changes what became of a purchase."""
        self._number += 1
        line = {"purchase": f"{job}@1", "begun": f"{self.clock.now:.0f}", "job": job, "state": state, "amount": "1"}
        self.server.zadd(KEY, {json.dumps(line): self._number})

    def stated(self) -> dict[str, list[str]]:
        """What the objects say of each purchase, as a reader has it who takes them by their names."""
        found: dict[str, list[str]] = {}
        for key in sorted(each for each in self.store.client.objects if "-purchases/" in each):
            for line in map(json.loads, self.store.client.objects[key].decode().splitlines()):
                found.setdefault(line["job"], []).append(line["state"])
        return found


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """Pages of two lines."""
    monkeypatch.setattr("bide.statements.PAGE_LINES", 2)
    return World()


def test_pages_of_one_second_keep_the_order_of_their_lines(world: World) -> None:
    """However the digests of their contents sort: of a purchase the last line counts."""
    jobs = [f"job-{number}" for number in range(9)]
    for state in ("spent", "refunded"):
        for job in jobs:
            world.note(job, state)
    world.statements.write()

    assert world.stated() == {job: ["spent", "refunded"] for job in jobs}
    assert not world.server.exists(KEY)


def test_a_line_that_comes_again_while_its_page_is_written_is_not_taken_away(world: World) -> None:
    """The same words are noted once more, behind others: they are written behind these, too."""
    world.note("a", "spent")
    put = world.store.put

    def put_meanwhile(*given: Any, **how: Any) -> None:
        world.store.put = put  # type: ignore[method-assign]  # once
        for state in ("refunded", "spent"):
            world.note("a", state)
        put(*given, **how)

    world.store.put = put_meanwhile  # type: ignore[method-assign]  # the job goes on meanwhile
    world.statements.write()

    assert world.stated() == {"a": ["spent", "refunded", "spent"]}


def test_a_writer_that_stood_still_is_behind_nobody(world: World) -> None:
    """Another one has written what followed meanwhile: the older page sorts where it belongs."""
    world.note("a", "spent")
    put = world.statements._put_purchases

    def put_late(day: date, name: str, content: bytes) -> None:
        world.statements._put_purchases = put  # type: ignore[method-assign]  # once
        world.clock.advance(700)
        world.note("a", "refunded")
        world.statements.write()
        put(day, name, content)

    world.statements._put_purchases = put_late  # type: ignore[method-assign]  # the process stands still with its page
    world.statements.write()

    assert world.stated()["a"][-1] == "refunded"


def test_a_writer_that_dies_between_page_and_forgetting(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page is written once more, and says the same."""
    for state in ("spent", "refunded"):
        for job in ("a", "b", "c"):
            world.note(job, state)
    with monkeypatch.context() as dying:
        dying.setattr(type(world.statements._ledger.books), "forget_purchase_lines", lambda *_: pytest.fail("died"))
        with pytest.raises(pytest.fail.Exception):
            world.statements.write()
    world.note("a", "spent")
    world.clock.advance(600)
    world.statements.write()

    last = {job: states[-1] for job, states in world.stated().items()}
    assert last == {"a": "spent", "b": "refunded", "c": "refunded"}
