"""What a recovery makes of budgets: of a ledger that is well nothing, of an old backup what they were."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from bide.ledger.safety import LEDGER_KEY
from tests.unit.budgets_world import (
    DAY_SECONDS,
    PRICE,
    backup_of,
    buy,
    doubt,
    forget_receipts,
    identify,
    killed,
    recovered,
    refuse,
    restore,
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


@pytest.mark.parametrize("between", [False, True], ids=["backup after the statement", "and one more purchase"])
@pytest.mark.parametrize("stated_before", [False, True], ids=["nothing stated before", "a statement before"])
@pytest.mark.parametrize("next_day", [False, True], ids=["the same day", "a day later"])
def test_a_backup_counts_what_is_missing_once(world: World, between: bool, stated_before: bool, next_day: bool) -> None:
    """Receipts and the later statement have the same purchases, and what came after that, receipts alone."""
    if stated_before:
        buy(world, "a")
    write(world)
    if between:
        buy(world, "b")
    backup = backup_of(world)
    world.clock.advance(100)
    buy(world, "c")
    doubt(world, "d")
    if next_day:
        world.clock.advance(DAY_SECONDS)
        buy(world, "e")
    write(world)
    buy(world, "f")
    before = stood(world)
    restore(world, backup)
    assert recovered(world) == before


def test_a_backup_without_receipts_rises_to_the_later_statement(world: World) -> None:
    """No receipt says what was bought, and what the statement has is counted once."""
    buy(world, "a")
    write(world)
    buy(world, "b")
    backup = backup_of(world)
    world.clock.advance(100)
    buy(world, "c")
    write(world)
    before = stood(world)
    world.receipts.stop()
    forget_receipts(world)
    restore(world, backup)
    buy(world, "new")
    assert recovered(world) == {name: spent + PRICE for name, spent in before.items()}


def test_a_backup_from_before_a_confirm(world: World) -> None:
    """A confirmed ledger has a new id, and its statements are its own past all the same."""
    buy(world, "a")
    write(world)
    backup = backup_of(world)
    world.clock.advance(DAY_SECONDS)
    identify(world, "confirmed")
    buy(world, "b")
    write(world)
    before = stood(world)
    restore(world, backup)
    assert recovered(world) == before


def test_a_ledger_that_went_back_leaves_statements_as_they_are(world: World) -> None:
    """What it has lost stands in them, until `bide ledger confirm`."""
    write(world)
    backup = backup_of(world)
    buy(world, "a")
    write(world)
    before = stood(world)
    world.receipts.stop()
    forget_receipts(world)
    restore(world, backup)
    world.server.hset(LEDGER_KEY, "went_back_from", "1")
    write(world)
    world.recover()
    assert stood(world) == before


@pytest.mark.parametrize("last", [write, killed], ids=["written", "killed while it wrote"])
def test_a_submit_that_is_refused_after_a_statement(world: World, last: Callable[[World], object]) -> None:
    """The statement had it as reserved: a recovery of a ledger that is well changes nothing."""
    refuse(world, "a", meanwhile=lambda: write(world))
    assert set(stood(world).values()) == {0}
    last(world)
    assert set(recovered(world).values()) == {0}


#: The lives that `make test` plays; `make test-all` plays more.
SEEDS = [1, 6, *(pytest.param(seed, marks=pytest.mark.whole) for seed in (0, 2, 3, 4, 5, 7))]

LIVES: dict[str, Callable[[World, str], object]] = {
    "buy": buy,
    "buy of bob": lambda world, job_id: buy(world, job_id, tenant="bob"),
    "doubt": doubt,
    "refuse": refuse,
    "statement while it is under way": lambda world, job_id: refuse(world, job_id, lambda: write(world)),
    "kill while it is under way": lambda world, job_id: refuse(world, job_id, lambda: killed(world)),
    "write": lambda world, _: write(world),
    "kill": lambda world, _: killed(world),
    "night": lambda world, _: world.clock.advance(DAY_SECONDS),
}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_recovery_of_a_ledger_that_is_well_changes_no_budget(world: World, seed: int) -> None:
    """Whatever happened before, and in whatever order."""
    random = Random(seed)
    for number in range(10):
        LIVES[random.choice(list(LIVES))](world, f"{seed}-{number}")
        world.clock.advance(1)
    before = stood(world)
    world.recover()
    assert stood(world) == before


@pytest.mark.parametrize("seed", SEEDS)
def test_an_old_backup_brings_each_budget_to_what_it_was(world: World, seed: int) -> None:
    """Wherever it was made, before or after a statement."""
    random = Random(seed)
    backups, acts = [backup_of(world)], [name for name in LIVES if "refuse" not in name and "under way" not in name]
    for number in range(10):
        LIVES[random.choice(acts)](world, f"{seed}-{number}")
        world.clock.advance(1)
        backups.append(backup_of(world))
    before = stood(world)
    restore(world, random.choice(backups))
    world.recover()
    assert stood(world) == before
