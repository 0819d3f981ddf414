"""What a shell completes, asked as a shell asks: no command runs meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from bide.cli.main import main
from tests.contract.ledger_stage import Stage
from tests.unit.command import Command


def completed(*words: str, stage: Stage | None = None) -> list[str]:
    """What may follow the words of `bide ...`, the last of which has been begun."""
    given = {"obj": Command(stage).connections} if stage else {}
    *before, begun = words
    return [each.value for each in ShellComplete(main, given, "bide", "_BIDE_COMPLETE").get_completions(before, begun)]


JOB_COMMANDS = [
    ("status",), ("wait",), ("cancel",), ("explain",), ("open",), ("get",), ("erase",), ("unconfirmed", "attach"),
    ("unconfirmed", "add"), ("failed", "replay"), ("callbacks", "replay"),
]  # fmt: skip


@pytest.mark.parametrize("command", JOB_COMMANDS)
def test_ids_of_jobs(command: tuple[str, ...]) -> None:
    """With every command that takes one."""
    stage = Stage.in_memory()
    stage.running("abc")
    stage.open("xyz")
    assert completed(*command, "a", stage=stage) == ["abc"]


@pytest.mark.parametrize(
    "words",
    [
        ("adopt", "photo"), ("pause", "photo"), ("resume", "photo"), ("tenants", "photo"), ("price", "photo"),
        ("jobs", "--provider", "photo"),
    ],
)  # fmt: skip
def test_providers(words: tuple[str, ...]) -> None:
    """With every command that takes one."""
    assert completed(*words) == ["photogpt"]


def test_the_second_word_of_a_price_is_an_operation() -> None:
    """Of the provider before it."""
    assert completed("price", "photogpt", "images.u") == ["images.upscaling"]


def test_ledgers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Those that the variables name."""
    monkeypatch.chdir(tmp_path)
    for name in ("EU", "US"):
        monkeypatch.setenv(f"BIDE_LEDGERS__{name}__BROKER_URL", f"redis://{name}/0")
    assert completed("ledger", "confirm", "--ledger", "") == ["eu", "us"]
    assert completed("doctor", "--ledger", "u") == ["us"]


def test_a_ledger_that_is_away_is_no_noise(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Whatever a completion printed would stand in the middle of the line that is typed."""
    monkeypatch.chdir(tmp_path)
    for port, name in enumerate(("EU", "US"), start=1):
        monkeypatch.setenv(f"BIDE_LEDGERS__{name}__BROKER_URL", f"redis://:hunter2@127.0.0.1:{port}/0")
    assert completed("erase", "a") == []
    assert capfd.readouterr() == ("", "")
