"""`bide providers try`: what it lacks, that it asks before it buys, and that it cuts no secret in two."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from bide.cli.trial_output import SHOWN_CHARACTERS, show_call
from bide.providers.exchange import Account, Call
from tests.unit.provider_files import folder, written
from workers.try_provider import main as try_main

__all__ = ["folder"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "not set up: set BIDE_PROVIDERS__INKWELL__API_KEY"),
        (["--params", "7"], "--params: is no JSON object"),
        (["--params", "{"], "--params: is neither JSON nor @FILE"),
        (["--operation", "nope"], "--operation: inkwell has draw.large"),
        (["--input", "x"], "is not of the form name=place"),
        (["--input", "x=/nowhere.png"], "/nowhere.png can't be read"),
    ],
)
def test_try_says_what_is_missing(arguments: list[str], says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is sent."""
    file = written()
    if arguments:
        monkeypatch.setenv("BIDE_PROVIDERS__INKWELL__API_KEY", "planted-key-0123456789")
    result = CliRunner().invoke(try_main, [*arguments, "--", str(file)])
    assert result.exit_code == 1
    assert says in result.output


def test_try_cuts_no_secret_in_two() -> None:
    """Half a key in a long request would be no longer known for a key."""
    account, key = Account("https://api.inkwell.example", "planted-key-0123456789"), "planted-key-0123456789"
    for characters in range(SHOWN_CHARACTERS - 40, SHOWN_CHARACTERS + 5):
        call = Call("POST", account.url("/ink"), json={"prompt": "x" * characters, "key": key})
        with click.Context(try_main), CliRunner().isolation() as (out, *_):
            show_call(call, account)
        assert b"planted" not in out.getvalue()


def test_try_asks_before_it_buys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The request is shown without its key; no is no."""
    file = written()
    monkeypatch.setenv("BIDE_PROVIDERS__INKWELL__API_KEY", "planted-key-0123456789")
    result = CliRunner().invoke(try_main, ["--params", '{"text": "a red fox"}', "--", str(file)], input="n\n")
    assert result.exit_code == 1
    assert "-> PUT https://api.inkwell.example/v1/ink" in result.output
    assert "X-Key: ***" in result.output
    assert "planted-key" not in result.output
