"""Prices of the settings: what stops the start, with variable, key and remedy, all at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bide.money.amounts import MOST
from bide.providers import declared
from config.settings import show
from tests.unit.test_declared_starts import afresh
from tests.unit.test_prices import inkwell
from tests.unit.test_settings import problems, settings_of

__all__ = ["afresh"]

PRICES = "BIDE_PROVIDERS__PHOTOGPT__PRICES"
CURRENCY = "BIDE_PROVIDERS__PHOTOGPT__CURRENCY"
TEAM_B = "BIDE_PROVIDERS__PHOTOGPT__ACCOUNTS__TEAM_B__"


@pytest.mark.parametrize(
    ("prices", "says"),
    [
        ("[]", "is not a JSON object"),
        ("{", "is not a JSON object"),
        ('{"images.generation": -0.01}', "images.generation: comes to less than 0"),
        ('{"images.generation": "0.01 - 0.02"}', "images.generation: comes to less than 0"),
        ('{"images.generation": 1e10}', f"images.generation: comes to more than {MOST}"),
        ('{"images.generation": "1 / 0"}', "images.generation: divides by zero"),
        ('{"images.generation": true}', "images.generation: must be a number or an expression"),
        ('{"images.generation": null}', "images.generation: must be a number or an expression"),
        ('{"images.generation": "0.02 *"}', "images.generation: is no price"),
        ('{"images.generation": "open(1)"}', "images.generation: calls what is no function"),
        ('{"images.generation": "0.02 * params.numImage"}', "names nothing; did you mean params.numImages?"),
        (
            '{"images.generation x": "0.02 * params[\'foo\']"}',
            "images.generation x: params.foo names nothing; there are",
        ),
        ('{"image.generation": 1}', "photogpt has no such operation; did you mean images.generation?"),
        ('{"*": 1}', "'*': is no name of an operation"),
        ('{"": 1}', "'': is no name of an operation"),
        ('{"images.generation  x": 1, "images.generation x": 2}', "two names that differ in blanks alone"),
        ('{"images.generation": 1, "images.generation": 2}', "stands twice"),
    ],
)
def test_wrong_prices_stop_the_start(prices: str, says: str) -> None:
    """With variable, key and remedy."""
    found = problems(**{PRICES: prices})
    assert list(found) == [PRICES]
    assert says in found[PRICES]


def test_all_mistakes_come_at_once() -> None:
    """Of one variable and of several, those of values and those of names."""
    wrong = {"images.generation": "0.02 * params.foo", "images.upscaling": -1, "nope": 1, "videos.generation": "x"}
    with pytest.raises(Exception, match="CURRENCY") as raised:
        settings_of(**{PRICES: json.dumps(wrong), CURRENCY: "€"})
    lines = str(raised.value).splitlines()
    assert len(lines) == 6
    for name in wrong:
        assert any(f"{PRICES}: {name}: " in line for line in lines), name
    assert all("; " in line for line in lines[1:])


def test_an_account_in_another_currency_needs_prices_of_its_own() -> None:
    """Those of its provider are in the provider's."""
    settings = {PRICES: '{"images.generation": 2}', f"{TEAM_B}API_KEY": "b", f"{TEAM_B}CURRENCY": "EUR"}
    found = problems(**settings)
    assert found[f"{TEAM_B}CURRENCY"].startswith(f"{TEAM_B}CURRENCY: is EUR, and the prices of {PRICES} are in USD; ")
    settings_of(**settings, **{f"{TEAM_B}PRICES": '{"images.generation": 1}'})
    settings_of(**settings | {f"{TEAM_B}CURRENCY": "USD"})


@pytest.mark.usefixtures("afresh")
def test_an_account_in_another_currency_than_the_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the start, unless the settings have prices for all that the file has."""
    inkwell(tmp_path)
    monkeypatch.setenv(declared.PATH_VARIABLE, str(tmp_path))
    euros = {"BIDE_PROVIDERS__INKWELL__CURRENCY": "EUR"}
    [problem] = problems(**euros).values()
    assert problem == (
        "BIDE_PROVIDERS__INKWELL__CURRENCY: the account is in EUR, and the file of inkwell has prices in USD; "
        "set BIDE_PROVIDERS__INKWELL__PRICES to those in EUR, or BIDE_PROVIDERS__INKWELL__CURRENCY to USD"
    )
    assert len(problems(**euros, BIDE_PROVIDERS__INKWELL__PRICES='{"draw blue": 1}')) == 1
    settings_of(**euros, BIDE_PROVIDERS__INKWELL__PRICES='{"draw": 1}')
    settings_of(BIDE_PROVIDERS__INKWELL__CURRENCY="USD")


@pytest.mark.usefixtures("afresh")
def test_prices_see_the_defaults_and_params_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the defaults would divide by zero, the start says so."""
    inkwell(tmp_path)
    monkeypatch.setenv(declared.PATH_VARIABLE, str(tmp_path))
    wrong = {"draw": "1 / (params.n - 3)", "draw blue": "params.m"}
    [problem] = problems(BIDE_PROVIDERS__INKWELL__PRICES=json.dumps(wrong)).values()
    assert "params.m names nothing" in problem
    [zero] = problems(BIDE_PROVIDERS__INKWELL__PRICES=json.dumps({"draw": "1 / (params.n - 3)"})).values()
    assert "draw: divides by zero for the params' defaults; correct the price" in zero


def test_prices_are_shown_with_the_settings() -> None:
    """`python -m config.settings` prints them as JSON."""
    given = {"BIDE_S3__BUCKET": "results", PRICES: '{"images.generation": "0.02 * (params.numImages or 1)"}'}
    [line] = [line for line in show(given, env_file=None) if line.startswith(PRICES)]
    assert "0.02 * (params.numImages or 1)" in line
