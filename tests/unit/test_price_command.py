"""`bide price`: what a request will cost, by whom it is said, and what it was worked out from."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bide.cli.main import main

PRICES = "BIDE_PROVIDERS__PHOTOGPT__PRICES"
REQUEST: dict[str, Any] = {
    "provider": "photogpt",
    "operation": "images.generation",
    "params": {"modelID": "m1", "prompt": "a red fox", "numImages": 4},
}


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder, and prices that depend on params and model."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("BIDE_")]:
        monkeypatch.delenv(name)
    prices = {"images.generation": "0.02 * (params.numImages or 1)", "images.generation big": 0.1}
    monkeypatch.setenv(PRICES, json.dumps(prices))


def price(*arguments: str, typed: str | None = None) -> Result:
    """`bide price` with these arguments, `typed` on its standard input."""
    return CliRunner().invoke(main, ["price", *arguments], input=typed)


def test_a_file_is_priced() -> None:
    """Amount and currency first, then all that they follow from; no broker is needed."""
    Path("request.json").write_text(json.dumps(REQUEST))
    shown = price("request.json")
    assert shown.exit_code == 0
    assert shown.output.splitlines() == [
        "0.08 USD",
        "  what       photogpt images.generation, account default",
        "  lane       m1",
        "  priced     by the settings",
        "  price      images.generation: 0.02 * (params.numImages or 1)",
        "  with       params.numImages = 4",
    ]
    assert "fox" not in shown.output


@pytest.mark.parametrize(
    "arguments",
    [
        ("-",),
        ("--request", "-"),
        ("photogpt", "images.generation", "-p", "modelID=m1", "-p", "prompt=x", "-p", "numImages=4"),
        ("-", "-p", "numImages=4"),
    ],
)
def test_a_request_comes_as_it_does_to_submit(arguments: tuple[str, ...]) -> None:
    """From a file, standard input or options."""
    assert price(*arguments, typed=json.dumps(REQUEST)).output.startswith("0.08 USD\n")


def test_programs_read_json() -> None:
    """With the most that the request may cost: it allows a second purchase."""
    shown = price("-", "--json", "--on-unknown", "resubmit", "--account", "b", typed=json.dumps(REQUEST))
    assert json.loads(shown.output) == {
        "amount": "0.08",
        "currency": "USD",
        "at_most": "0.16",
        "source": "settings",
        "price": {
            "name": "images.generation",
            "expression": "0.02 * (params.numImages or 1)",
            "values": {"params.numImages": 4},
        },
        "provider": "photogpt",
        "account": "b",
        "operation": "images.generation",
        "lane": "m1",
    }
    people = price("-", "--on-unknown", "resubmit", typed=json.dumps(REQUEST)).output.splitlines()
    assert people[-1] == "  at most    0.16 USD, as on_unknown allows a second purchase"


def test_an_account_has_its_own_price(monkeypatch: pytest.MonkeyPatch) -> None:
    """And its own currency."""
    monkeypatch.setenv("BIDE_PROVIDERS__PHOTOGPT__ACCOUNTS__B__PRICES", '{"images.generation": "params.numImages"}')
    monkeypatch.setenv("BIDE_PROVIDERS__PHOTOGPT__ACCOUNTS__B__CURRENCY", "credits")
    assert price("-", "--account", "b", typed=json.dumps(REQUEST)).output.startswith("4 credits\n")


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        (
            {"operation": "images.upscaling", "params": {"imageID": "i"}},
            1,
            "photogpt images.upscaling has no price; set",
        ),
        ({"params": {"modelID": "m1"}}, 1, "prompt is required"),
        ({"operation": "nope"}, 1, "has no 'nope'"),
        ({"provider": "nope"}, 1, "there is no 'nope'"),
        ({"params": {**REQUEST["params"], "numImages": 10**12}}, 1, "comes to more than 1000000000"),
        ({"params": {**REQUEST["params"], "numImages": -1}}, 1, "comes to less than 0"),
        ({"no_field": 1}, 1, "no_field"),
        (
            {"fallbacks": [{"provider": "fal", "operation": "nope", "params": {}}]},
            1,
            "fallbacks.0: operation: fal has no",
        ),
        (
            {"fallbacks": [{"provider": "fal", "operation": "run", "params": {}}]},
            1,
            "fallbacks.0: params.model: is req",
        ),
    ],
)
def test_what_has_no_price_is_an_error(change: dict[str, Any], code: int, says: str) -> None:
    """With the reason and what to do, not a zero."""
    refused = price("-", typed=json.dumps({**REQUEST, **change}))
    assert (refused.exit_code, refused.stdout) == (code, "")
    assert says in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nowhere.json",), "nowhere.json: can't be read: No such file"),
        (("-",), "not JSON"),
        (("a", "b", "c"), "c: is one argument too many"),
        (("-", "images.generation"), "leave it out here"),
        ((), "PROVIDER is missing"),
        (("photogpt",), "OPERATION is missing"),
    ],
)
def test_a_wrong_call_says_what_is_right(arguments: tuple[str, ...], says: str) -> None:
    """As of other commands: code 2."""
    refused = price(*arguments, typed="{")
    assert refused.exit_code == 2
    assert says in refused.stderr


def test_wrong_prices_are_named_with_their_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them."""
    monkeypatch.setenv(PRICES, '{"images.generation": "1 / 0", "videos.generation": "0.1 * params.lenght"}')
    refused = price("-", typed=json.dumps(REQUEST))
    assert refused.exit_code == 1
    assert f"{PRICES}: images.generation: divides by zero; " in refused.stderr
    assert f"{PRICES}: videos.generation: params.lenght names nothing; " in refused.stderr


def test_a_price_of_a_file_of_a_provider() -> None:
    """Whoever knows it says it: here a free operation's adapter."""
    free = {"provider": "comfyui", "operation": "prompt", "params": {"prompt": {"1": {"class_type": "x"}}}}
    assert price("-", typed=json.dumps(free)).output.splitlines()[:3] == [
        "0 USD",
        "  what       comfyui prompt, account default",
        "  priced     by the provider's adapter",
    ]
