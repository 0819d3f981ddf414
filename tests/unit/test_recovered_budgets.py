"""After a recovery a budget's `spent` is what it was, as far as statements and receipts reach."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.unit.atelier import ACCOUNT, BASE
from tests.unit.budgets_world import (
    DAY_SECONDS,
    NOON,
    PRICE,
    buy,
    doubt,
    forget_receipts,
    identify,
    lose,
    recovered,
    stood,
    with_budgets,
    write,
)
from tests.unit.receipts_world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A deployment with five budgets."""
    with with_budgets(tmp_path) as world:
        yield world


def several_days(world: World) -> None:
    """Purchases of three days, the last ones after the last statement."""
    for day in range(3):
        for number in range(day + 1):
            buy(world, f"{day}-{number}", tenant="ada" if number else "bob")
        write(world)
        if day < 2:
            world.clock.advance(DAY_SECONDS)
    buy(world, "late")
    doubt(world, "doubtful")


def test_budgets_of_a_month_and_of_all_time_are_what_they_were(world: World) -> None:
    """The statements of earlier days have less of them: the latest one counts, and what came after it."""
    several_days(world)
    before = stood(world)
    assert before == {
        "of_day": 5 * PRICE,
        "of_month": 8 * PRICE,
        "of_all": 8 * PRICE,
        "of_ada": 4 * PRICE,
        "of_account": 8 * PRICE,
    }
    lose(world)
    assert recovered(world) == before
    write(world)
    assert stood(world) == before


def test_the_writer_alone_finds_them_too(world: World) -> None:
    """Without receipts: all but what came after the last statement."""
    several_days(world)
    before = stood(world)
    lose(world)
    write(world)
    assert stood(world) == {name: spent - (1 if name == "of_ada" else 2) * PRICE for name, spent in before.items()}


@pytest.mark.parametrize("first", [write, World.recover], ids=["the writer first", "recover first"])
def test_the_order_of_recovery_and_writer_does_not_matter(world: World, first: Callable[[World], object]) -> None:
    """And what is bought on the new ledger before either of them counts besides."""
    several_days(world)
    before = stood(world)
    lose(world)
    buy(world, "new")
    first(world)
    world.recover()
    write(world)
    assert stood(world) == {name: spent + PRICE for name, spent in before.items()}


def test_what_was_bought_long_ago_counts_in_a_budget_of_all_time(world: World) -> None:
    """No receipt names a day of it, and the writer does not look at it any more."""
    buy(world, "old")
    write(world)
    world.receipts.stop()
    forget_receipts(world)
    world.start_writer()
    world.clock.advance(40 * DAY_SECONDS)
    write(world)
    buy(world, "now")
    before = stood(world)
    assert before["of_all"] == 2 * PRICE
    lose(world)
    world.recover()
    assert stood(world) == before


def test_so_it_does_where_only_the_writer_looks(world: World) -> None:
    """The ledger was lost long after the last purchase."""
    buy(world, "old")
    write(world)
    world.clock.advance(40 * DAY_SECONDS)
    lose(world)
    write(world)
    assert stood(world)["of_all"] == PRICE


def test_an_old_backup_counts_what_it_has_once(world: World) -> None:
    """It knows some of what the later statement has: its budgets rise to that, and not by that."""
    buy(world, "a")
    write(world)
    backup = {key: world.server.dump(key) or b"" for key in world.server.keys("*")}
    world.clock.advance(DAY_SECONDS)
    buy(world, "b")
    write(world)
    before = stood(world)
    world.server.flushall()
    for key, content in backup.items():
        world.server.restore(key, 0, content)
    world.recover()
    write(world)
    assert stood(world) == before


def test_a_second_loss(world: World) -> None:
    """The statements of the second ledger have what it took up of those of the first."""
    several_days(world)
    lose(world)
    world.recover()
    world.clock.advance(DAY_SECONDS)
    buy(world, "again")
    write(world)
    before = stood(world)
    world.lose()
    identify(world, "third")
    world.recover()
    assert stood(world) == before


def test_a_doubt_that_is_given_back_later(world: World) -> None:
    """What a statement had as reserved counts until it is settled, and once."""
    doubt(world, "a")
    write(world)
    lose(world)
    world.recover()
    assert stood(world)["of_month"] == PRICE
    world.ledger.unconfirmed.attach(ACCOUNT, "a", "7")
    assert stood(world)["of_month"] == PRICE


def test_a_purchase_of_a_day_before_the_last_submit_is_booked_once(world: World) -> None:
    """A job was submitted twice, on two days: the statement of the first day is taken up before its record."""
    doubt(world, "a")
    write(world)
    world.clock.advance(DAY_SECONDS)
    world.ledger.unconfirmed.resubmit(ACCOUNT, "a")
    world.replies["POST", f"{BASE}/works"].clear()
    world.reply("POST", f"{BASE}/works", {"id": "p-a"})
    world.again("a")
    write(world)
    before, day = stood(world), datetime.fromtimestamp(NOON, UTC).date()
    book = world.ledger.books.day(ACCOUNT, day)
    lose(world)
    forget_receipts(world, most=1)  # that of the first submit is older than what is looked at
    world.recover()
    write(world)
    found = world.ledger.books.day(ACCOUNT, day)
    assert sum(sums.reserved + sums.spent for sums in found.values()) == sum(
        sums.reserved + sums.spent for sums in book.values()
    )
    assert stood(world) == before
