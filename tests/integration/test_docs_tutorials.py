"""The tutorials' terminal sessions are true: each command is run again, and prints what its page says it prints."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.recorded import ROOT, Step, demo_rig, play, shape
from tests.integration.rig import Rig

pytestmark = [pytest.mark.integration, pytest.mark.whole, pytest.mark.timeout(900)]

#: The first one lists all jobs there are, and the second all providers that anything was bought of; so they come first.
PAGES = ("mending", "money", "first-job", "your-service", "bulk-run")

#: What not every machine has.
PROGRAMS = ("npm", "node", "curl")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """A deployment of these tests' own, in which nothing else has happened."""
    with demo_rig(tmp_path_factory.mktemp("tutorials")) as rig:
        yield rig


def compare(step: Step, output: str) -> None:
    """Fail where a command prints something of another shape than its page says."""
    if step.command.startswith("npm ") and output:
        pytest.skip(f"npm can't fetch what the page installs: {output}")
    assert shape(output) == shape(step.output), f"{step.command}\n\nthe page has:\n{step.output}\nit printed:\n{output}"


@pytest.mark.parametrize("name", PAGES)
def test_a_session_is_what_its_page_says(name: str, demo: Rig, tmp_path: Path) -> None:
    """Ids, times, counts and sizes may differ; words, lines and their order may not."""
    page = ROOT / "docs" / "tutorials" / f"{name}.md"
    missing = [it for it in PROGRAMS if f"$ {it} " in page.read_text() and not shutil.which(it)]
    if missing:
        pytest.skip(f"{', '.join(missing)}: not installed")
    demo.sandbox.clear_faults()
    seen: list[str] = []

    def then(step: Step, output: str) -> None:
        compare(step, output)
        seen.append(step.command)

    play(page, demo, tmp_path, then=then)
    assert len(seen) > 5


def test_every_tutorial_is_played() -> None:
    """A new page with a session comes into the list."""
    pages = {page.stem for page in (ROOT / "docs" / "tutorials").glob("*.md")}
    assert pages == set(PAGES)
