"""A worker's step under budgets: what fails, what waits, and what is refused since its price is not known."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import pytest
from celery import Celery
from structlog.testing import capture_logs

from bide.bulk.runs import Runs
from bide.cli.explain import explained
from bide.cli.listing import table
from bide.client.status import status_of
from bide.contract import FailureCode
from bide.ledger.listing import Listing, Wanted
from bide.ledger.snapshot import take_snapshot
from bide.ledger.timeline import next_look, why
from bide.money.budgets import Budget
from tasks.steps.outcome import Fail, Outcome, Suspend
from tests.contract.ledger_contract_budgets import wait
from tests.contract.ledger_stage import Stage
from tests.unit.atelier import ACCEPTED, ACCOUNT, BASE, Atelier, opened
from tests.unit.command import POLLER, WORKER
from workers.services.budgets import Budgets
from workers.services.dispatcher import Dispatcher
from workers.services.sweeper import Sweeper

SUBMIT = ("POST", f"{BASE}/works")
BUDGET = '[budgets.{name}]\namount = {amount}\ncurrency = "USD"\nper = "day"\nover = "{over}"\n'


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Atelier]:
    """A worker whose purchases cost 0.04 each."""
    with opened(PRICES='{"paint": 0.04}') as world:
        world.budgets = Budgets(world.settings, file=tmp_path / "budgets.toml", clock=world.clock)
        world.reply(*SUBMIT, ACCEPTED)
        yield world


def limit(world: Atelier, tmp_path: Path, text: str) -> None:
    """Write the file of budgets; a second later it is in force."""
    (tmp_path / "budgets.toml").write_text(text)
    world.clock.advance(1)


def failed(outcome: Outcome) -> FailureCode:
    """The code of a step that failed its job."""
    assert isinstance(outcome, Fail)
    return outcome.failure.code


def test_a_job_too_much_fails_and_is_not_bought(world: Atelier, tmp_path: Path) -> None:
    """It may be sent again."""
    limit(world, tmp_path, BUDGET.format(name="small", amount=0.04, over="refuse"))
    assert isinstance(world.submit("a"), Suspend)
    outcome = world.submit("b")
    assert failed(outcome) is FailureCode.OVER_BUDGET
    assert isinstance(outcome, Fail)
    assert outcome.failure.retryable
    assert "budget small" in outcome.failure.message
    assert world.purchases() == 1


def test_a_job_waits_and_goes_on_once_the_budget_is_raised(world: Atelier, tmp_path: Path) -> None:
    """The sweeper reads the file: no process is restarted, and the alarm was raised once."""
    limit(world, tmp_path, BUDGET.format(name="small", amount=0.04, over="wait"))
    world.submit("a")
    assert isinstance(world.submit("b"), Suspend)
    assert (world.purchases(), world.record("b").text("over_budget")) == (1, "small")
    snapshot = take_snapshot(world.ledger, world.record("b"))
    assert why(snapshot)[0].startswith("the budget small has no room for it")
    assert snapshot.record.text("note").startswith("waits for budget small until 20")
    assert "00:00 UTC, or until it is raised: bide budgets" in why(snapshot)[0]
    [listed] = Listing(world.ledger.executor).search(Wanted(), most=2).jobs[1:]
    assert "waits for budget small" in table([listed])[0]
    assert "waits for budget small" in status_of(snapshot.record, "b").note
    assert next_look(snapshot) == (snapshot.record.number("deadline"), "it fails if it still waits (deadline)")
    assert "raise the budget small" in explained(snapshot, (WORKER, POLLER))["to_do"]
    app = Celery(broker="memory://", set_as_current=False)
    dispatcher = cast(Dispatcher, world)
    sweeper = Sweeper(app, world.ledger, Runs(world.server), dispatcher, sweep_seconds=1, budgets=world.budgets.current)
    with capture_logs() as logs:
        sweeper.sweep()
        sweeper.sweep()
    assert [entry["budget"] for entry in logs if entry["event"] == "budget.alarm"] == ["small"]
    assert world.record("b").text("over_budget")
    limit(world, tmp_path, BUDGET.format(name="small", amount=0.08, over="wait"))
    sweeper.sweep()
    hints = [hint.job_id for messages in world.sent for hint in messages.hints]
    assert hints == ["b"]
    assert not world.record("b").text("note")
    assert isinstance(world.again("b"), Suspend)
    assert world.purchases() == 2


@pytest.mark.parametrize(
    ("moment", "per", "until"),
    [
        ("2026-11-30T23:59:59", "day", "2026-12-01 00:00 UTC, or until"),
        ("2026-12-31T08:00:00", "month", "2027-01-01 00:00 UTC, or until"),
        ("2027-02-03T08:00:00", "month", "2027-03-01 00:00 UTC, or until"),
        ("2028-02-28T08:00:00", "day", "2028-02-29 00:00 UTC, or until"),
        ("2028-02-28T08:00:00", "", "it is raised"),
    ],
)
def test_a_job_that_waits_says_until_when(moment: str, per: Any, until: str) -> None:
    """Which budget, when it begins anew, and what ends the wait before."""
    stage = Stage.in_memory()
    stage.clock.now = datetime.fromisoformat(f"{moment}+00:00").timestamp()
    wait(stage, "a", Budget("b", 1, "USD", per=per, over="wait"))
    assert stage.field("a", "note") == f"waits for budget b until {until}{' it is raised' if per else ''}: bide budgets"


@pytest.mark.parametrize(
    ("prices", "currency", "part"), [("{}", "USD", "is not known"), ('{"paint": 0.04}', "EUR", "is in USD")]
)
def test_what_can_not_be_counted_is_not_bought(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, prices: str, currency: str, part: str
) -> None:
    """A price that is not known is not zero; amounts of two currencies are not added up."""
    with opened(PRICES=prices) as world:
        world.reply(*SUBMIT, ACCEPTED)
        file = tmp_path / "budgets.toml"
        file.write_text(f'[budgets.b]\namount = 5\ncurrency = "{currency}"\nprovider = "atelier"\n')
        world.budgets = Budgets(world.settings, file=file, clock=world.clock)
        if currency == "EUR":  # the file is refused, so that the budget comes by an account that turns up later
            monkeypatch.setattr("config.budgets.currency_of", lambda *_: "")
        outcome = world.submit("a")
        assert failed(outcome) is FailureCode.INVALID_REQUEST
        assert isinstance(outcome, Fail)
        assert part in outcome.failure.message
        assert "budget b" in outcome.failure.message
        assert world.purchases() == 0


def test_without_a_budget_a_job_needs_no_price() -> None:
    """It is bought, and the book counts it."""
    with opened() as world:
        world.reply(*SUBMIT, ACCEPTED)
        world.submit("a")
        assert world.purchases() == 1
        assert world.ledger.accounts.count_clocks(ACCOUNT)["due"] == 1
