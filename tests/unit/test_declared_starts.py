"""Files of providers at the start of a process: which are found, and that nothing starts with a mistake in one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bide.errors import ConfigurationError
from bide.providers import declared, installed
from bide.providers.declared.files import read
from bide.providers.declared.mistakes import MistakesError
from tests.unit.declared_files import GOOD

ROOT = Path(__file__).parents[2]


def test_what_can_not_be_read_is_a_mistake_too(tmp_path: Path) -> None:
    """A folder of that name, and a link that leads nowhere."""
    (tmp_path / "a.toml").mkdir()
    (tmp_path / "b.toml").symlink_to(tmp_path / "nowhere")
    with pytest.raises(MistakesError) as raised:
        read(sorted(tmp_path.glob("*.toml")))
    assert [mistake.wrong.partition(" (")[0] for mistake in raised.value.mistakes] == ["can't be read"] * 2


@pytest.fixture
def afresh() -> Iterator[None]:
    """Providers are looked for anew in the test, and after it."""
    installed.cache_clear()
    yield
    installed.cache_clear()


@pytest.mark.usefixtures("afresh")
def test_files_of_named_folders_are_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`BIDE_PROVIDERS_PATH` names several; one that is named twice counts once."""
    for folder, name in (("one", "inkwell"), ("two", "inkpot")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{name}.toml").write_text(GOOD.replace("inkwell", name), encoding="utf-8")
    named = [tmp_path / "one", tmp_path / "two", tmp_path / "one"]
    monkeypatch.setenv(declared.PATH_VARIABLE, os.pathsep.join(map(str, named)))
    assert {"inkwell", "inkpot", "photogpt"} <= set(installed())


@pytest.mark.usefixtures("afresh")
def test_a_folder_that_is_none_is_a_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its providers would be missed one by one, later."""
    monkeypatch.setenv(declared.PATH_VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(ConfigurationError, match="nowhere: is no folder; correct BIDE_PROVIDERS_PATH"):
        installed()


def test_no_process_starts_with_a_mistake(tmp_path: Path) -> None:
    """Neither worker nor poller: the end is 1, with all mistakes and no traceback."""
    (tmp_path / "a.toml").write_text('[provider]\nname = "b"\n', encoding="utf-8")
    own = {"BIDE_S3__BUCKET": "results", declared.PATH_VARIABLE: str(tmp_path), "DOTENV": str(tmp_path / ".env")}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BIDE_")} | own
    started = subprocess.run(
        [sys.executable, "-c", "import workers.app"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert started.returncode == 1
    first, *rest = started.stderr.strip().splitlines()
    assert first == "2 mistakes in files of providers:"
    assert [line.strip().partition(": ")[0] for line in rest] == [f"{tmp_path}/a.toml", f"{tmp_path}/a.toml:2"]
