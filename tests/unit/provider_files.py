"""`bide providers` in a folder of its own, and a file that `new` has written."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bide.cli.main import main

ANSWERS = {
    "name": "inkwell",
    "base_url": "https://api.inkwell.example/v1",
    "source": "https://docs.inkwell.example/ink",
    "key": "X-Key: {api_key}",
    "operation": "draw.large",
    "submit": "PUT /ink",
    "id": "$.job.ids[1]",
    "poll": "/ink/{id}",
    "state": "$.job.state",
    "done": "dry, done",
    "failed": "spilled",
    "media": "$.job.pictures[*].url",
    "reason": "$.job.why",
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A deployment's folder, without files or variables."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DOTENV", str(tmp_path / ".env"))
    return tmp_path


def run(*arguments: str, typed: str | None = None) -> Result:
    """Run a command of `bide providers`, with `typed` on its standard input."""
    return CliRunner().invoke(main, ["providers", *arguments], input=typed)


def options(**changed: str) -> list[str]:
    """The answers as options."""
    given = {**ANSWERS, **changed}
    return [part for name, value in given.items() for part in (f"--{name.replace('_', '-')}", value)]


def written(**changed: str) -> Path:
    """A file that `new` has written."""
    result = run("new", *options(**changed))
    assert result.exit_code == 0, result.output
    return Path("config/providers/inkwell.toml")
