"""What results, rows, `status` and `explain` say of a job's cost where its price was known before it was bought."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from bide.bulk.results import EndedRow
from bide.client.status import status_of
from bide.contract import JobCost, JobResult
from bide.ledger.charges import cost_of, price_of
from tasks.steps.store import _result
from tests.contract.ledger_stage import Stage
from tests.unit.command import Command
from tests.unit.test_costs import record_of
from workers.pages.rows import paid

PRICED = {"price": "80000", "currency": "USD", "priced_by": "settings"}
RESERVED = {"amount": "0.08", "unit": "USD", "reserved": "0.08", "source": "settings"}


@pytest.mark.parametrize(
    ("fields", "cost"),
    [
        ({}, None),
        ({"cost": "0.07 USD"}, {"amount": "0.07", "unit": "USD"}),
        (PRICED, RESERVED),
        ({**PRICED, "priced_by": "file"}, {**RESERVED, "source": "file"}),
        ({**PRICED, "priced_by": "adapter"}, {**RESERVED, "source": "adapter"}),
        ({**PRICED, "price": "0"}, {**RESERVED, "amount": "0", "reserved": "0"}),
        ({**PRICED, "price": "1000000000000000"}, {**RESERVED, "amount": "1000000000", "reserved": "1000000000"}),
        (
            {**PRICED, "cost": "0.07 USD"},
            {"amount": "0.07", "unit": "USD", "reserved": "0.08", "source": "provider"},
        ),
        ({**PRICED, "cost": "2 credits"}, {"amount": "2", "unit": "credits", "source": "provider"}),
        ({"price": "", "currency": "USD", "priced_by": ""}, None),
        ({"currency": "USD"}, None),
        ({**PRICED, "priced_by": ""}, None),
        ({**PRICED, "state": "failed"}, None),
        ({**PRICED, "state": "running"}, None),
        ({**PRICED, "state": "failed", "cost": "0 USD"}, {**RESERVED, "amount": "0", "source": "provider"}),
    ],
)
def test_the_providers_word_goes_before_the_price(fields: dict[str, str], cost: dict[str, str] | None) -> None:
    """A record without a price says what it said in earlier releases; a job that failed may have cost nothing."""
    record = record_of(**fields)
    found = cost_of(record)
    assert (found.model_dump() if found else None) == cost
    shown = status_of(record, "a").cost
    assert shown == found
    assert EndedRow("run", 1, "succeeded", "o", b"{}", record).line().get("cost") == cost


def test_a_result_has_it() -> None:
    """While it is stored; in the wire form, and back."""
    result = _result(record_of(**PRICED, state="storing"), ())
    assert result.to_wire()["cost"] == RESERVED
    assert JobResult.model_validate_json(result.model_dump_json()) == result


@pytest.mark.parametrize("wrong", [{"reserved": "-1"}, {"reserved": "1e5"}, {"reserved": 1}, {"source": "nobody"}])
def test_a_cost_takes_no_nonsense(wrong: dict[str, Any]) -> None:
    """The form is part of the contract."""
    with pytest.raises(ValidationError):
        JobCost.model_validate({"amount": "1", "unit": "USD", **wrong})


def test_explain_shows_price_and_cost() -> None:
    """For people and for programs."""
    stage = Stage.in_memory()
    run = Command(stage)
    stage.running("a")
    assert json.loads(run("explain", "a", "--json").output)["price"] is None
    stage.server.hset("bide:{photogpt/default}:job:a", mapping=dict[Any, Any](PRICED))
    story = json.loads(run("explain", "a", "--json").output)
    assert story["price"] == {"amount": "0.08", "unit": "USD", "source": "settings"}
    assert story["cost"] is None
    assert "  price      0.08 USD a purchase, by the settings" in run("explain", "a").output.splitlines()
    stage.server.hset("bide:{photogpt/default}:job:a", "cost", "0.07 USD")
    assert "  cost       0.07 USD, as the provider says" in run("explain", "a").output.splitlines()
    stage.server.hdel("bide:{photogpt/default}:job:a", "cost")
    stage.server.hset("bide:{photogpt/default}:job:a", "state", "succeeded")
    assert "  cost       0.08 USD, its price by the settings" in run("explain", "a").output.splitlines()


def test_pages_show_the_price_of_the_job() -> None:
    """Before the plain one that the settings have for its operation."""
    plain = {("photogpt", "images.generation"): 0.02}
    bought = {"pid": "p-1"}
    assert paid(record_of(**bought), plain) == "bought · 0.02"
    assert paid(record_of(**bought, **PRICED), plain) == "bought · 0.08 USD"
    assert str(price_of(record_of(**PRICED))) == "0.08 USD"
