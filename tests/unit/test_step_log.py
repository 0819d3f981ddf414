"""A step leaves one line, however it ends, and nothing of it in the next task of its thread."""

from __future__ import annotations

from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from workers.celery_patches.pool import CarefulPool, _Careful
from workers.telemetry.step_log import StepLog, note


def test_what_is_noted_anywhere_within_is_on_the_one_line() -> None:
    """Facts come from wherever they are found; what is said again counts last, and None says nothing."""
    with capture_logs() as logs, StepLog("job.step") as line:
        line.note(step="submit", outcome="suspended", polls=None)
        note("warning", outcome="put_off", reason="away")

    [said] = logs
    assert said.pop("duration_seconds") >= 0
    assert said == {
        "event": "job.step",
        "log_level": "warning",
        "step": "submit",
        "outcome": "put_off",
        "reason": "away",
    }


def test_a_step_that_breaks_leaves_its_line_too() -> None:
    """Whoever raised it logs the traceback; the line says that there was one."""
    with capture_logs() as logs, pytest.raises(ValueError, match="oh"), StepLog("poll.round"):
        raise ValueError("oh")

    assert [(said["log_level"], said["outcome"], said["error"]) for said in logs] == [("error", "broke", "ValueError")]


def test_an_expected_end_is_no_breakage() -> None:
    """A step that said what it came to may well raise, as for a caller whose job has failed."""

    def fail() -> None:
        note(outcome="failed", code="rejected")
        raise ValueError("oh")

    with capture_logs() as logs, pytest.raises(ValueError, match="oh"), StepLog("job.step"):
        fail()

    assert [(said["log_level"], said["outcome"]) for said in logs] == [("info", "failed")]


def test_a_silent_step_says_nothing() -> None:
    """A round that finds no due job would say so twice a second."""
    with capture_logs() as logs, StepLog("poll.round") as line:
        line.silent = True

    assert logs == []


def test_lines_of_steps_within_steps_are_their_own() -> None:
    """A note goes to the innermost; outside of all steps it goes nowhere."""
    with capture_logs() as logs, StepLog("job.step"):
        with StepLog("poll.round"):
            note(inner=1)
        note(outer=1)
    note(lost=1)

    assert [{"inner", "outer", "lost"} & said.keys() for said in logs] == [{"inner"}, {"outer"}]


def test_a_step_is_drawn_before_its_line_is_written() -> None:
    """So that the line can name its trace."""

    def draw(line: StepLog) -> None:
        line.note(trace_id="t")

    with capture_logs() as logs, StepLog("job.step", draw=draw):
        pass

    assert [said["trace_id"] for said in logs] == ["t"]


def test_what_a_task_binds_ends_with_it() -> None:
    """The pool's threads are used again: the next task's lines are not about this one's job."""
    seen: list[dict[str, Any]] = []

    def task() -> tuple[int, None, float]:
        seen.append(structlog.contextvars.get_contextvars())
        StepLog("job.step").about(job_id="j1")
        seen.append(structlog.contextvars.get_contextvars())
        return 0, None, 0.0

    for _ in range(2):
        _Careful(task)()

    assert seen == [{}, {"job_id": "j1"}] * 2
    assert CarefulPool.on_apply.__qualname__.startswith("CarefulPool"), "and it is this one that the pool runs"
