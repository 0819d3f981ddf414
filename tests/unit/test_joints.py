"""Where two parts of the ledger meet: budgets, fallbacks, tenants, runs, safe intents, late answers."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import fakeredis
import pytest

from bide.contract import FailureCode, JobState
from bide.errors import OverBudgetError
from bide.ledger import Limits, Verb
from bide.ledger.keys import prefix
from bide.ledger.settling import Promise
from bide.ledger.snapshot import take_snapshot
from bide.ledger.tenants import TenantCaps
from bide.ledger.timeline import next_look
from bide.money.budgets import Budget
from bide.money.quote import Quote
from tests.contract.ledger_contract_budgets import DAY, DAY_SECONDS, buy, let_in, wait
from tests.contract.ledger_contract_money import PRICE, book, doubtful
from tests.contract.ledger_contract_tenants import cap, open_rows
from tests.contract.ledger_stage import ACCOUNT, Stage, taken
from tests.unit.bulk_world import World as Run
from tests.unit.bulk_world import some_rows
from tests.unit.fallback_world import FIRST, SECOND, World, fallback
from tests.unit.guild import Guild, guild
from tests.unit.smithy_world import World as Steps
from tests.unit.test_fallback_ledger import world
from tests.unit.test_fallback_steps import world as steps
from workers.services.budgets import Budgets

__all__ = ["guild", "steps", "world"]  # fixtures

NOTHING = Budget("none", 0, "USD", over="wait")


@pytest.fixture
def stage() -> Stage:
    """A ledger in memory."""
    return Stage.in_memory()


# Budgets and late answers


def waits_again(stage: Stage) -> None:
    """Job `j` may have been accepted; an operator has it submitted again, and a budget has no room for that."""
    doubtful(stage)
    stage.ledger.unconfirmed.resubmit(ACCOUNT, "j")
    token = stage.token()
    record = taken(stage.resume("j", token=token), Verb.SUBMIT)
    with pytest.raises(OverBudgetError):
        stage.ledger.submits.intend(record, token, quote=PRICE, budgets=[NOTHING])


@pytest.mark.parametrize("outputs", ["[]", None])
def test_a_late_answer_ends_the_wait_for_a_budget(stage: Stage, outputs: str | None) -> None:
    """The job was bought: the sweeper does not end it as one that still waits for money."""
    waits_again(stage)
    record = stage.ledger.jobs.read(ACCOUNT, "j")
    assert record is not None
    stage.ledger.submits.submitted(record, "token-1", attempt=1, provider_job_id="p", outputs=outputs)
    state = stage.state("j")
    assert not stage.field("j", "over_budget")
    assert stage.ledger.budgets.stands([NOTHING])[0].waiting == 0
    stage.clock.advance(5000)
    for _ in range(2):
        stage.ledger.accounts.sweep(ACCOUNT)
        stage.ledger.budgets.wake(ACCOUNT, [])
    assert stage.state("j") == state == ("running" if outputs is None else "storing")
    assert book(stage, stage.clock.now - 5000).spent == 40_000


# Budgets and prices


def test_what_costs_nothing_fits_into_a_budget_that_is_overdrawn(stage: Stage) -> None:
    """A cost above its price has pushed the budget over; a price of 0 takes nothing of it."""
    budget = Budget("small", 40_000, "USD")
    record, token = let_in(stage, "a")
    attempt = stage.ledger.submits.intend(record, token, quote=PRICE, budgets=[budget])
    stage.server.hincrby("bide:budget:small:all", "spent", 10_000)
    record, token = let_in(stage, "b")
    free = Quote(0, "USD", "settings")
    assert stage.ledger.submits.intend(record, token, quote=free, budgets=[budget]) == attempt == 1
    with pytest.raises(OverBudgetError):
        buy(stage, "c", budget)


def test_a_job_that_waits_is_priced_anew_in_another_currency(stage: Stage) -> None:
    """The account's currency has changed, and its budgets: a job of which nothing is booked does not pass unpriced."""
    wait(stage, "a", NOTHING)
    stage.ledger.budgets.wake(ACCOUNT, [])
    token = stage.token()
    record = taken(stage.resume("a", token=token), Verb.SUBMIT)
    with pytest.raises(OverBudgetError):
        stage.ledger.submits.intend(
            record, token, quote=Quote(50_000, "EUR", "settings"), budgets=[Budget("euros", 40_000, "EUR")]
        )
    assert (stage.field("a", "price"), stage.field("a", "currency")) == ("50000", "EUR")


def test_a_doubt_that_is_surely_not_bought_needs_a_price_again(guild: Guild, tmp_path: Path) -> None:
    """A budget has come since, under which no purchase is made without a price."""
    guild.order("reject", "dropped")
    file = tmp_path / "budgets.toml"
    file.write_text('[budgets.b]\namount = 5\ncurrency = "USD"\n')
    guild.budgets = Budgets(guild.settings, file=file, clock=guild.clock)
    guild.pass_time(400)
    assert guild.workshop.look_ups
    assert guild.workshop.purchases == 0


# Budgets and tenants


def test_a_tenants_rate_is_not_used_up_by_what_waits_for_a_budget(stage: Stage) -> None:
    """Nor are its places: a job of another lane, which has a budget of its own, goes at once."""
    cap(stage, {"acme": TenantCaps(max_in_flight=1, submits_per_second=1.0)}, max_in_flight=10)
    for number in range(5):
        wait(stage, f"w{number}", NOTHING, tenant="acme")
    assert buy(stage, "goes", tenant="acme") == 1


def test_a_settled_doubt_that_waits_gives_back_no_start_it_did_not_take(stage: Stage) -> None:
    """Its provider surely has no job under the key, and the budget has no room for another submit."""
    cap(stage, {"acme": TenantCaps(submits_per_second=1.0)}, max_in_flight=10)
    promise = Promise(contract="reject", key="k", digest="d", live_seconds=9000, sending_seconds=60)
    token = stage.token()
    record = taken(stage.arrive("j", token=token, tenant="acme"), Verb.SUBMIT)
    stage.ledger.submits.intend(record, token, promise=promise, quote=PRICE)
    stage.clock.advance(120)
    for _ in range(3):
        stage.ledger.accounts.sweep(ACCOUNT)
        stage.clock.advance(60)
    assert stage.state("j") == "submitting"
    booked = stage.server.zscore(f"{prefix(ACCOUNT)}rates", "acme")
    token = stage.token()
    record = taken(stage.resume("j", token=token), Verb.SUBMIT)
    with pytest.raises(OverBudgetError):
        stage.ledger.submits.intend(
            record, token, promise=promise, absent="not known there", quote=PRICE, budgets=[NOTHING]
        )
    assert stage.server.zscore(f"{prefix(ACCOUNT)}rates", "acme") == booked
    assert (stage.state("j"), stage.clocks("j"), stage.field("j", "over_budget")) == ("queued", {"lease"}, "none")
    assert book(stage, stage.clock.now - 300).reserved == 0
    woken = stage.ledger.budgets.wake(ACCOUNT, [])
    assert [hint.job_id for hint in woken.hints] == ["j"]


# Budgets and runs


@pytest.mark.parametrize("end", ["pause", "cancel"])
def test_a_run_takes_rows_back_that_wait_for_a_budget(end: str) -> None:
    """Else they are bought when the budget has room again, by a run that was stopped."""
    run = Run(fakeredis.FakeRedis(decode_responses=True, version=(7,)))
    run.begin(some_rows(2))
    run.feed()
    for job_id in map(str, run.server.zrange(f"{prefix(ACCOUNT)}lease", 0, -1)):
        record = taken(run.ledger.jobs.step(job_id, ACCOUNT, token=job_id), Verb.SUBMIT)
        with pytest.raises(OverBudgetError):
            run.ledger.submits.intend(record, job_id, quote=PRICE, budgets=[NOTHING])
    if end == "pause":
        run.runs.pause("r", why="lunch")
    else:
        run.runs.cancel("r")
    for _ in range(3):
        run.feed()
    run.ledger.budgets.wake(ACCOUNT, [])
    assert not run.server.zcard(f"{prefix(ACCOUNT)}queued") + run.server.zcard(f"{prefix(ACCOUNT)}lease")
    assert not run.server.keys("*over_budget*")
    if end == "cancel":
        found = run.runs.read("r")
        assert found
        assert found.state == "canceled"
        return
    run.runs.resume("r")
    run.run_to_its_end()
    assert run.states() == ["succeeded"] * 2


def test_a_row_that_was_refused_once_waits_for_a_budget_all_the_same(stage: Stage) -> None:
    """It was not bought: it has all its time again, as one that was never sent."""
    open_rows(stage, "r", range(1))
    [hint] = stage.ledger.accounts.admit(ACCOUNT).hints
    record = taken(stage.resume(hint.job_id, token="t"), Verb.SUBMIT)
    attempt = stage.ledger.submits.intend(record, "t", quote=PRICE)
    stage.ledger.submits.refused(record, "t", attempt=attempt, reason="HTTP 429", after_seconds=1)
    stage.clock.advance(2)
    [hint] = stage.ledger.accounts.admit(ACCOUNT).hints
    record = taken(stage.resume(hint.job_id, token="t2"), Verb.SUBMIT)
    with pytest.raises(OverBudgetError):
        stage.ledger.submits.intend(record, "t2", quote=PRICE, budgets=[NOTHING])
    stage.clock.advance(DAY_SECONDS)
    stage.ledger.accounts.sweep(ACCOUNT)
    assert stage.field(hint.job_id, "over_budget") == "none"
    assert [each.job_id for each in stage.ledger.budgets.wake(ACCOUNT, []).hints] == [hint.job_id]


# Budgets and fallbacks


def test_a_job_waits_for_a_budget_for_its_share_of_the_deadline(world: World) -> None:
    """Then the next account is tried, whose budgets may have room."""
    record = taken(world.ask(to=(fallback(SECOND),)), Verb.SUBMIT)
    with pytest.raises(OverBudgetError):
        world.ledger.submits.intend(record, record.text("token"), quote=PRICE, budgets=[NOTHING])
    _, what = next_look(take_snapshot(world.ledger, world.record()))
    assert what == "it goes on at its next account if it still waits"
    world.sweep(800)
    assert world.where() == FIRST
    world.sweep(200)
    assert world.where() == SECOND
    [tried] = world.record().tried
    assert (tried.code, "the budget none had no room" in tried.message) == ("not_submitted", True)
    world.ledger.budgets.wake(FIRST, [NOTHING])
    assert not world.server.keys("*over_budget*")
    assert world.submit(world.resume_at(SECOND))[-1] == 1


def test_a_budget_that_refuses_has_the_next_account_tried(world: World) -> None:
    """Nothing was bought there, and nothing of it stands in a book or a budget."""
    refuses = Budget("first", 0, "USD", account=str(FIRST))
    record = taken(world.ask(), Verb.SUBMIT)
    with pytest.raises(OverBudgetError):
        world.ledger.submits.intend(record, record.text("token"), quote=PRICE, budgets=[refuses])
    world.fail((record, record.text("token"), 0), FailureCode.OVER_BUDGET.value)
    assert world.where() == SECOND
    assert [each.code for each in world.record().tried] == ["over_budget"]
    assert world.submit(world.resume_at(SECOND))[-1] == 1
    assert not world.server.keys("*{photogpt/default}:book:*")


def test_a_place_of_a_tenant_is_given_back_by_a_job_that_goes_on(world: World) -> None:
    """At the account that it leaves; it takes one at the next."""
    world.fail(world.submit(world.ask(tenant="acme", to=(fallback(SECOND),))))
    assert not world.server.exists(f"{prefix(FIRST)}places")
    world.submit(world.resume_at(SECOND))
    assert world.server.hgetall(f"{prefix(SECOND)}places") == {"acme": "1"}


# Fallbacks and what holds all submits back


@pytest.mark.parametrize("safe", [False, True])
def test_what_is_no_matter_of_the_account_moves_no_job(world: World, safe: bool) -> None:
    """An object store that is away, another ledger, or replicas that lag: the next account would not be better off."""
    world.limits[FIRST] = Limits(max_in_flight=5)
    record = taken(world.ask(to=(fallback(SECOND),)), Verb.SUBMIT)
    token = record.text("token")
    if safe:
        world.ledger.submits.intend(record, token, quote=PRICE)
        world.ledger.submits.take_back(record, token, seconds=3.0, reason="not safe")
    else:
        world.ledger.submits.hold_back(record, token, seconds=3.0, reason="the store is away")
    world.resume_at(FIRST)
    world.ask("b", to=(fallback(SECOND),))
    world.sweep(1)
    assert (world.where("a"), world.where("b")) == (FIRST, FIRST)
    assert book(world).reserved == 0


def test_a_store_that_is_away_moves_no_job(steps: Steps) -> None:
    """By the worker's own step."""
    steps.store_check = SimpleNamespace(wait=lambda: "the object store is away")
    steps.message(request=steps.order())
    steps.message("b", steps.order())
    steps.store_check = SimpleNamespace(wait=lambda: "")
    for job_id in ("a", "b"):
        assert (steps.found(job_id).account.provider, steps.found(job_id).state) == ("atelier", JobState.QUEUED)


# Safe intents and money


def test_an_intent_that_is_taken_back_reserves_nothing(stage: Stage) -> None:
    """In the account's book and in the budget; the next attempt reserves anew."""
    budget = Budget("small", 40_000, "USD")
    record, token = let_in(stage, "a", tenant="acme")
    stage.ledger.submits.intend(record, token, quote=PRICE, budgets=[budget])
    stage.ledger.submits.take_back(record, token, seconds=1, reason="not safe")
    assert book(stage).reserved == stage.ledger.budgets.stands([budget])[0].reserved == 0
    assert not stage.server.exists(f"{prefix(ACCOUNT)}places")
    stage.clock.advance(2)
    token = stage.token()
    record = taken(stage.resume("a", token=token), Verb.SUBMIT)
    assert stage.ledger.submits.intend(record, token, quote=PRICE, budgets=[budget]) == 2
    assert stage.ledger.budgets.stands([budget])[0].reserved == 40_000


def test_a_repeat_that_is_taken_back_leaves_the_doubt_reserved(stage: Stage) -> None:
    """Under one key the first submit may have been accepted: that one purchase stays reserved, once."""
    promise = Promise(contract="replay", key="k", digest="d", live_seconds=9000, sending_seconds=60)
    record, token = let_in(stage, "a")
    stage.ledger.submits.intend(record, token, promise=promise, quote=PRICE, budgets=[DAY])
    for _ in range(4):
        stage.clock.advance(60)
        stage.ledger.accounts.sweep(ACCOUNT)
    token = stage.token()
    record = taken(stage.resume("a", token=token), Verb.SUBMIT)
    assert stage.ledger.submits.intend(record, token, promise=promise, quote=PRICE, budgets=[DAY]) == 2
    stage.ledger.submits.take_back(record, token, seconds=1, reason="not safe")
    assert (stage.state("a"), stage.ledger.budgets.stands([DAY])[0].reserved) == ("submitting", 40_000)
