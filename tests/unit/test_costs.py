"""What a job cost: read exactly, nonsense ignored, the latest word kept, and shown wherever the job is."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from bide.bulk.results import EndedRow
from bide.client.status import status_of
from bide.contract import JobCost, JobResult, JobState
from bide.ledger import AccountName, Record
from bide.ledger.records import BoughtWith
from bide.providers import find
from bide.providers.base import (
    Account,
    Answer,
    Cost,
    Failed,
    Finished,
    Running,
    Submission,
    Submitted,
    Succeeded,
    Ticket,
)
from bide.providers.costs import as_cost, cost_text
from tasks.steps.outcome import Fail
from tasks.steps.store import _result
from tests.contract.ledger_stage import ACCOUNT, Stage, request_of
from tests.unit.atelier import ACCEPTED, BASE, STATUS, Atelier, PlainAtelierAdapter, atelier
from tests.unit.command import Command

__all__ = ["atelier"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.025, "0.025 USD"),
        ("0.0250", "0.025 USD"),
        (" 7 ", "7 USD"),
        (7, "7 USD"),
        (0, "0 USD"),
        ("0.00", "0 USD"),
        (-0.0, "0 USD"),
        (1e-05, "0.00001 USD"),
        ("2.5e-3", "0.0025 USD"),
        (".5", "0.5 USD"),
        (100, "100 USD"),
        (1e9, "1000000000 USD"),
        (0.1 + 0.2, "0.30000000000000004 USD"),
        (5e-324, "0 USD"),
    ],
)
def test_a_price_is_exact_text(value: Any, text: str) -> None:
    """No float, no exponent; what stands in the record is read back as it was."""
    cost = as_cost(value, "USD")
    assert cost is not None
    assert (cost.to_text(), str(cost)) == (text, text)
    assert Cost.from_text(text) == cost
    assert cost.to_wire() == JobCost(amount=text.split(maxsplit=1)[0], unit="USD")


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, False, "", "free", "NaN", "Infinity", "-1", "1,50", "$3", "0x10", "1_000", "٣", "1" * 5000),
        *("1e999", "9" * 64, [], {}, [1], b"1", math.nan, math.inf, -math.inf, -0.01, -3, 1e10, 1e300),
        pytest.param(10**5000, id="more digits than Python turns into a text"),
    ],
)
def test_nonsense_is_no_price(value: Any) -> None:
    """It is ignored, never an error: a price is no reason to lose a job."""
    assert as_cost(value, "USD") is None


@pytest.mark.parametrize(
    "cost",
    [
        *(Cost(Decimal(text), "USD") for text in ("NaN", "sNaN", "Infinity", "-1", "1E+40")),
        *(Cost(Decimal(1), unit) for unit in ("", "a b", "USD\x1b[2J", "€" * 40, "x" * 33)),
        None,
    ],
)
def test_an_adapters_nonsense_is_not_kept(cost: Cost | None) -> None:
    """The engine does not trust an adapter with what goes into results."""
    assert cost_text(cost) == ""


# The record


def test_the_latest_word_counts(atelier: Atelier) -> None:
    """At the submit, while it runs, at its end; a word that is missing or nonsense changes nothing."""
    atelier.reply("POST", f"{BASE}/works", {**ACCEPTED, "price": "0.05"})
    atelier.submit()
    assert atelier.record().text("cost") == "0.05 USD"
    for answer, cost in (
        ({"state": "painting"}, "0.05 USD"),
        ({"state": "painting", "price": 0.07}, "0.07 USD"),
        ({"state": "painting", "price": "NaN"}, "0.07 USD"),
        ({"state": "painting", "price": -4}, "0.07 USD"),
        ({"state": "done", "pictures": ["https://a.studio.example/1.png"], "price": "0.065"}, "0.065 USD"),
    ):
        atelier.reply("GET", STATUS, answer)
        atelier.poll()
        assert atelier.record().text("cost") == cost
    assert atelier.record().state is JobState.STORING


@pytest.mark.parametrize(("price", "cost"), [(0, "0 USD"), ("0.01", "0.01 USD"), ("???", "0.05 USD")])
def test_a_failure_says_what_it_cost(atelier: Atelier, price: Any, cost: str) -> None:
    """A refund is a lower amount."""
    atelier.reply("POST", f"{BASE}/works", {**ACCEPTED, "price": "0.05"})
    atelier.submit()
    atelier.reply("GET", STATUS, {"state": "failed", "why": "no colour left", "price": price})
    atelier.poll()
    assert (atelier.record().state, atelier.record().text("cost")) == (JobState.FAILED, cost)
    assert str(atelier.record().cost) == cost


@pytest.mark.parametrize("answer", [{"canceled": "requested"}, {"canceled": "too late"}])
def test_a_job_that_is_to_stop_says_it_too(atelier: Atelier, answer: dict[str, str]) -> None:
    """The poll of the round that asks the provider to stop the job brings its cost as well."""
    atelier.reply("POST", f"{BASE}/works", ACCEPTED)
    atelier.submit()
    atelier.reply("PUT", ACCEPTED["cancel_url"], answer)
    atelier.reply("GET", STATUS, {"state": "failed", "why": "stopped", "price": "0.02"})
    atelier.canceler.cancel("a")
    atelier.poll()
    assert (atelier.record().text("state"), atelier.record().text("cost")) == ("canceled", "0.02 USD")


def test_what_is_finished_at_once_says_it(atelier: Atelier) -> None:
    """Where the answer to the submit holds the result."""
    pictures = ["https://a.studio.example/1.png"]
    atelier.reply("POST", f"{BASE}/works", {**ACCEPTED, "pictures": pictures, "price": 3})
    assert not isinstance(atelier.submit(), Fail)
    assert (atelier.record().state, atelier.record().text("cost")) == (JobState.STORING, "3 USD")


def test_another_purchase_begins_anew(stage: Stage) -> None:
    """The cost of a purchase that the job no longer is goes with it."""
    record, token, attempt = stage.submitting("a")
    stage.ledger.submits.submitted(
        record, token, attempt=attempt, provider_job_id="p", bought_with=BoughtWith(cost="3 USD")
    )
    assert stage.field("a", "cost") == "3 USD"
    record, token, attempt = stage.unconfirmed("b")
    stage.server.hset("bide:{photogpt/default}:job:b", "cost", "3 USD")
    stage.ledger.unconfirmed.attach(ACCOUNT, "b", "p-9")
    assert stage.field("b", "cost") == ""


# Where it is shown


def record_of(**fields: str) -> Record:
    """A job that succeeded."""
    given = {"state": "succeeded", "op": "images.generation", "created": "1700000000.000", "polls": "2", **fields}
    return Record("a", AccountName("photogpt", "default"), given, request_of().to_json())


def test_a_result_has_it() -> None:
    """As text, in the wire form and in `job.json`; a result without it is as it was in earlier releases."""
    result = _result(record_of(cost="0.025 USD"), ())
    assert result.to_wire()["cost"] == {"amount": "0.025", "unit": "USD"}
    assert JobResult.model_validate_json(result.model_dump_json()) == result
    assert list(result.to_wire())[-1] == "metadata", "Celery's events cut results off"
    assert "cost" not in _result(record_of(), ()).to_wire()


@pytest.mark.parametrize("amount", ["NaN", "-1", "1e5", "", "1.", "0.1234567890123456789", 1.5])
def test_a_result_takes_no_nonsense(amount: Any) -> None:
    """The form of the amount is part of the contract."""
    with pytest.raises(ValidationError):
        JobCost.model_validate({"amount": amount, "unit": "USD"})


def test_status_and_rows_have_it() -> None:
    """`Client.status`, and the line of a row in the results of its run."""
    for cost, wire in (("2 credits", {"amount": "2", "unit": "credits"}), ("", None)):
        record = record_of(**({"cost": cost} if cost else {}))
        found = status_of(record, "a").cost
        assert (found.model_dump() if found else None) == wire
        assert EndedRow("run", 1, "succeeded", "o", b"{}", record).line().get("cost") == wire


def test_commands_show_it(stage: Stage) -> None:
    """`bide explain`, for people and for programs."""
    run = Command(stage)
    stage.running("a")
    assert json.loads(run("explain", "a", "--json").output)["cost"] is None
    stage.server.hset("bide:{photogpt/default}:job:a", "cost", "0.025 USD")
    assert json.loads(run("explain", "a", "--json").output)["cost"] == {"amount": "0.025", "unit": "USD"}
    assert "  cost       0.025 USD, as the provider says" in run("explain", "a").output.splitlines()


# PhotoGPT's credits

GPT = Account("https://provider.example/api", "key-0123456789")
TICKET = Ticket("images.generation", "j1")


def gpt(**result: Any) -> Answer:
    """An answer of PhotoGPT."""
    return Answer(200, {}, json.dumps({"status": "OK", "result": result}).encode())


@pytest.mark.parametrize(
    ("charged", "cost"),
    [({"credits": 2}, Cost(Decimal(2), "credits")), ({}, None), ({"credits": "lots"}, None), ({"credits": -1}, None)],
)
def test_photogpts_credits(charged: dict[str, Any], cost: Cost | None) -> None:
    """Wherever an answer about a job has them; all else in the outcome is as without."""
    adapter, pictures = find("photogpt"), [{"id": "i", "url": "https://cdn.example/1.png"}]
    submission = Submission("a", "images.generation", {"modelID": "m", "prompt": "x"})
    submitted = adapter.submit_outcome(gpt(jobId="j1", **charged), submission, GPT)
    assert submitted == Submitted("j1", cost=cost)
    at_once = adapter.submit_outcome(gpt(status="success", images=pictures, **charged), submission, GPT)
    assert isinstance(at_once, Finished)
    assert at_once.cost == cost
    for result, kind in (
        ({"status": "running"}, Running),
        ({"status": "success", "images": pictures}, Succeeded),
        ({"status": "failed", "error": "no face"}, Failed),
    ):
        outcome = adapter.poll_outcome(gpt(**result, **charged), TICKET, GPT)
        assert isinstance(outcome, kind)
        assert outcome.cost == cost


def test_an_adapter_without_prices_says_nothing() -> None:
    """The usual case costs no field."""
    outcome = PlainAtelierAdapter().poll_outcome(Answer(200, {}, b'{"state": "painting"}'), TICKET, GPT)
    assert outcome == Running("painting")
