"""`docs/add-a-provider.md` says the truth: its blocks are written to files and run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from bide.providers import installed as providers

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "add-a-provider.md"

#: A file name in backquotes on a line of its own, then its content in a fence.
_FILE = re.compile(r"^`([\w./-]+)`\n\n```\w+\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def files_of_the_page() -> dict[str, str]:
    """The page's files, by name."""
    return dict(_FILE.findall(PAGE.read_text(encoding="utf-8")))


def run(*command: str, where: Path) -> str:
    """Run Python in a folder that comes first on its path; what it printed, once it succeeded."""
    environment = {**os.environ, "PYTHONPATH": str(where), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, *command], cwd=where, env=environment, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The library and the contract, with the page's files among them."""
    shutil.copytree(ROOT / "bide", tmp_path / "bide", ignore=shutil.ignore_patterns("__pycache__"))
    contract = tmp_path / "tests" / "contract"
    contract.mkdir(parents=True)
    contract_files = ("adapter_stage.py", "provider_answers.py", "provider_contract.py", "samples.py", "noise.py")
    for name in (*contract_files, "test_completeness.py"):
        shutil.copy(ROOT / "tests" / "contract" / name, contract / name)
    for name, content in files_of_the_page().items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    (tmp_path / "pyproject.toml").unlink()
    return tmp_path


def test_the_page_s_provider_keeps_the_contract(copy: Path) -> None:
    """Its adapter, its test and its samples pass, and nothing is missing."""
    tests = ("tests/contract/test_inkwell.py", "tests/contract/test_completeness.py")
    options = ("-q", "-p", "no:cacheprovider", "--import-mode=importlib", "-W", "error", "-k", "inkwell")
    printed = run("-m", "pytest", *options, *tests, where=copy)
    assert "failed" not in printed
    assert int(re.findall(r"(\d+) passed", printed)[0]) > 25


def test_completeness_misses_what_is_left_out(copy: Path) -> None:
    """Without its samples, or without its test, the fifth provider is not done."""
    (copy / "tests/contract/samples/inkwell/draw--refused.json").unlink()
    (copy / "tests/contract/test_inkwell.py").unlink()
    options = ("-q", "-p", "no:cacheprovider", "--import-mode=importlib", "-k", "inkwell")
    with pytest.raises(AssertionError) as raised:
        run("-m", "pytest", *options, "tests/contract/test_completeness.py", where=copy)
    assert "tests/contract/test_inkwell.py is missing" in str(raised.value)
    assert "samples/inkwell lack draw: refused" in str(raised.value)


def test_the_page_s_provider_comes_by_its_entry_point(tmp_path: Path) -> None:
    """From a package of one's own, the same class is found by its name."""
    files = files_of_the_page()
    (tmp_path / "inkwell.py").write_text(files["bide/providers/inkwell.py"], encoding="utf-8")
    group = tomllib.loads(files["pyproject.toml"])["project"]["entry-points"]
    lines = [
        f"[{name}]\n" + "\n".join(f"{key} = {value}" for key, value in entries.items())
        for name, entries in group.items()
    ]
    installed = tmp_path / "inkwell-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: inkwell\nVersion: 1.0\n", encoding="utf-8")
    (installed / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
    show = "from bide.providers import find, installed; print(type(find('inkwell')).__module__, len(installed()))"
    assert run("-c", show, where=tmp_path) == f"inkwell {len(providers()) + 1}\n"
