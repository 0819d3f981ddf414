"""Bulk runs are priced row by row: in a dry run, before one with a budget begins, and as its rows are admitted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bide.bulk.intake import Intake, take_in
from bide.bulk.rates import check_budget, environment_quotes, estimate
from bide.bulk.reading import RawRow
from bide.bulk.record import Options
from bide.errors import InvalidRequestError
from bide.money.amounts import WHOLE
from bide.pricing import Quotes
from bide.settings.sections import ProviderSettings
from tests.unit.beginnings import ASKED, Tools
from tests.unit.bulk_world import World, row, some_rows
from tests.unit.test_prices import image, listed

PRICES = "BIDE_PROVIDERS__PHOTOGPT__PRICES"
BY_NUMBER = {PRICES: json.dumps({"images.generation": "0.02 * params.numImages", "images.generation flat": 0.5})}


def pictures(prompt: str, number: int | None, model: str = "m1", **more: Any) -> dict[str, Any]:
    """A row that asks for so many pictures; None for one that does not say how many."""
    params = {"modelID": model, "prompt": prompt, **({} if number is None else {"numImages": number})}
    return {"provider": "photogpt", "operation": "images.generation", "params": params, **more}


@contextmanager
def taken(rows: list[dict[str, Any]], environment: dict[str, str], *, most_jobs: int | None = None) -> Iterator[Intake]:
    """The rows, checked and priced by an environment."""
    raw = (RawRow(at, lambda _, each=each: each) for at, each in enumerate(rows, start=1))  # type: ignore[misc]  # mypy can't infer the default
    intake = take_in(raw, quote=environment_quotes(environment).quote, most_jobs=most_jobs)
    try:
        yield intake
    finally:
        intake.close()


# Before


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(1, 8), st.sampled_from(["m1", "flat"]), st.booleans()), min_size=1, max_size=12))
def test_an_estimate_is_the_exact_sum_of_its_rows(rows: list[tuple[int, str, bool]]) -> None:
    """Every row by its own price, twice where it may be bought twice, and nothing for one that repeats another."""
    asked = [
        pictures(f"fox {at}", number, model, **({"on_unknown": "resubmit"} if twice else {}))
        for at, (number, model, twice) in enumerate(rows)
    ]
    each = (
        (Decimal("0.5") if model == "flat" else Decimal("0.02") * number) * (1 + twice) for number, model, twice in rows
    )
    with taken([*asked, asked[0]], BY_NUMBER) as intake:
        assert intake.costs == {"USD": sum(each) * WHOLE}
        check_budget(intake)


def test_an_estimate_is_of_the_jobs_that_are_bought() -> None:
    """Those that `--max-jobs` leaves out cost nothing."""
    rows = [pictures("a", 4), pictures("a", 4), pictures("b", 1), pictures("c", 100)]
    with taken(rows, BY_NUMBER, most_jobs=2) as intake:
        lines = estimate(intake, BY_NUMBER, max_jobs=2).lines()
    assert lines[:2] == ["4 rows, 2 jobs (1 row repeats another)", "1 job left out by --max-jobs"]
    assert "cost: 0.1 USD at most" in lines


def test_rows_without_a_price_are_named() -> None:
    """In an estimate; under a budget they are an error, and nothing is taken for zero."""
    rows = [pictures("a", 4), pictures("b", None), pictures("c", None), pictures("d", 1)]
    upscale = {"provider": "photogpt", "operation": "images.upscaling", "params": {"imageID": "i"}}
    with taken([*rows, upscale], BY_NUMBER) as intake:
        lines = estimate(intake, BY_NUMBER).lines()
        assert "cost: 0.1 USD at most" in lines
        [lacking, unpriced] = [line for line in lines if line.startswith("  without a price: ")]
        assert lacking.startswith("  without a price: lines 2, 3: price: 0.02 * params.numImages can't be worked out")
        assert unpriced.startswith("  without a price: line 5: photogpt images.upscaling has no price; set ")
        with pytest.raises(InvalidRequestError, match=r"budget: it could not be kept") as refused:
            check_budget(intake)
    assert "the request lacks params.numImages" in str(refused.value)
    assert "(lines 2, 3)" in str(refused.value)
    assert f'set {PRICES} to a JSON object such as {{"images.upscaling": 0.02}} (line 5)' in str(refused.value)
    assert "\n" not in refused.value.redacted


def test_many_rows_without_a_price_are_counted() -> None:
    """The first lines are named."""
    rows = [pictures(f"fox {at}", None) for at in range(30)]
    with taken(rows, BY_NUMBER) as intake:
        [line] = [line for line in estimate(intake, BY_NUMBER).lines() if "cost" in line]
        assert line.startswith("cost: not known: price: 0.02 * params.numImages can't be worked out: ")
    with taken([*rows, pictures("crow", 1)], BY_NUMBER) as intake:
        [line] = [line for line in estimate(intake, BY_NUMBER).lines() if "without a price" in line]
        assert "lines 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 20 more: " in line


def test_a_budget_is_of_one_currency() -> None:
    """Rows in two can't be added up."""
    second = {"BIDE_PROVIDERS__PHOTOGPT__ACCOUNTS__B__PRICES": '{"images.generation": 2}'}
    second |= {"BIDE_PROVIDERS__PHOTOGPT__ACCOUNTS__B__CURRENCY": "credits"}
    with taken([pictures("a", 4), pictures("b", 4, account="b")], BY_NUMBER | second) as intake:
        assert "cost: 0.08 USD and 2 credits at most" in estimate(intake, {}).lines()
        with pytest.raises(InvalidRequestError, match="prices in USD and credits: a budget is of one currency"):
            check_budget(intake)


def test_wrong_prices_of_an_environment_are_said_at_once() -> None:
    """The command has no settings, and finds the same mistakes in the environment."""
    wrong = {
        PRICES: '{"images.generation": -1, "nope": 1, "videos.generation": "params.foo"}',
        "BIDE_PROVIDERS__FAL__PRICES": "[",
        "BIDE_PROVIDERS__FAL__ACCOUNTS__B__CURRENCY": "€",
    }
    with pytest.raises(InvalidRequestError) as refused:
        environment_quotes(wrong)
    lines = str(refused.value).splitlines()
    assert len(lines) == 5
    assert {line.partition(":")[0] for line in lines} == set(wrong)


# While it runs


def test_a_run_keeps_the_prices_that_it_began_with() -> None:
    """Plain ones in millionths, as earlier releases read and write them."""
    quotes = Quotes(
        {
            "photogpt": listed({"images.generation": 0.02, "images.generation big": "params.numImages"}),
            "photogpt/team_b": listed({"images.generation": 1}, "EUR"),
        }
    )
    prices, currencies = quotes.to_record()
    assert prices == {
        "photogpt images.generation": 20_000,
        "photogpt images.generation big": "params.numImages",
        "photogpt/team_b images.generation": 1_000_000,
    }
    assert currencies == {"photogpt/team_b": "EUR"}
    again = Quotes.from_record(json.loads(json.dumps(prices)), currencies)
    for request in (image(), image(modelID="big", numImages=4), image().model_copy(update={"account": "team_b"})):
        assert again.quote(request).amount == quotes.quote(request).amount
        assert again.quote(request).currency == quotes.quote(request).currency


def test_a_budget_is_kept_by_what_each_row_asks_for(world: World) -> None:
    """The feeder prices rows as the run's beginning did: 4 + 4 pictures fit, the next 4 do not."""
    prices = {"photogpt images.generation": "0.02 * params.numImages"}
    rows = [row(f"fox {at}", params={"modelID": "m1", "prompt": f"fox {at}", "numImages": 4}) for at in range(4)]
    world.begin(rows, Options(window=8, budget=200_000, prices=prices))
    for _ in range(6):
        world.feed()
        world.finish_jobs()
    run = world.runs.read("r")
    assert run is not None
    assert (run.state, run.number("spent"), len(world.bought)) == ("paused", 160_000, 2)
    assert [line["spent"] for line in world.lines()] == [0.08, 0.08]
    assert world.runs.resume("r", Options(budget=WHOLE))
    world.run_to_its_end()
    assert [line["spent"] for line in world.lines()] == [0.08] * 4


def test_a_row_that_has_no_price_where_it_is_admitted_pauses_a_run_with_a_budget(world: World) -> None:
    """It is not bought for nothing; without a budget it goes on as ever."""
    rows = [row("a"), row("b", params={"modelID": "m1", "prompt": "b"})]
    prices = {"photogpt images.generation": "0.02 * params.numImages"}
    world.begin(rows, Options(window=8, budget=WHOLE, prices=prices))
    world.run_to_its_end_or_pause()
    run = world.runs.read("r")
    assert run is not None
    assert (run.state, list(world.bought)) == ("paused", ["a"])
    assert run.text("note").startswith("row 2 has no price, so the budget could not be kept: price: 0.02 * ")


def test_without_a_budget_rows_need_no_price(world: World) -> None:
    """As in earlier releases."""
    world.begin(some_rows(2), Options(window=8, prices={"photogpt images.generation": "0.02 * params.width"}))
    world.run_to_its_end()
    assert [line["spent"] for line in world.lines()] == [None, None]


def test_a_worker_begins_a_run_with_the_prices_of_its_settings(tools: Tools) -> None:
    """They go into the run's record; a budget needs them all."""
    asked = {**ASKED, "options": {"budget": 1}}
    tools.settings.providers["photogpt"] = ProviderSettings(prices='{"images.generation": "0.02 * params.numImages"}')
    assert tools.begin(asked) == "r"
    assert tools.run.options.prices == {"photogpt images.generation": "0.02 * params.numImages"}


def test_a_worker_refuses_a_budget_that_it_could_not_keep(tools: Tools) -> None:
    """The list of runs says why, in one line."""
    asked = {**ASKED, "options": {"budget": 1}}
    tools.settings.providers["photogpt"] = ProviderSettings(prices='{"images.generation": "0.02 * params.width"}')
    assert tools.begin(asked) is None
    assert tools.run.text("note").startswith("budget: price: 0.02 * params.width can't be worked out")
    assert "(lines 1, 2, 3)" in tools.run.text("note")
