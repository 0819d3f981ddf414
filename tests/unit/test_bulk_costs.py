"""What a row of a run has cost, and under which id the provider knows it."""

from __future__ import annotations

from bide.bulk.record import Options
from bide.ledger.keys import prefix
from tests.unit.bulk_world import ACCOUNT, PRICES, World, row


def test_a_row_has_the_providers_id_and_what_it_cost(world: World) -> None:
    """A row that repeats another cost nothing more; one that was left out has neither."""
    world.begin([row("fox"), row("fox"), row("crow")], Options(window=9, max_jobs=1, prices=PRICES))
    world.feed()
    world.server.hset(f"{prefix(ACCOUNT)}job:r.1", "pid", "p-1")
    world.run_to_its_end()
    bought = [(line["provider_job_id"], line["spent"]) for line in world.lines()]
    assert bought == [("p-1", 1.0), ("p-1", 0.0), (None, None)]


def test_without_a_price_no_cost_is_said(world: World) -> None:
    """Nothing is known, which is not nothing."""
    world.begin([row("fox"), row("fox")])
    world.run_to_its_end()
    assert [line["spent"] for line in world.lines()] == [None, None]
