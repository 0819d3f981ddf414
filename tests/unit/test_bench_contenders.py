"""The list of the bench's contenders, and the notes from which their lateness is computed."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest

from bench import workload
from bench.contenders import CONTENDERS, Contender, read_dues
from bench.servers import ROOT
from bide.settings.sections import WorkerSettings


def test_the_table_begins_with_the_limit_and_then_shows_bide() -> None:
    """All others are compared with the plain script, which therefore comes first; bide stands beside it."""
    durable = ["naive", "countdown", "blocking", "dramatiq", "arq", "taskiq", "huey"]

    assert list(CONTENDERS) == ["plain", "bide", "pinned", *durable]
    assert all(name == contender.name for name, contender in CONTENDERS.items())


@pytest.mark.parametrize("name", CONTENDERS)
def test_each_contender_says_how_it_is_set_up(name: str) -> None:
    """The page shows these words beside the figures: without them nobody can tell whether the comparison is fair."""
    assert CONTENDERS[name].__doc__
    assert CONTENDERS[name].__doc__ != Contender.__doc__


def test_a_contender_without_its_library_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bench without the peers leaves them out, with the command that brings them."""
    monkeypatch.setattr(CONTENDERS["huey"], "needs", ("no_such_library",))

    assert CONTENDERS["huey"].missing() == "make peers"
    assert CONTENDERS["plain"].missing() is None


def test_arqs_environment_has_what_its_worker_imports() -> None:
    """It is not bide's own; a worker that can't start leaves arq out of the bench."""
    script = "import sys; before = {*sys.modules}; import bench.async_steps; print(*{*sys.modules} - before)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    imported = {name.partition(".")[0] for name in done.stdout.split()}
    group = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["bench-arq"]
    there, left = set[str](), [_name(each) for each in group]
    while left:
        name = left.pop()
        if name not in there:
            there.add(name)
            left += [_name(each) for each in _required(name)]
    owners = packages_distributions()
    needed = {_name(owner) for name in imported for owner in owners.get(name, ())} - {"bide"}

    assert needed <= there
    assert WorkerSettings().concurrency == workload.STEPS_AT_ONCE


def _name(requirement: str) -> str:
    found = re.match(r"[\w.-]+", requirement)
    assert found
    return re.sub(r"[._]", "-", found[0].lower())


def _required(name: str) -> list[str]:
    try:
        return [each for each in requires(name) or () if "extra ==" not in each]
    except ModuleNotFoundError:
        return []


def test_due_times_are_read_as_several_processes_noted_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each note is one line at the file's end, so that processes share it; times keep their milliseconds."""
    file = tmp_path / "dues"
    monkeypatch.setenv(workload.DUES_VARIABLE, str(file))
    one, another = workload.DuesFile(), workload.DuesFile()

    one.note("a", 12.0)
    another.note("b", 13.25)
    one.note("a", 1_764_000_000.1234)

    assert read_dues(file) == {"a": [12.0, 1_764_000_000.123], "b": [13.25]}


def test_a_contender_that_noted_nothing_has_no_due_times(tmp_path: Path) -> None:
    """Before the first submit there is no file."""
    assert read_dues(tmp_path / "dues") == {}


def test_a_job_is_polled_after_the_plans_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """First after 2 seconds, then after 3, 4.5 and so on up to 10: the schedule of every contender."""
    monkeypatch.setattr("bide.polling.backoff.random.uniform", lambda _low, _high: 1.0)

    assert [workload.pause_seconds(polls) for polls in range(6)] == [2.0, 3.0, 4.5, 6.75, 10.0, 10.0]
