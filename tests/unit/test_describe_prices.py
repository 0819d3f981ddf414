"""What `bide describe` says of prices: for each account and lane the expression, who says it, and an example."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bide.cli.describe_prices import price_lines, prices_of
from bide.cli.main import main
from bide.pricing import Quotes
from bide.providers.declared.files import read
from tests.unit.declared_files import GOOD

PHOTOGPT = "BIDE_PROVIDERS__PHOTOGPT__"
IMAGES = ("photogpt", "images.generation")


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder, and no settings."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("BIDE_")]:
        monkeypatch.delenv(name)


def shown(*arguments: str) -> list[str]:
    """The lines of `bide describe` about prices."""
    printed = CliRunner().invoke(main, ["describe", *arguments])
    assert printed.exit_code == 0, printed.output
    return [line.strip() for line in printed.stdout.splitlines() if line.startswith("  price")]


def test_prices_of_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the operation, of a lane, and of an account in its own currency."""
    prices = {"images.generation": "0.02 * (params.numImages or 1)", "images.generation m2": 0.1}
    monkeypatch.setenv(f"{PHOTOGPT}PRICES", json.dumps(prices))
    monkeypatch.setenv(f"{PHOTOGPT}ACCOUNTS__B__PRICES", '{"images.generation": "params.numImages"}')
    monkeypatch.setenv(f"{PHOTOGPT}ACCOUNTS__B__CURRENCY", "credits")
    assert shown(*IMAGES) == [
        "price: 0.02 * (params.numImages or 1) USD, by the settings (such as 0.04 USD with params.numImages = 2)",
        "price of lane m2: 0.1 USD, by the settings",
        "price of account b: params.numImages credits, by the settings (such as 2 credits with params.numImages = 2)",
    ]
    found: list[dict[str, Any]] = json.loads(CliRunner().invoke(main, ["describe", *IMAGES, "--json"]).stdout)
    assert found[0]["prices"][0] == {
        "account": None,
        "lane": None,
        "expression": "0.02 * (params.numImages or 1)",
        "currency": "USD",
        "source": "settings",
        "example": {"amount": "0.04", "values": {"params.numImages": 2}},
    }


def test_what_has_no_price_says_so() -> None:
    """It is not taken for nothing, as what is free is."""
    assert shown(*IMAGES) == ["price: not known; a budget lets no job of it through"]
    assert shown("comfyui", "prompt") == ["price: 0 USD, by the provider's adapter"]


def test_an_example_that_can_not_be_worked_out_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a nested param, for which there is no sample."""
    monkeypatch.setenv("BIDE_PROVIDERS__FAL__PRICES", '{"run": "0.025 * megapixels(params.input)"}')
    assert shown("fal", "run") == ["price: 0.025 * megapixels(params.input) USD, by the settings"]
    monkeypatch.setenv("BIDE_PROVIDERS__FAL__PRICES", '{"run": "0.03 * (params.input.n or 1)"}')
    assert shown("fal", "run")[0].endswith("by the settings (such as 0.03 USD with no params.input.n)")


def test_wrong_prices_do_not_hide_the_params(monkeypatch: pytest.MonkeyPatch) -> None:
    """They help to correct the price."""
    monkeypatch.setenv(f"{PHOTOGPT}PRICES", '{"images.generation": "params.numImage"}')
    printed = CliRunner().invoke(main, ["describe", *IMAGES])
    assert "did you mean params.numImages?" in printed.stderr
    assert "numImages" in printed.stdout


def test_prices_of_a_file(tmp_path: Path) -> None:
    """One for each lane and one for all others; those of the settings go before."""
    file = tmp_path / "inkwell.toml"
    prices = '{ "*" = "0.02 * (params.n or 1)", ink = 0.5 }'
    file.write_text(GOOD.replace('{ "*" = "0.02" }', prices))
    adapter = read([file])["inkwell"]()
    assert price_lines(prices_of(adapter, "draw", Quotes())) == [
        "price: 0.02 * (params.n or 1) USD, by the provider's file (such as 0.04 USD with params.n = 2)",
        "price of lane ink: 0.5 USD, by the provider's file",
    ]
    own = Quotes.from_json('{"inkwell": {"prices": {"draw ink": "0.3"}, "currency": ""}}')
    assert price_lines(prices_of(adapter, "draw", own)) == [
        "price of lane ink: 0.3 USD, by the settings",
        "price: 0.02 * (params.n or 1) USD, by the provider's file (such as 0.04 USD with params.n = 2)",
    ]
