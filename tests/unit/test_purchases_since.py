"""Which purchases of all records were begun after a moment: by these a recovery knows what a statement can't have."""

from __future__ import annotations

import pytest

from bide.contract import Charged
from bide.ledger.kept import PARTS
from bide.money.quote import Quote
from tests.contract.ledger_stage import Stage
from tests.unit.fallback_world import SECOND, World, fallback


@pytest.mark.parametrize("packs", [False, True])
def test_of_a_finished_job(packs: bool) -> None:
    """Its record may be packed by now."""
    stage = Stage.in_memory(packs=packs)
    began = stage.clock.now
    stage.finished("a", quote=Quote(40_000, "USD"))
    assert bool(stage.field("a", PARTS[0])) is packs
    for moment, amounts in ((began - 1, [40_000]), (began, [])):
        assert [each.amount for each in stage.ledger.books.purchases_since(moment)] == amounts


def test_of_a_job_that_was_bought_at_two_accounts() -> None:
    """What it paid at the account that it has left stands in the record that it left there."""
    world = World()
    began = world.clock.now
    first = world.submit(world.ask(to=(fallback(SECOND, after_charge=True),)))
    world.fail(first, charged=Charged.YES)
    world.clock.advance(10)
    world.accept(world.submit(world.ledger.jobs.step("a", SECOND, token=world.token())))
    purchases = world.ledger.books.purchases_since
    assert sorted(each.begun - int(began) for each in purchases(began - 1)) == [0, 10]
    assert [each.begun - int(began) for each in purchases(began + 5)] == [10]
    assert purchases(began + 10) == []
