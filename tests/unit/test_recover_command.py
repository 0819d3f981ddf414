"""What `bide recover` and its relatives say of options and servers that are no good."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta

import click
import pytest
from click.testing import CliRunner

import workers.adopt
import workers.recover
import workers.unconfirmed
from bide.cli import recover as command
from bide.cli.recover import MOST_DAYS, Since
from config.settings import load

ADOPT = ["photogpt", "default", "--", "a", "p-a"]


@pytest.mark.parametrize("of", [command.recover, workers.recover.main], ids=["command", "program"])
@pytest.mark.parametrize(
    ("since", "says"),
    [
        ("0001-01-01", "too long ago: name 20"),
        ("1026-11-30", "too long ago: name 20"),
        ("9999-12-31", "is yet to come"),
        ("last week", "is no date such as"),
        ("", "is no date such as"),
        ("2026-13-01", "is no date such as"),
    ],
)
def test_a_moment_that_is_a_slip(of: click.Command, since: str, says: str) -> None:
    """It is refused at once, by the command and by its program: each day since then would be a listing."""
    done = CliRunner().invoke(of, ["--since", since])
    assert (done.exit_code, "Invalid value for '--since'" in done.output) == (2, True)
    assert says in done.output


@pytest.mark.parametrize("form", ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S+00:00", "%Y-%m-%d %H:%M"])
@pytest.mark.parametrize("days", [0, 30, MOST_DAYS - 2])
def test_a_moment_reaches_the_program_as_it_was_given(monkeypatch: pytest.MonkeyPatch, form: str, days: int) -> None:
    """A date or a moment by ISO 8601, as `bide erase --before` takes it; UTC where it names no offset."""
    became: list[str] = []
    monkeypatch.setattr(command, "become", lambda *words, **_: became.extend(words))
    monkeypatch.setattr(command, "program_environment", lambda _: {})
    text = f"{datetime.now(UTC) - timedelta(days=days):{form}}"
    done = CliRunner().invoke(command.recover, ["--since", text])
    assert done.exit_code == 0, done.output
    expected = datetime.fromisoformat(text)
    passed = Since().convert(became[became.index("--since") + 1], None, None)
    assert passed == (expected if expected.tzinfo else expected.replace(tzinfo=UTC))


@pytest.mark.parametrize(
    ("program", "arguments"),
    [(workers.recover, []), (workers.adopt, ADOPT), (workers.unconfirmed, ["--settle"]), (workers.unconfirmed, [])],
    ids=["recover", "adopt", "settle", "candidates"],
)
def test_a_redis_that_is_away_is_named(monkeypatch: pytest.MonkeyPatch, program: object, arguments: list[str]) -> None:
    """By host and reason, in the words of the other commands, and without its password."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{free.getsockname()[1]}/0"
        url = f"redis://:s3cret@{place}"
        settings = load({"BIDE_S3__BUCKET": "results", "BIDE_BROKER_URL": url}, env_file=None)
        monkeypatch.setattr(program, "settings", lambda: settings)
        done = CliRunner().invoke(program.main, arguments)  # type: ignore[attr-defined]  # modules of programs
    assert done.exit_code == 1
    assert f"{place} does not answer: Error 111" in done.output
    assert "s3cret" not in done.output
