"""Commands about accounts with several secrets, or none: init, providers, describe, and what bide up says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from dotenv import dotenv_values

from bide.cli.main import main
from tests.unit.keyed import ACCESS, HEARTH, KILN, PAIR, SECRET, keyed, settings
from workers.embedded import missing

__all__ = ["keyed"]

pytestmark = pytest.mark.usefixtures("keyed")


def run(*arguments: str, typed: str | None = None) -> Any:
    """`bide` with these arguments."""
    return CliRunner().invoke(main, arguments, input=typed)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that holds no deployment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DOTENV", raising=False)
    return tmp_path


def test_init_asks_for_each(folder: Path) -> None:
    """And shows none."""
    result = run("init", "kiln", "--account", "b", "--no-try", typed=f"{ACCESS}\n{SECRET}\n")
    assert result.exit_code == 0, result.output
    assert "Access key of kiln" in result.output
    assert "Secret key of kiln" in result.output
    assert ACCESS not in result.output
    assert dotenv_values(folder / ".env", interpolate=False) == {
        f"{KILN}ACCOUNTS__B__ACCESS_KEY": ACCESS,
        f"{KILN}ACCOUNTS__B__SECRET_KEY": SECRET,
    }


def test_init_asks_a_self_hosted_one_for_its_address_alone(folder: Path) -> None:
    """There is no key."""
    result = run("init", "hearth", "--no-try", typed="http://127.0.0.1:8188\n")
    assert result.exit_code == 0, result.output
    assert dotenv_values(folder / ".env") == {f"{HEARTH}BASE_URL": "http://127.0.0.1:8188"}


@pytest.mark.usefixtures("folder")
def test_providers_and_describe_name_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is missing, what is set up, and what each variable is called."""

    def listed_of(provider: str) -> dict[str, Any]:
        listed = json.loads(run("providers", "--json").output)
        return next(each for each in listed if each["provider"] == provider)

    assert listed_of("kiln")["missing"] == [*PAIR]
    assert listed_of("hearth")["missing"] == [f"{HEARTH}BASE_URL"]
    monkeypatch.setenv(f"{KILN}ACCESS_KEY", ACCESS)
    assert listed_of("kiln")["missing"] == [f"{KILN}SECRET_KEY"]
    monkeypatch.setenv(f"{KILN}SECRET_KEY", SECRET)
    monkeypatch.setenv(f"{HEARTH}BASE_URL", "http://127.0.0.1:8188")
    for name in ("kiln", "hearth"):
        assert (listed_of(name)["missing"], listed_of(name)["accounts"]) == ([], ["default"])
    assert f"its account: {KILN}ACCESS_KEY, {KILN}SECRET_KEY" in run("describe", "kiln").output
    assert "its account: takes no key" in run("describe", "hearth").output


@pytest.mark.parametrize(
    ("variables", "warned"),
    [
        ({}, True),
        (PAIR, False),
        ({f"{KILN}MAX_IN_FLIGHT": "2"}, True),
        ({f"{HEARTH}BASE_URL": "http://h.example"}, False),
    ],
)
def test_up_says_whether_a_provider_can_be_called(
    variables: dict[str, str], warned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One with all its secrets, or that takes none."""
    words: list[str] = []
    monkeypatch.setattr(missing, "warn", lambda name, text: words.append(f"{name}: {text}"))
    monkeypatch.setattr(missing, "probe", lambda *_: None)
    missing.say_what_is_missing(settings(**variables))
    assert any(each.startswith("providers:") for each in words) is warned
