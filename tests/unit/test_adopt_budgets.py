"""A purchase that is taken up by hand stands in the budgets that cover it, as one that bide bought."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.atelier import BASE
from tests.unit.receipts_world import World, opened
from tests.unit.test_adopt import take
from workers.services.budgets import Budgets

PRICE = 40_000

BUDGETS = {
    "day": 'per = "day"',
    "month": 'per = "month"',
    "all": "",
    "ada": 'per = "month"\ntenant = "ada"',
    "bob": 'per = "month"\ntenant = "bob"',
    "account": 'provider = "atelier"\naccount = "default"',
    "other": 'provider = "photogpt"',
    "oil": 'lane = "oil"',
}

REQUEST: dict[str, Any] = {"operation": "paint", "params": {"motif": "an owl", "brush": "oil"}, "tenant": "ada"}


def limit(world: World, folder: Path, amount: float) -> None:
    """Have all these budgets, with that amount."""
    tables = (f'[budgets.{name}]\namount = {amount}\ncurrency = "USD"\n{more}\n' for name, more in BUDGETS.items())
    (folder / "budgets.toml").write_text("".join(tables))
    world.budgets = Budgets(world.settings, file=folder / "budgets.toml")
    world.budgets.load()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A picture costs 0.04, and each budget has 0.1."""
    with opened(PRICES='{"paint": 0.04}') as world:
        limit(world, tmp_path, 0.1)
        yield world


def stood(world: World) -> dict[str, int]:
    """What is reserved and spent in each budget."""
    return {it.budget.name: it.reserved + it.spent for it in world.ledger.budgets.stands(world.budgets.current())}


def test_it_stands_where_one_that_was_bought_stands(world: World) -> None:
    """By day, month and at all; by tenant, account and lane; and nowhere else."""
    take(world, "mine", "9", **REQUEST)
    adopted = stood(world)
    assert {name for name, spent in adopted.items() if spent} == BUDGETS.keys() - {"bob", "other"}
    world.reply("POST", f"{BASE}/works", {"id": "10"})
    world.submit("bought", params=REQUEST["params"], tenant="ada")
    assert stood(world) == {name: 2 * spent for name, spent in adopted.items()}


def test_it_is_taken_up_where_a_budget_has_no_room(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """The money is spent: the budget is exceeded, the command says so, and what follows is refused."""
    for number in range(3):
        take(world, f"mine-{number}", f"9{number}", **REQUEST)
    assert stood(world)["month"] == 3 * PRICE
    warned = capsys.readouterr().err
    assert "budget month is exceeded: 0.12 of 0.1 USD are reserved or spent" in warned
    assert "budget bob" not in warned
    world.submit("more", params=REQUEST["params"], tenant="ada")
    assert (world.purchases(), world.state("more")) == (0, "failed")


def test_it_outlives_the_ledger_there(world: World) -> None:
    """Its receipt says in which budgets it stands."""
    take(world, "mine", "9", **REQUEST)
    before = stood(world)
    world.lose()
    world.recover()
    assert stood(world) == before


def test_a_purchase_without_a_price_is_named(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No budget can count it, and the command says which ones would."""
    world.configure()
    limit(world, tmp_path, 0.1)
    take(world, "mine", "9", **REQUEST)
    assert set(stood(world).values()) == {0}
    assert "its price is not known" in (warned := capsys.readouterr().err)
    assert "budget month" in warned
    assert "budget bob" not in warned
