"""Children of a stack that end: started again after growing pauses, or the end of the stack."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from workers.embedded.attention import Attention
from workers.embedded.child import Child, spawn
from workers.embedded.restarts import PAUSES, STEADY_SECONDS, Restarts
from workers.embedded.stack import ChildDiedError, Stack

#: A child that writes a line with its own environment, and ends.
SHORT = [sys.executable, "-c", "import os, sys; print(os.environ['WHO'], *sys.argv[1:]); sys.exit(3)"]


class Clock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = time.monotonic()

    def __call__(self) -> float:
        return self.now


def ended(folder: Path, *, started_at: float) -> Child:
    """A child that has ended by itself."""
    child = spawn("beat", SHORT, env={"WHO": "me"}, folder=folder, log=folder / "beat.log")
    child.process.wait()
    return replace(child, started_at=started_at)


def test_pauses_grow_to_a_minute_and_begin_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each end of a child is one line, with the pause before the next start."""
    clock = Clock()
    restarts = Restarts(clock)

    pauses = []
    for _ in range(8):
        child, begun = ended(tmp_path, started_at=clock.now), clock.now
        while not restarts.is_due(child):
            clock.now += 0.5
        pauses.append(clock.now - begun)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(pauses)
    assert (
        lines[-1].split()
        == f"beat ended with code 3; it is started again in 60 s, its log is {tmp_path}/beat.log".split()
    )

    steady = ended(tmp_path, started_at=clock.now)
    clock.now += STEADY_SECONDS + 1
    assert not restarts.is_due(steady)
    clock.now += PAUSES.first_seconds
    assert restarts.is_due(steady)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """A stack without children."""
    with Stack(tmp_path, "test", Attention()) as stack:
        yield stack


def test_before_a_stack_serves_the_end_of_a_child_ends_it(stack: Stack) -> None:
    """A wrong configuration is an error at once, and no loop of restarts."""
    child = stack.start("beat", SHORT, {"WHO": "me"}, serves=False)
    child.process.wait()

    with pytest.raises(ChildDiedError, match=r"beat ended with code 3; the end of .*beat.log:\nme"):
        stack.check()


def test_a_stack_that_serves_starts_a_child_again(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its command and environment, as far as they are not pinned to what it has had."""
    monkeypatch.setattr("workers.embedded.restarts.PAUSES", PAUSES.__class__(0.01, 1, 0.01))
    log = stack.folder / "logs" / "beat.log"
    stack.start("beat", SHORT, {"WHO": "me"}, serves=True)
    stack.pin("beat", command=[*SHORT, "pinned"], env={"WHO": "it"})
    stack.supervise()

    until = time.monotonic() + 30
    while log.read_text().count("it pinned") < 2:
        assert time.monotonic() < until, log.read_text()
        stack.check()

    assert log.read_text().splitlines()[:3] == ["me", "it pinned", "it pinned"]
