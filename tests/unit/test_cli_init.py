"""`bide init` writes what a person types into `.env`, tries it, and never shows it."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from dotenv import dotenv_values

from bide.cli.main import main

KEY = "key with $ and # in it"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that holds no deployment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DOTENV", raising=False)
    return tmp_path


def init(*arguments: str, typed: str) -> Result:
    """Run it with `typed` on its standard input."""
    return CliRunner().invoke(main, ["init", *arguments], input=typed)


def test_the_key_lands_in_the_file_and_nowhere_else(folder: Path) -> None:
    """As it was typed, for the owner's eyes alone."""
    result = init(typed=f"photogpt\n{KEY}\n")
    assert result.exit_code == 0, result.output
    assert KEY not in result.output
    assert dotenv_values(folder / ".env", interpolate=False) == {"BIDE_PROVIDERS__PHOTOGPT__API_KEY": KEY}
    assert stat.S_IMODE((folder / ".env").stat().st_mode) == 0o600
    assert "bide submit photogpt images.generation -p ... --wait" in result.output


def test_what_stands_in_the_file_stays(folder: Path) -> None:
    """But for the variable that is set anew."""
    (folder / ".env").write_text("# mine\nBIDE_S3__BUCKET=b\nBIDE_PROVIDERS__PHOTOGPT__API_KEY=old\n")
    init("photogpt", typed="new\n")
    assert (folder / ".env").read_text() == "# mine\nBIDE_S3__BUCKET=b\nBIDE_PROVIDERS__PHOTOGPT__API_KEY=new\n"


def test_a_provider_without_a_public_address_is_asked_for_it(folder: Path) -> None:
    """And a second account has a name of its own."""
    init("nextry", "--account", "second", typed="https://nextry.example\nkey\n")
    assert dotenv_values(folder / ".env") == {
        "BIDE_PROVIDERS__NEXTRY__BASE_URL": "https://nextry.example",
        "BIDE_PROVIDERS__NEXTRY__ACCOUNTS__SECOND__API_KEY": "key",
    }


def test_an_unknown_provider_names_those_that_there_are(folder: Path) -> None:
    """Before anything is asked for or written."""
    result = init("photogtp", typed="key\n")
    assert result.exit_code == 1
    assert "photogpt" in result.output
    assert not (folder / ".env").exists()
