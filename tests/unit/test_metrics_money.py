"""Metrics of money: doubts by how they were settled, and what tenants reserve, spend and find no room for."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bide.errors import OverBudgetError
from bide.ledger import Verb
from bide.money.budgets import Budget
from bide.money.quote import Quote
from tests.contract.ledger_stage import ACCOUNT, Stage, taken
from tests.unit.guild import Guild, guild
from tests.unit.lister import Lister, lister
from tests.unit.metrics_world import shown
from workers.metrics.counted import SETTLED_DOUBTS

__all__ = ["guild", "lister"]

PRICE = Quote(40_000, "USD")


def settled(world: Stage | Guild) -> dict[str, float]:
    """How many doubts were settled, by how."""
    exported = shown(world)  # type: ignore[arg-type]  # both worlds have a `server`, which is all that is looked at
    samples = [one for metric in exported.collect() if metric.name == "bide_settled_doubts" for one in metric.samples]
    return {one.labels["how"]: one.value for one in samples if one.value}


# Doubts


@pytest.mark.parametrize("contract", ["replay", "reject", "client_id"])
def test_a_contract_settles_a_doubt(guild: Guild, contract: str) -> None:
    """It counts once, however often was asked; a submit without a doubt counts nowhere."""
    guild.order(contract, "lost", 503)
    guild.order(contract, job_id="b")
    guild.pass_time(600)
    assert guild.state() == "running"
    assert settled(guild) == {contract: 1}


def test_a_doubt_about_a_free_operation_is_settled_by_a_submit(guild: Guild) -> None:
    """No contract is needed."""
    guild.order("free", "lost")
    guild.pass_time(60)
    assert settled(guild) == {"free": 1}


def test_a_look_up_that_finds_nothing_settles_it_too(guild: Guild) -> None:
    """It was not accepted, and is bought under the same promise."""
    guild.order("client_id", "dropped")
    guild.pass_time(600)
    assert guild.state() == "running"
    assert settled(guild) == {"not_accepted": 1}


def test_the_list_settles_a_doubt(lister: Lister) -> None:
    """Where one job alone fits."""
    lister.buy("a", "lost")
    lister.look()
    assert settled(lister) == {"listing": 1}


PEOPLE: dict[str, Callable[[Stage], object]] = {
    "attached": lambda stage: stage.ledger.unconfirmed.attach(ACCOUNT, "a", "p-9"),
    "resubmitted": lambda stage: stage.ledger.unconfirmed.resubmit(ACCOUNT, "a"),
    "given_up": lambda stage: stage.ledger.unconfirmed.give_up(ACCOUNT, "a"),
}


@pytest.mark.parametrize("how", PEOPLE)
def test_an_operator_settles_a_doubt(late_stage: Stage, how: str) -> None:
    """Pressed twice, it counts once."""
    late_stage.unconfirmed("a")
    assert settled(late_stage) == {}
    for _ in range(2):
        PEOPLE[how](late_stage)
    assert settled(late_stage) == {how: 1}


@pytest.mark.parametrize("answer", ["late_answer", "not_accepted"])
def test_an_answer_settles_a_doubt_late(late_stage: Stage, answer: str) -> None:
    """The provider answers after all: it has the job, or not."""
    record, token, attempt = late_stage.unconfirmed("a")
    if answer == "late_answer":
        late_stage.ledger.submits.submitted(record, token, attempt=attempt, provider_job_id="p", first_poll_seconds=2)
    else:
        late_stage.ledger.submits.refused(record, token, attempt=attempt, reason="HTTP 429", after_seconds=5)
    assert settled(late_stage) == {answer: 1}


def test_ways_to_settle_are_all_exported(late_stage: Stage) -> None:
    """Zeros too, so that a rate sees the first one; what this release does not know is `other`."""
    late_stage.open("a")
    late_stage.server.hset(f"bide:{{{ACCOUNT}}}:settled_doubts", "by magic", "3")
    found = [labels["how"] for labels in shown(late_stage).samples("settled_doubts_total")]
    assert found == [*SETTLED_DOUBTS.values, "other"]
    assert settled(late_stage) == {"other": 3}


# Tenants


def buy(stage: Stage, job_id: str, tenant: str, budget: Budget) -> None:
    """A worker writes the intent of a job of a tenant under a budget."""
    token = stage.token()
    record = taken(stage.arrive(job_id, token=token, tenant=tenant), Verb.SUBMIT)
    stage.ledger.submits.intend(record, token, quote=PRICE, budgets=(budget,))


@pytest.mark.parametrize("over", ["refuse", "wait"])
def test_tenants_that_a_budget_has_no_room_for(late_stage: Stage, over: str) -> None:
    """What each has reserved is exported, and how often a budget had no room for it."""
    budget = Budget("small", 50_000, "USD", over=over)  # type: ignore[arg-type]  # one of the two
    buy(late_stage, "a", "acme", budget)
    with pytest.raises(OverBudgetError):
        buy(late_stage, "b", "bolt", budget)
    found = shown(late_stage)
    assert found.of_account("tenant_over_budget_jobs_total", tenant="bolt") == 1
    assert found.of_account("tenant_over_budget_jobs_total", tenant="acme") in (0, None)
