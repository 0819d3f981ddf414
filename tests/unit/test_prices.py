"""Prices by what is asked for: who says them, what they come to, and what is wrong with them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bide.contract import GenerateRequest
from bide.errors import InvalidRequestError
from bide.ledger import AccountName
from bide.money.amounts import MOST, WHOLE, exact, millionths
from bide.money.expressions import Price
from bide.money.price_list import PriceList, read_prices
from bide.money.quote import Quote
from bide.pricing import AccountPrices, Quotes
from bide.providers import find
from bide.providers.base import Provider
from bide.providers.comfyui import ComfyUI
from bide.providers.declared.files import read
from bide.providers.lanes import lane_of
from tests.unit.declared_files import GOOD
from tests.unit.test_accounts import accounts

PHOTOGPT = AccountName("photogpt", "default")
PRICES = "BIDE_PROVIDERS__PHOTOGPT__PRICES"


def image(**params: Any) -> GenerateRequest:
    """A request for pictures of PhotoGPT, whose lane is the model."""
    given = {"modelID": "small", "prompt": "a fox", **params}
    return GenerateRequest(provider="photogpt", operation="images.generation", params=given)


def listed(prices: Mapping[str, Any], currency: str = "") -> AccountPrices:
    """What the settings say."""
    return AccountPrices(PriceList.of(read_prices(json.dumps(prices))), currency)


# What a request costs


@pytest.mark.parametrize(
    ("params", "amount"),
    [
        ({}, 20_000),
        ({"numImages": 4}, 80_000),
        ({"modelID": "large", "width": 2000, "height": 1500}, 300_000),
        ({"modelID": "large", "width": 2000, "height": 1500, "numImages": 2}, 600_000),
        ({"modelID": "flat", "numImages": 9}, 500_000),
    ],
)
def test_the_settings_price_what_is_asked_for(params: dict[str, Any], amount: int) -> None:
    """Pictures, pixels and the model: a request for four does not cost as one, where the price says otherwise."""
    prices = {
        "images.generation": "0.02 * (params.numImages or 1)",
        "images.generation large": "0.1 * megapixels(params) * (params.numImages or 1)",
        "images.generation flat": 0.5,
    }
    context = accounts(PRICES=json.dumps(prices)).get(PHOTOGPT)
    quote = context.quote(image(**params))
    assert (quote.amount, quote.currency, quote.source) == (amount, "USD", "settings")


def test_a_quote_says_what_it_was_worked_out_from() -> None:
    """The price's name and its expression."""
    quote = listed({"images.generation small": "0.02 * 2"}).quote(find("photogpt"), image())
    assert quote == Quote(40_000, "USD", "settings", name="images.generation small", expression="0.02 * 2")


def test_a_long_lane_is_found_by_its_whole_name_and_by_its_short_one() -> None:
    """A person writes the model as the provider has it; `bide explain` shows the short form."""
    model = "workflows/" + "a-long-name/" * 9 + "x"
    adapter, request = find("photogpt"), image(modelID=model)
    short = lane_of(adapter, request.operation, request.params)
    assert len(short) < len(model)
    for lane in (model, short):
        prices = listed({f"images.generation {lane}": 3, "images.generation": 1})
        assert prices.quote(adapter, request).amount == 3 * WHOLE


def test_what_nobody_prices_has_no_price() -> None:
    """It is not zero, and the reason says what to do; it does not quote the lane, since it goes into notes."""
    unpriced = accounts().get(PHOTOGPT).quote(image())
    assert (unpriced.amount, unpriced.source) == (None, "")
    assert unpriced.reason == (
        f'photogpt images.generation has no price; set {PRICES} to a JSON object such as {{"images.generation": 0.02}}'
    )
    of_another = listed({"images.generation large": 1}).quote(find("photogpt"), image(modelID="secret-model"))
    assert of_another.amount is None
    assert "has no price for the lane of this request" in of_another.reason
    assert "secret-model" not in of_another.reason


def test_a_free_operation_costs_nothing() -> None:
    """In any currency; the settings may say otherwise, as for a rented server."""
    request = GenerateRequest(provider="comfyui", operation="prompt", params={"prompt": {}})
    assert AccountPrices(currency="EUR").quote(find("comfyui"), request).amount == 0
    assert listed({"prompt": "0.001"}).quote(find("comfyui"), request).amount == 1000


@pytest.mark.parametrize(
    ("price", "params", "says"),
    [
        (
            "0.02 * params.numImages",
            {},
            "the request lacks params.numImages; give it, or write (params.numImages or 1)",
        ),
        ("params.numImages", {}, "the request lacks params.numImages"),
        ("megapixels(params)", {"width": 3}, "the request lacks params.height"),
        ("0.02 * params.options.seconds", {"options": {}}, "the request lacks params.options.seconds"),
        ("0.02 * params.options.seconds", {"options": {"seconds": "5"}}, "write number(params.options.seconds)"),
        ("number(params.options.seconds)", {"options": {"seconds": "5 s"}}, "number() needs a number"),
        ("1 / params.steps", {"steps": 0}, "divides by zero"),
        ("params.steps / params.steps", {"steps": 0}, "divides by zero"),
        ("0.1 - 0.02 * params.steps", {"steps": 6}, "comes to less than 0"),
        ("params.steps * 1000", {"steps": 2_000_000}, f"comes to more than {MOST}"),
        ("params.steps * params.steps", {"steps": 10**39}, f"comes to more than {MOST}"),
        ("ceil(params.steps)", {"steps": 10**400}, "can't be worked out"),
        ("params.prompt", {}, "comes to no amount of money"),
        ("length(params.numImages)", {"numImages": 3}, "can't be worked out"),
    ],
)
def test_what_can_not_be_worked_out_is_said_with_field_and_remedy(
    price: str, params: dict[str, Any], says: str
) -> None:
    """No value of a request is repeated, and nothing is taken for zero."""
    quote = listed({"images.generation": price}).quote(find("photogpt"), image(**params))
    assert (quote.amount, quote.source) == (None, "settings")
    assert quote.reason.startswith(f"price: {price} ")
    assert says in quote.reason
    assert "a fox" not in quote.reason


def test_numbers_that_are_written_as_texts() -> None:
    """Where an API has them so."""
    assert Price("0.1 * number(params.seconds)").amount({"seconds": "5"}) == Decimal("0.5")


@given(
    st.lists(
        st.tuples(
            st.decimals(0, 1000, places=6, allow_nan=False), st.integers(0, 40), st.integers(1, 8000), st.booleans()
        ),
        max_size=20,
    )
)
def test_sums_are_exact(rows: list[tuple[Decimal, int, int, bool]]) -> None:
    """Quotes add up to the very millionth; a float would be off."""
    total, expected = 0, Decimal(0)
    for unit, pictures, width, has_number in rows:
        params = {"numImages": pictures} if has_number else {}
        prices = listed({"images.generation": f"{unit:f} * (params.numImages or 1) + params.width"})
        quote = prices.quote(find("photogpt"), image(width=width, **params))
        assert quote.amount is not None
        total += quote.amount
        expected += unit * (pictures if has_number and pictures else 1) + width
    assert Decimal(total) / WHOLE == expected
    assert Decimal(exact(total)) == expected


@given(st.integers(0, MOST * WHOLE))
def test_amounts_are_written_exactly(count: int) -> None:
    """Back and forth without a loss."""
    assert millionths(exact(count), what="amount") == count


def test_no_price_is_rounded_to_nothing() -> None:
    """Neither at once nor in a run's record; a price of 0 stays one."""
    for price in (0.0000001, "0.0000001 * params.steps"):
        assert listed({"images.generation": price}).quote(find("photogpt"), image(steps=1)).amount == 1
    quotes = Quotes({"photogpt": listed({"images.generation": 0.0000001, "images.upscaling": 0})})
    assert quotes.to_record()[0] == {"photogpt images.generation": 1, "photogpt images.upscaling": 0}


def test_a_price_that_is_nested_too_deeply_breaks_nothing() -> None:
    """It is no price, and no crash of a worker."""
    quote = listed({"images.generation": "-" * 480 + "params.steps"}).quote(find("photogpt"), image(steps=1))
    assert quote.amount is None


# Who says it


def inkwell(tmp_path: Path, price: str = '{ "*" = "0.02 * params.n", "blue" = 7 }', currency: str = "USD") -> Provider:
    """The adapter of a file, whose lane is the text and whose `n` is 3 by default."""
    text = GOOD.replace('price = { "*" = "0.02" }', f"price = {price}")
    text = text.replace('params.n = { type = "integer" }', 'params.n = { type = "integer", default = 3 }')
    file = tmp_path / "inkwell.toml"
    file.write_text(text.replace("[auth]", f'currency = "{currency}"\n[auth]'), encoding="utf-8")
    return read([file])["inkwell"]()


def draw(**params: Any) -> GenerateRequest:
    """A request of that provider."""
    return GenerateRequest(provider="inkwell", operation="draw", params={"text": "red", **params})


def test_the_settings_go_before_the_file(tmp_path: Path) -> None:
    """The file's price is for all that the settings do not name; its defaults hold for the prices of both."""
    adapter = inkwell(tmp_path)
    own = listed({"draw green": "params.n"})
    of_file = own.quote(adapter, draw())
    assert (of_file.amount, of_file.source, of_file.name) == (60_000, "file", "draw red")
    assert own.quote(adapter, draw(n=5)).amount == 100_000
    assert own.quote(adapter, draw(text="blue")).amount == 7 * WHOLE
    of_settings = own.quote(adapter, draw(text="green"))
    assert (of_settings.amount, of_settings.source) == (3 * WHOLE, "settings")


def test_a_file_names_its_currency(tmp_path: Path) -> None:
    """An account without one of its own has that; in another one the file's prices are refused."""
    adapter = inkwell(tmp_path, currency="credits")
    assert AccountPrices().quote(adapter, draw()).currency == "credits"
    refused = AccountPrices(currency="EUR").quote(adapter, draw())
    assert (refused.amount, refused.currency) == (None, "EUR")
    assert "BIDE_PROVIDERS__INKWELL__CURRENCY to credits" in refused.reason
    assert listed({"draw": 1}, "EUR").quote(adapter, draw()) == Quote(
        WHOLE, "EUR", "settings", name="draw", expression="1"
    )


class Studio(ComfyUI):
    """A provider that documents what its graphs cost."""

    name = "comfyui"
    priced = frozenset({"prompt"})
    breaks = False

    def price(self, operation: str, params: Mapping[str, Any]) -> Price | None:
        if self.breaks:
            raise RuntimeError("a mistake of the adapter")
        return Price("0.5 * length(params.prompt)")


def test_an_adapter_may_have_documented_prices() -> None:
    """One that breaks has none: no job is lost for it."""
    request = GenerateRequest(provider="comfyui", operation="prompt", params={"prompt": {"1": {}, "2": {}}})
    adapter = Studio()
    quote = AccountPrices().quote(adapter, request)
    assert (quote.amount, quote.source) == (WHOLE, "adapter")
    adapter.breaks = True
    assert AccountPrices().quote(adapter, request).amount == 0  # free, as its operation says


def test_no_shipped_adapter_guesses() -> None:
    """The providers' pages name no price of an operation: `priced` stays empty until one does."""
    for name in ("bfl", "cyberphotobooth", "dreambooth", "fal", "nextry", "openai_videos", "photogpt", "replicate"):
        assert find(name).priced == frozenset(), name


# Accounts


def test_an_account_may_have_prices_and_a_currency_of_its_own() -> None:
    """Its list replaces the provider's as a whole."""
    own = {"ACCOUNTS__TEAM_B__API_KEY": "b", "ACCOUNTS__TEAM_B__PRICES": '{"images.generation": 3}'}
    known = accounts(PRICES='{"images.generation": 2}', ACCOUNTS__TEAM_B__CURRENCY="credits", **own)
    shared, of_b = (known.get(AccountName("photogpt", name)).quote(image()) for name in ("default", "team_b"))
    assert (shared.amount, shared.currency) == (2 * WHOLE, "USD")
    assert (of_b.amount, of_b.currency) == (3 * WHOLE, "credits")


@pytest.mark.parametrize(
    ("written", "currency"), [("eur", "EUR"), ("USD", "USD"), ("credits", "credits"), ("gpu_seconds", "gpu_seconds")]
)
def test_currencies(written: str, currency: str) -> None:
    """Three letters are a currency's code."""
    assert accounts(CURRENCY=written).get(PHOTOGPT).quote(image()).currency == currency


def test_a_process_without_the_adapter_has_no_price() -> None:
    """It says so, and nothing breaks."""
    request = GenerateRequest(provider="nowhere", operation="x", params={})
    assert "there is none of that name" in Quotes().quote(request).reason
    other = GenerateRequest(provider="photogpt", operation="x", params={})
    assert "has no operation x here" in Quotes().quote(other).reason


def test_an_expression_is_no_code() -> None:
    """Names of Python's own are fields of params, and there are none of them."""
    for text in ("params.__class__", "params['__class__'].mro"):
        with pytest.raises(InvalidRequestError):
            Price(text).amount({})
