"""A step leaves one line, however it ends, and nothing of it in the next task of its thread."""

from __future__ import annotations

from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from workers.celery_patches.pool import GuardedPool, GuardedTracer
from workers.telemetry.step_log import StepLog, note


def test_all_notes_of_a_step_are_on_its_line() -> None:
    """Fields may be noted anywhere; a later value replaces an earlier one, and None is left out."""
    with capture_logs() as logs, StepLog("job.step") as line:
        line.note(step="submit", outcome="suspended", polls=None)
        note("warning", outcome="put_off", reason="away")

    [written] = logs
    assert written.pop("duration_seconds") >= 0
    assert written == {
        "event": "job.step",
        "log_level": "warning",
        "step": "submit",
        "outcome": "put_off",
        "reason": "away",
    }


def test_a_step_that_breaks_leaves_its_line_too() -> None:
    """The caller logs the traceback; the line says that there was one."""
    with capture_logs() as logs, pytest.raises(ValueError, match="oh"), StepLog("poll.round"):
        raise ValueError("oh")

    assert [(line["log_level"], line["outcome"], line["error"]) for line in logs] == [("error", "broke", "ValueError")]


def test_an_expected_end_is_no_breakage() -> None:
    """A step that noted its outcome may well raise, as for a caller whose job has failed."""

    def fail() -> None:
        note(outcome="failed", code="rejected")
        raise ValueError("oh")

    with capture_logs() as logs, pytest.raises(ValueError, match="oh"), StepLog("job.step"):
        fail()

    assert [(line["log_level"], line["outcome"]) for line in logs] == [("info", "failed")]


def test_a_silent_step_writes_no_line() -> None:
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

    assert [{"inner", "outer", "lost"} & line.keys() for line in logs] == [{"inner"}, {"outer"}]


def test_a_step_is_drawn_before_its_line_is_written() -> None:
    """So that the line can name its trace."""

    def draw(line: StepLog) -> None:
        line.note(trace_id="t")

    with capture_logs() as logs, StepLog("job.step", draw=draw):
        pass

    assert [line["trace_id"] for line in logs] == ["t"]


def test_what_a_task_binds_ends_with_it() -> None:
    """The pool's threads are used again: the next task's lines are not about this one's job."""
    seen: list[dict[str, Any]] = []

    def task() -> tuple[int, None, float]:
        seen.append(structlog.contextvars.get_contextvars())
        StepLog("job.step").about(job_id="j1")
        seen.append(structlog.contextvars.get_contextvars())
        return 0, None, 0.0

    for _ in range(2):
        GuardedTracer(task)()

    assert seen == [{}, {"job_id": "j1"}] * 2
    assert GuardedPool.on_apply.__qualname__.startswith("GuardedPool"), "and it is this one that the pool runs"
