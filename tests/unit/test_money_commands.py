"""`bide spend` and `bide budgets` over a ledger in memory, and what Prometheus sees of the same."""

from __future__ import annotations

import csv
import io
import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from bide.ledger import AccountName
from bide.money.budgets import Budget
from bide.money.quote import Quote
from tests.contract.ledger_stage import ACCOUNT, Stage
from tests.unit.command import Command, attended_stage
from tests.unit.metrics_world import shown
from workers.metrics.reading import SHOWN_TENANTS

OTHER = AccountName("dreambooth", "second")


@pytest.fixture
def stage() -> Stage:
    """The ledger of the commands."""
    return attended_stage()


@pytest.fixture
def run(stage: Stage) -> Command:
    """`bide` over that ledger."""
    return Command(stage)


def buy(stage: Stage, job_id: str, price: int, *, tenant: str = "", currency: str = "USD") -> None:
    """A job that was accepted."""
    record, token, attempt = stage.submitting(job_id, quote=Quote(price, currency))
    if tenant:
        stage.server.hset(f"bide:{{{ACCOUNT}}}:job:{job_id}", "tenant", tenant)
    stage.ledger.submits.submitted(record, token, attempt=attempt, provider_job_id=f"p-{job_id}")


def test_spend_shows_a_line_for_each_account_and_currency(stage: Stage, run: Command) -> None:
    """Amounts are exact, and those of two currencies are never added up."""
    buy(stage, "a", 40_000)
    buy(stage, "b", 1)
    buy(stage, "c", 3_000_000, currency="credits")
    stage.submitting("d", quote=Quote(40_000, "USD"))
    lines = run("spend").output.splitlines()
    assert lines[0].split() == ["account", "currency", "spent", "reserved", "refunded", "purchases", "unpriced"]
    assert lines[1].split() == ["photogpt/default", "USD", "0.040001", "0.04", "0", "2", "0"]
    assert lines[2].split() == ["photogpt/default", "credits", "3", "0", "0", "1", "0"]


def test_spend_by_day_reaches_as_far_as_is_asked(stage: Stage, run: Command) -> None:
    """Days without a purchase have no line."""
    buy(stage, "a", 40_000)
    stage.clock.advance(2 * 24 * 3600)
    buy(stage, "b", 50_000)
    found = json.loads(run("spend", "--by", "day", "--json").output)
    assert [(line["day"], line["spent"]) for line in found["lines"]] == [("2023-11-14", "0.04"), ("2023-11-16", "0.05")]
    found = json.loads(run("spend", "--by", "day", "--json", "--since", "2023-11-15").output)
    assert [line["day"] for line in found["lines"]] == ["2023-11-16"]
    found = json.loads(run("spend", "--json", "--until", "2023-11-13").output)
    assert found["lines"] == []
    assert "nothing was bought" in run("spend", "--until", "2023-11-13").output


@pytest.mark.parametrize("by", ["tenant", "provider", "operation", "lane"])
def test_spend_by_each_other_thing(stage: Stage, run: Command, by: str) -> None:
    """As a table of a spreadsheet."""
    buy(stage, "a", 40_000)
    [row] = csv.DictReader(io.StringIO(run("spend", "--by", by, "--csv").output))
    what = {"tenant": "", "provider": "photogpt", "operation": "photogpt images.generation"}
    assert row[by] == what.get(by, "photogpt images.generation")
    assert (row["currency"], row["spent"], row["purchases"]) == ("USD", "0.04", "1")


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--since", "yesterday"], "is no date"),
        (["--since", "2026-12-01", "--until", "2026-11-01"], "must be from 1 to 400 days"),
        (["--csv", "--json"], "not both"),
        (["--by", "colour"], "is not one of"),
    ],
)
def test_spend_refuses_what_it_can_not_show(run: Command, options: list[str], part: str) -> None:
    """With what would be right."""
    result = run("spend", *options)
    assert result.exit_code == 2
    assert part in result.output


def test_budgets_shows_how_each_stands(stage: Stage, run: Command) -> None:
    """As workers publish them: the command has no file."""
    assert "there is no budget" in run("budgets").output
    budget = Budget("acme", 100_000, "USD", "day", "wait", tenant="acme", provider="fal")
    stage.ledger.budgets.publish([budget])
    stage.server.hset("bide:budget:acme:2023-11-14", mapping={"reserved": 40_000, "spent": 45_000})
    stage.server.sadd("bide:accounts", str(ACCOUNT))
    stage.server.zadd(f"bide:{{{ACCOUNT}}}:over_budget:acme", {"j": 1})
    lines = run("budgets").output.splitlines()
    assert lines[0] == "acme  85 % of 0.1 USD (2023-11-14), 1 job waits for it"
    assert "spent 0.045, reserved 0.04; for tenant acme, provider fal; a job too much waits" in lines[1]
    [found] = json.loads(run("budgets", "--json").output)
    assert found == {
        "budget": "acme",
        "period": "2023-11-14",
        "for": "tenant acme, provider fal",
        "currency": "USD",
        "amount": "0.1",
        "reserved": "0.04",
        "spent": "0.045",
        "percent": 85.0,
        "over": "wait",
        "waiting": 1,
    }


def test_budgets_names_what_is_most_likely_misspelt(stage: Stage, run: Command) -> None:
    """By what the books have: nothing counts for a name that no job has."""
    buy(stage, "a", 40_000)
    [book] = stage.server.keys("*:book:*")
    stage.server.hset(book, "USD|acme|paint|fal-ai/flux/dev:spent", 1)
    stage.ledger.budgets.publish(
        [
            Budget("a", 1, "USD", tenant="acne"),
            Budget("b", 1, "USD", lane="fal-ai/flux/dve", provider=ACCOUNT.provider),
            Budget("c", 1, "USD", provider=ACCOUNT.provider, account=f"{ACCOUNT.provider}/defualt"),
            Budget("d", 1, "USD", tenant="acme", lane="fal-ai/flux/dev"),
            Budget("e", 1, "USD", tenant="initech"),
        ]
    )
    output = run("budgets").output
    assert "nothing counts for tenant acne so far; did you mean acme?" in output
    assert "nothing counts for lane fal-ai/flux/dve so far; did you mean fal-ai/flux/dev?" in output
    assert f"{ACCOUNT.provider}/defualt so far; did you mean {ACCOUNT}?" in output
    assert output.count("nothing counts") == 3
    [first, *_] = json.loads(run("budgets", "--json").output)
    assert first["doubts"] == ["nothing counts for tenant acne so far; did you mean acme?"]


@pytest.mark.parametrize(("per", "number"), [("day", 1), ("month", 2)])
def test_budgets_says_what_was_before(stage: Stage, run: Command, per: Any, number: int) -> None:
    """A new or renamed budget counts from its first purchase on; the books have what was before, of what it covers."""
    buy(stage, "a", 40_000)
    stage.clock.advance(24 * 3600)
    buy(stage, "b", 40_000)
    buy(stage, "c", 70_000, currency="credits")
    new = Budget("new", 1_000_000, "USD", per, provider=ACCOUNT.provider)
    stage.ledger.budgets.publish([new, Budget("other", 1, "USD", per, provider="fal")])
    stage.submitting("d", quote=Quote(10_000, "USD"))
    period = new.period(datetime.fromtimestamp(stage.clock.now, UTC).date())
    stage.server.hset(f"bide:budget:new:{period}", "reserved", 10_000)
    output = run("budgets").output
    assert f"the books of this period have 0.0{4 * number} USD more: bought before it was there" in output
    assert output.count("the books") == 1


def test_metrics_show_books_and_budgets_and_a_bounded_number_of_tenants(stage: Stage) -> None:
    """However many tenants there are."""
    stage.clock.now = time.time()
    for number in range(SHOWN_TENANTS + 5):
        book = f"bide:{{{ACCOUNT}}}:book:{time.strftime('%Y-%m-%d', time.gmtime())}"
        stage.server.hset(book, f"USD|t{number}|paint|:spent", 1_000_000 * (number + 1))
    stage.server.sadd("bide:accounts", str(ACCOUNT))
    stage.ledger.budgets.publish([Budget("all", 10_000_000, "USD")])
    stage.server.hset("bide:budget:all:all", mapping={"reserved": 500_000, "spent": 2_000_000})
    seen = shown(stage)
    assert seen.of_account("spent_today", currency="USD") == 325
    assert len(seen.samples("tenant_spent_today")) == SHOWN_TENANTS + 1
    assert seen.value("tenant_spent_today", tenant="t24", currency="USD") == 25
    assert seen.value("tenant_spent_today", tenant="other", currency="USD") == 15
    budget = {"budget": "all", "currency": "USD"}
    assert [seen.value(f"budget_{name}", **budget) for name in ("limit", "reserved", "spent", "waiting_jobs")] == [
        10,
        0.5,
        2,
        0,
    ]
