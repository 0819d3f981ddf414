"""A run's own budget: kept by the scripts that keep all budgets, whoever dies, and whatever a row asks for."""

from __future__ import annotations

from contextlib import closing
from typing import Any, cast

import pytest

from bide.bulk.budget import as_budget, with_budget
from bide.bulk.intake import take_in
from bide.bulk.rates import environment_quotes, estimate
from bide.bulk.reading import RawRow
from bide.bulk.record import Options
from bide.bulk.results import read
from bide.bulk.runs import Runs
from bide.cli.bulk_show import table
from bide.cli.explain import explained
from bide.contract import JobState
from bide.errors import InvalidRequestError, OverBudgetError
from bide.ledger import Record
from bide.ledger.keys import prefix
from bide.ledger.snapshot import take_snapshot
from bide.ledger.timeline import why
from bide.money.budgets import Budget, check_quote
from bide.money.quote import Quote
from tasks.steps.submit import _price
from tests.contract.ledger_stage import ERROR
from tests.contract.observed_redis import ObservedRedis
from tests.unit.atelier import ACCEPTED, BASE, opened
from tests.unit.atelier import ACCOUNT as PAINTER
from tests.unit.bulk_world import ACCOUNT
from tests.unit.command import POLLER, WORKER
from tests.unit.paid_run import ROW, WHOLE, PaidRun, pictures

FEEDERS_SCRIPTS = 8


@pytest.fixture
def world() -> PaidRun:
    """A run in memory."""
    return PaidRun(ObservedRedis())


def test_a_budget_is_never_passed_and_a_larger_one_goes_on(world: PaidRun) -> None:
    """Rows of four pictures: two fit, the others wait; then the run pauses, and says what to do."""
    world.begin_with(pictures(6), budget=2 * ROW + 50_000)
    world.go_on()
    run = world.run
    assert (run.state, len(world.bought), run.number("spent"), run.number("reserved")) == ("paused", 2, 2 * ROW, 0)
    assert "the budget of 0.21 USD does not cover the next row: 0.16 USD are spent" in run.text("note")
    assert "resume with a larger --budget" in run.text("note")
    assert not world.waiting()

    assert world.runs.resume("r", Options(budget=WHOLE))
    world.go_on()
    assert world.states() == ["succeeded"] * 6
    assert [line["spent"] for line in world.lines()] == [0.08] * 6
    summary = world.summary()
    assert (summary["spent"], summary["budget"], summary["currency"]) == (0.48, 1.0, "USD")


def test_what_is_given_back_lets_a_waiting_row_go_on(world: PaidRun) -> None:
    """The run does not pause while a row is under way that may give something back."""
    world.begin_with(pictures(2), budget=ROW)
    world.fill(2)
    assert world.intend_all() == 1
    assert world.waiting() == ["r.2"]
    world.feed()
    assert (world.run.state, world.run.progress()["waiting_for_budget"]) == ("running", 1)
    world.fail_unpaid("r.1")
    world.feed()
    assert world.intend_all() == 1
    world.accept("r.2")
    world.go_on()
    assert world.states() == ["failed", "succeeded"]
    assert (world.run.number("spent"), world.run.progress()["waiting_for_budget"]) == (ROW, 0)


def test_a_running_run_may_be_given_more(world: PaidRun) -> None:
    """Its waiting rows go on with the next look of its feeder, and its failures are not forgiven by that."""
    world.begin_with(pictures(2), budget=ROW)
    world.fill(2)
    world.intend_all()
    assert world.waiting()
    assert world.runs.resume("r", Options(budget=2 * ROW))
    assert not world.runs.resume("r")
    world.feed()
    assert world.intend_all() == 1
    world.accept_all()
    world.go_on()
    assert world.states() == ["succeeded"] * 2


@pytest.mark.parametrize("end", ["pause", "cancel"])
def test_rows_of_a_run_that_does_not_go_on_are_not_bought(world: PaidRun, end: str) -> None:
    """Neither what waits for the budget, nor what a worker has in hand: the sweeper and the intent look at the run."""
    world.begin_with(pictures(3), budget=ROW)
    world.fill(3)
    [first, second, third] = world.let_in()
    world.intend_all()
    token = "late"
    if end == "pause":
        world.runs.pause("r", why="on request")
    else:
        world.runs.cancel("r")
    world.server.hset("bide:run:r:record", "budget", 100 * ROW)
    world.ledger.budgets.wake(ACCOUNT, [Budget("other", 1, "USD")])
    assert world.waiting() == [second, third]
    world.server.hset(f"{prefix(ACCOUNT)}job:{second}", mapping={"token": token})
    record = world.ledger.jobs.read(ACCOUNT, second)
    assert record
    assert not world.intend(record, token)
    world.accept(first)
    world.feed()
    assert not world.waiting()
    world.go_on()
    assert len(world.bought) == 1
    if end == "cancel":
        assert world.states() == ["succeeded", "canceled", "canceled"]
        return
    world.runs.resume("r")
    world.go_on()
    assert world.states() == ["succeeded"] * 3


def test_a_row_that_was_refused_once_is_taken_back_by_a_canceled_run(world: PaidRun) -> None:
    """It was surely not bought, and waits for money that the run no longer has: else the run would not end."""
    world.begin_with(pictures(2), budget=ROW)
    world.fill(2)
    world.intend_all()
    record, token, attempt = world.held.pop("r.1")
    world.ledger.submits.refused(record, token, attempt=attempt, reason="HTTP 429", after_seconds=0.001)
    assert world.run.number("reserved") == 0
    world.feed()
    world.runs.cancel("r")
    for _ in range(3):
        world.intend_all()
    assert set(world.waiting()) <= {"r.1", "r.2"}
    world.go_on()
    assert world.states() == ["canceled"] * 2
    assert not world.bought


def test_a_row_in_doubt_stays_reserved(world: PaidRun) -> None:
    """It is no room for another; the summary counts it as bought, and a late refusal gives it back."""
    world.begin_with(pictures(2), budget=ROW)
    world.fill(2)
    world.intend_all()
    record, token, attempt = world.held.pop("r.1")
    world.ledger.jobs.conclude(record, token, JobState.UNCONFIRMED, error=ERROR, attempt=attempt)
    world.ledger.jobs.answered(ACCOUNT, "r.1")
    world.go_on()
    assert (world.run.state, world.run.number("reserved")) == ("paused", ROW)
    assert "0.08 USD reserved for rows in doubt" in world.run.text("note")
    world.runs.cancel("r")
    world.go_on()
    assert world.states() == ["unconfirmed", "canceled"]
    assert (world.summary()["spent"], world.lines()[0]["spent"]) == (0.08, 0.08)
    world.ledger.unconfirmed.give_up(ACCOUNT, "r.1")
    assert (world.run.number("reserved"), world.run.number("spent")) == (0, ROW)


def test_a_run_that_is_forgotten_gets_no_record_again(world: PaidRun) -> None:
    """A doubt that is settled after that time writes no key that nobody would delete."""
    world.begin_with(pictures(1), budget=ROW)
    world.feed()
    world.intend_all()
    world.server.delete("bide:run:r:record")
    record, token, attempt = world.held.pop("r.1")
    world.ledger.submits.submitted(record, token, attempt=attempt, provider_job_id="p")
    assert not world.server.exists("bide:run:r:record")


@pytest.mark.parametrize("after", [False, True])
def test_a_feeder_that_dies_anywhere_passes_no_budget(world: PaidRun, after: bool) -> None:
    """Each row is bought once at most, and what the budget covers is bought."""
    world.begin_with(pictures(5), budget=3 * ROW)
    for script in range(2 * FEEDERS_SCRIPTS):
        world.die_at(script % FEEDERS_SCRIPTS, after=after)
        world.intend_all()
        world.accept_all()
    world.go_on()
    assert (world.run.state, set(world.bought.values()), len(world.bought)) == ("paused", {1}, 3)
    assert world.run.number("spent") == 3 * ROW
    rows = [line["row"] for line in read(world.storage, "r")]
    assert sorted(rows) == sorted(set(rows))


def test_budgets_of_the_file_hold_besides(world: PaidRun) -> None:
    """A row waits for the one that lacks room; a run does not pause for a budget that begins anew by itself."""
    world.begin_with(pictures(2), budget=10 * ROW)
    world.fill(2)
    job_id, *_ = world.let_in()
    step = world.ledger.jobs.step(job_id, ACCOUNT, token="t")
    own = world.runs.budget("r")
    assert own
    assert step.record
    quote = own.quote(step.record.request, Quote(None, "USD"))
    day = Budget("day", 0, "USD", per="day", over="wait")
    with pytest.raises(OverBudgetError, match="budget day has no room"):
        world.ledger.submits.intend(step.record, "t", quote=quote, budgets=[day, own.budget])
    assert world.run.number("reserved") == 0
    world.intend_all()
    world.accept_all()
    for _ in range(3):
        world.feed()
    assert world.run.state == "running"


def test_a_worker_prices_a_row_as_its_run_did() -> None:
    """By the run's own prices, though this worker has none; where its account has another currency, not at all."""
    with opened() as atelier:
        record = atelier.server
        run: dict[Any, Any] = {"state": "running", "budget": 50_000, "budget_currency": "USD"}
        record.hset("bide:run:r:record", mapping={**run, "prices": '{"atelier paint": "0.02 * number(params.brush)"}'})
        vars(atelier)["runs"] = Runs(atelier.server)
        atelier.reply("POST", f"{BASE}/works", ACCEPTED)
        atelier.submit("a", params={"brush": "2"})
        row = atelier.record("a")
        quote, budgets = _price(cast(Any, atelier), row, atelier.accounts.get(PAINTER), "")
        assert (quote.amount, budgets) == (None, ())
        mine = Record("b", PAINTER, {**row.fields, "run": "r"}, row.request_json)
        quote, [own] = _price(cast(Any, atelier), mine, atelier.accounts.get(PAINTER), "")
        assert (quote.amount, quote.currency, own.name, own.amount) == (40_000, "USD", "run:r", 50_000)
        atelier.configure(CURRENCY="credits")
        quote, [own] = _price(cast(Any, atelier), mine, atelier.accounts.get(PAINTER), "")
        with pytest.raises(InvalidRequestError, match="budget of run r"):
            check_quote(quote, [own])
        record.hset("bide:run:r:record", "state", "finished")
        assert _price(cast(Any, atelier), mine, atelier.accounts.get(PAINTER), "")[1] == ()


@pytest.mark.parametrize(
    ("text", "read"), [("5", (5 * WHOLE, "")), ("0.5 eur", (500_000, "EUR")), ("7 credits", (7 * WHOLE, "credits"))]
)
def test_how_a_budget_is_written(text: str, read: tuple[int, str]) -> None:
    """An amount, with its currency or without."""
    assert as_budget(text, what="--budget") == read


@pytest.mark.parametrize("text", ["", "USD 5", "5 €", "-1", "5 USD more", "nan USD"])
def test_what_is_no_budget_is_refused(text: str) -> None:
    """With the name of the option."""
    with pytest.raises(InvalidRequestError, match=r"^--budget: .*; write 5, or \"5 USD\"$"):
        as_budget(text, what="--budget")


def test_a_budget_is_in_the_currency_of_the_rows() -> None:
    """Also where the limit of jobs leaves all rows out; the dry run says how far it reaches."""
    prices = {"BIDE_PROVIDERS__PHOTOGPT__PRICES": '{"images.generation": "0.02 * params.numImages"}'}
    rows = (RawRow(at, lambda _, each=each: each) for at, each in enumerate(pictures(3), start=1))  # type: ignore[misc]  # mypy can't infer the default
    with closing(take_in(rows, quote=environment_quotes(prices).quote)) as intake:
        options = with_budget(Options(budget=3 * ROW), intake)
        assert options.budget_currency == "USD"
        assert "budget: 0.24 USD, covers all of it" in estimate(intake, prices, budget=3 * ROW).lines()
        [line] = [line for line in estimate(intake, prices, budget=ROW).lines() if "budget" in line]
        assert line == "budget: 0.08 USD, 0.16 USD short of that: the run may pause before its end"
        with pytest.raises(InvalidRequestError, match="budget: is in EUR, and the prices of the run are in USD"):
            with_budget(Options(budget=1, budget_currency="EUR"), intake)
    rows = (RawRow(at, lambda _, each=each: each) for at, each in enumerate(pictures(3), start=1))  # type: ignore[misc]  # mypy can't infer the default
    with closing(take_in(rows, quote=environment_quotes(prices).quote, most_jobs=0)) as intake:
        assert with_budget(Options(budget=1), intake).budget_currency == "USD"


def test_people_see_what_a_row_waits_for(world: PaidRun) -> None:
    """In the run's status, and in the story of the row, with the command that ends the wait."""
    world.begin_with(pictures(2), budget=ROW)
    world.fill(2)
    world.intend_all()
    world.feed()
    shown = table(world.run.progress())
    assert "budget       0.08 USD" in shown
    assert "in line      1, 1 over the budget" in shown
    record = world.ledger.jobs.read(ACCOUNT, "r.2")
    assert record
    snapshot = take_snapshot(world.ledger, record)
    [reason] = why(snapshot)
    assert reason.startswith("the budget of run r has no room for it")
    assert "bide bulk resume r with more" in reason
    assert "bide bulk resume r --budget MORE" in explained(snapshot, (WORKER, POLLER))["to_do"]
