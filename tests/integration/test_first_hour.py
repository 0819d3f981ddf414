"""The first hour is true: its page is played in a clean clone, and prints what the page says it prints."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.integration.first_hour import play_page, without_progress
from tests.integration.recorded import Step, shape

pytestmark = [pytest.mark.integration, pytest.mark.whole, pytest.mark.timeout(900)]

#: What not every machine has.
PROGRAMS = ("curl", "git", "make")


def compare(step: Step, output: str) -> None:
    """Fail where a command prints something of another shape than the page says."""
    if step.command == "make demo" and "8 of 8 jobs succeeded" not in output and "setup:" in output:
        pytest.skip(f"what the demo needs can't be had from the registry: {output}")
    expected, found = (shape(without_progress(text)) for text in (step.output, output))
    assert found == expected, f"{step.command}\n\nthe page has:\n{step.output}\nit printed:\n{output}"


def test_the_first_hour_is_what_its_page_says(tmp_path: Path) -> None:
    """From the clone to the callback of a service of one's own."""
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    if missing:
        pytest.skip(f"{', '.join(missing)}: not installed")
    played: list[str] = []

    def then(step: Step, output: str) -> None:
        compare(step, output)
        played.append(step.command)

    play_page(tmp_path, then=then)
    assert played[0].startswith("git clone ")
    assert any("/orders/" in command for command in played)
