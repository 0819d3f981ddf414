"""A recovered purchase stands in the book once, whatever a statement had of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from bide.errors import SubmissionUnknownError
from bide.money.book import Sums
from bide.statements import Statements
from tests.unit.atelier import ACCOUNT, BASE
from tests.unit.receipts_world import World, opened

PRICE = 40_000


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A deployment in memory where a picture costs 0.04; receipts are made by the ledger's clock."""
    with opened(PRICES='{"paint": 0.04}') as world:
        noon = datetime.fromtimestamp(world.clock.now, UTC).replace(hour=12)
        world.clock.now = noon.timestamp()
        clock = SimpleNamespace(time=world.clock, monotonic=time.monotonic)
        monkeypatch.setattr("workers.services.receipt_writer.time", clock)
        yield world


def write(world: World) -> None:
    """One turn of the writer of statements, well apart from what is bought."""
    world.clock.advance(10)
    Statements(world.ledger, world.storage).write()
    world.clock.advance(10)


def buy(world: World, job_id: str) -> None:
    """A submit that is accepted."""
    world.reply("POST", f"{BASE}/works", {"id": f"p-{job_id}"})
    world.replies["POST", f"{BASE}/works"] = world.replies["POST", f"{BASE}/works"][-1:]
    world.submit(job_id)


def doubt(world: World, job_id: str) -> None:
    """A submit whose answer is lost."""
    world.replies["POST", f"{BASE}/works"].clear()
    world.fail("POST", f"{BASE}/works", SubmissionUnknownError("no answer"))
    world.submit(job_id)


def booked(world: World) -> Sums:
    """All that stands in the account's book of the day."""
    day = datetime.fromtimestamp(world.clock.now, UTC).date()
    return sum(world.ledger.books.day(ACCOUNT, day).values(), Sums())


def test_the_book_is_what_it_was(world: World) -> None:
    """Bought before the statement and after it, in doubt before it and after it."""
    buy(world, "a")
    doubt(world, "b")
    write(world)
    buy(world, "c")
    doubt(world, "d")
    before = booked(world)
    assert before == Sums(reserved=2 * PRICE, spent=2 * PRICE, purchases=2)
    world.lose()
    world.recover()

    assert booked(world) == before
    world.recover()
    write(world)
    write(world)
    assert booked(world) == before


def test_the_books_were_made_again_before(world: World) -> None:
    """The worker's own timer was first, and has written the statement anew meanwhile."""
    buy(world, "a")
    write(world)
    buy(world, "b")
    before = booked(world)
    world.lose()
    write(world)
    assert booked(world).spent == PRICE
    world.recover()
    assert booked(world) == before


def test_a_submit_that_was_accepted_after_the_statement(world: World) -> None:
    """The statement had it as reserved, and counts it as spent once the ledger is lost."""
    world.meanwhile = lambda: write(world)
    buy(world, "a")
    world.meanwhile = None
    before = booked(world)
    assert before == Sums(spent=PRICE, purchases=1)
    world.lose()
    world.recover()
    assert booked(world) == before


def test_no_statement_was_written(world: World) -> None:
    """The ledger was lost within its first minutes."""
    buy(world, "a")
    doubt(world, "b")
    before = booked(world)
    world.lose()
    world.recover()
    assert booked(world) == before


def test_what_is_settled_later_moves_once(world: World) -> None:
    """A recovered doubt is given up: it is spent, and no longer reserved."""
    doubt(world, "a")
    write(world)
    world.lose()
    world.recover()
    world.ledger.unconfirmed.give_up(ACCOUNT, "a")
    assert booked(world) == Sums(spent=PRICE, purchases=1)
