"""Commands as an operator mistypes them: a condition without a value, a ledger that is none, another's store."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bide.cli import connection
from bide.cli.filled import Moment
from bide.cli.main import main
from tests.unit.command import Command, attended_stage
from tests.unit.test_cli import running_stack

OTHER = "redis://:hunter2@127.0.0.1:1/0"


def run(*arguments: str) -> Result:
    """`bide`, in an empty environment."""
    return CliRunner().invoke(main, arguments)


@pytest.fixture(autouse=True)
def _empty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.startswith("BIDE_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("value", ["", " "])
@pytest.mark.parametrize(
    "arguments",
    [
        ("erase", "--before", "2099-01-01", "--yes", "--tenant"),
        ("erase", "a", "--yes", "--tenant"),
        ("jobs", "--tenant"),
        ("jobs", "--provider"),
        ("jobs", "--account"),
        ("pause", "photogpt"),
        ("resume", "photogpt"),
        ("tenants",),
        ("tenants", "photogpt"),
        ("ledger", "confirm", "--yes", "--ledger"),
        ("doctor", "--ledger"),
    ],
)
def test_an_empty_value_is_no_missing_one(arguments: tuple[str, ...], value: str) -> None:
    """`--tenant "$NAME"` without a NAME erased the jobs of all tenants."""
    result = Command(attended_stage())(*arguments, value)
    assert result.exit_code == 2, result.output
    assert "is empty: name one, or leave it out" in result.output


PROGRAMS = [
    ("recover", "--dry-run"),
    ("adopt", "photogpt", "default", "a", "b"),
    ("unconfirmed", "settle"),
    ("unconfirmed", "list", "--candidates"),
]


@pytest.fixture
def became(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """The environments of the programs that a command has become."""
    found: list[dict[str, str]] = []

    def noted(_module: str, *_arguments: str, environment: dict[str, str]) -> None:
        found.append(environment)
        raise SystemExit(0)

    for module in ("recover", "adopt", "unconfirmed"):
        monkeypatch.setattr(f"bide.cli.{module}.become", noted)
    return found


@pytest.mark.parametrize("arguments", PROGRAMS)
def test_a_ledger_that_nobody_named_is_refused(arguments: tuple[str, ...], became: list[Any]) -> None:
    """Programs of the deployment went to the usual ledger instead."""
    result = run(*arguments, "--ledger", "eu")
    assert (result.exit_code, became) == (2, [])
    assert "no ledger is named" in result.stderr


@pytest.mark.parametrize("arguments", PROGRAMS)
def test_a_broker_beside_a_ledger_is_refused(
    arguments: tuple[str, ...], became: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which of the two is meant is not clear; neither address is shown."""
    monkeypatch.setenv("BIDE_LEDGERS__EU__BROKER_URL", "redis://:hunter2@eu/0")
    result = run(*arguments, "--ledger", "eu", "--broker", OTHER)
    assert (result.exit_code, became) == (2, [])
    assert "--broker or --ledger, not both" in result.stderr
    assert "hunter2" not in result.output


@pytest.mark.parametrize("arguments", PROGRAMS)
def test_a_named_ledger_is_gone_to(
    arguments: tuple[str, ...], became: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing of the variables that lead elsewhere is left."""
    monkeypatch.setenv("BIDE_LEDGERS__EU__BROKER_URL", "redis://eu/0")
    monkeypatch.setenv("BIDE_LEDGER_URL", "redis://elsewhere/0")
    assert run(*arguments, "--ledger", "EU").exit_code == 0
    [environment] = became
    assert (environment["BIDE_BROKER_URL"], environment["BIDE_LEDGER_URL"]) == ("redis://eu/0", "")


@pytest.mark.parametrize("way", [("--broker", OTHER), ("--ledger", "eu")])
def test_the_bucket_of_a_stack_is_for_its_own_ledger(
    way: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`bide erase` took the objects of the stack in this folder for those of another ledger's jobs."""
    running_stack(tmp_path, "up", os.getpid(), BIDE_BROKER_URL="redis://stack/0", BIDE_S3__BUCKET="of-the-stack")
    if way[0] == "--ledger":
        monkeypatch.setenv("BIDE_LEDGERS__EU__BROKER_URL", OTHER)
    monkeypatch.setattr(connection, "check_answers", lambda *_: None)
    result = run("erase", "a", "--yes", *way)
    assert result.exit_code == 1
    assert result.stderr == "Error: no object store is known: set BIDE_S3__BUCKET (environment or .env)\n"


@pytest.mark.parametrize("value", ["", "yesterday", "7d", "2026-13-01", "0001-01-01T00:00:00+12:00", "30.11.2026"])
def test_what_is_no_date_is_refused(value: str) -> None:
    """With one that is right, instead of the pattern of a function of C."""
    result = Command(attended_stage())("erase", "--before", value, "--yes")
    assert result.exit_code == 2
    assert "is no date such as 2026-11-30 or 2026-11-30T12:00:00Z" in result.stderr


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("2026-11-30", "2026-11-30T00:00:00+00:00"),
        ("2026-11-30T12:00:00", "2026-11-30T12:00:00+00:00"),
        ("2026-11-30 12:00", "2026-11-30T12:00:00+00:00"),
        ("2026-11-30T12:00:00Z", "2026-11-30T12:00:00+00:00"),
        ("2026-11-30T12:00:00+02:00", "2026-11-30T10:00:00+00:00"),
    ],
)
def test_moments_are_of_utc(value: str, moment: str) -> None:
    """As a report or a log of bide writes them, too."""
    assert Moment().convert(value, None, None).isoformat() == moment


def test_a_pause_of_an_account_that_never_was_is_a_word_worth() -> None:
    """It is done, since jobs may come; one that mistyped the name would believe that nothing is bought any more."""
    stage = attended_stage()
    stage.open("a")
    mistyped = Command(stage)("pause", "photogpt", "defualt")
    assert mistyped.stdout == "photogpt/defualt is paused: jobs wait in line\n"
    assert mistyped.stderr == "no job of photogpt/defualt was ever here; there are photogpt/default\n"
    assert Command(stage)("pause", "photogpt", "default").stderr == ""
