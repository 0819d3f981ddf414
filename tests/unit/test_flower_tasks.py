"""The texts of a task on Flower's pages, made of Celery's events."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from celery import Task as CeleryTask
from celery.events.state import Task
from celery.utils.saferepr import saferepr

from bide.contract import JobResult
from bide.errors import JobFailed
from config.flower_tasks import SHOWN_CHARACTERS, SUSPENDED, format_task

OUTPUT = {"uri": "s3://results/2026/11/22/job-1/0.png", "bucket": "results", "key": "2026/11/22/job-1/0.png"}
RESULT = {
    "job_id": "job-1",
    "state": "succeeded",
    "submitted_at": "2026-11-22T08:00:00Z",
    "finished_at": "2026-11-22T08:02:05.500000Z",
    "outputs": [OUTPUT, {**OUTPUT, "uri": "s3://results/2026/11/22/job-1/1.png"}],
}


def shown(**fields: Any) -> Any:
    """A task as Flower passes it, a copy of its own."""
    return format_task(copy.copy(Task(**{"uuid": "job-1", "name": "bide.generate", **fields})))


def test_a_success_says_where_its_files_are_and_what_it_took() -> None:
    """From submit to result; the suspension on the way is forgotten."""
    task = shown(state="SUCCESS", result=saferepr(RESULT), runtime=0.4, exception="Retry(Retry(...))", traceback="...")

    assert task.result == "s3://results/2026/11/22/job-1/0.png, s3://results/2026/11/22/job-1/1.png"
    assert task.runtime == 125.5
    assert (task.exception, task.traceback) == (None, None)


def test_a_result_that_celery_has_cut_off_says_so() -> None:
    """Its events contain the beginning only."""
    many = {**RESULT, "outputs": [{**OUTPUT, "uri": f"s3://results/job-1/{number}.png"} for number in range(50)]}

    task = shown(state="SUCCESS", result=saferepr(many, 1024))

    assert task.result.startswith("s3://results/job-1/0.png, s3://results/job-1/1.png, ")
    assert task.result.endswith(", …")


def test_metadata_say_nothing_about_files_and_times() -> None:
    """They are the caller's: names of ours within them are not taken for ours."""
    odd = {"uri": "s3://elsewhere/1", "submitted_at": "x", "finished_at": "y", "n": {"uri": "s3://elsewhere/2"}}
    for times in ({}, {"submitted_at": None}):
        task = shown(state="SUCCESS", result=saferepr({**RESULT, **times, "metadata": odd}), runtime=0.4)
        assert "elsewhere" not in task.result
        assert task.runtime == (0.4 if times else 125.5)


@pytest.mark.parametrize("begun", ["yesterday", "2026-11-22T08:00:00", "2026-99-22T08:00:00Z"])
def test_odd_times_are_no_trouble(begun: str) -> None:
    """Neither what is no time nor one without a zone beside one that has it: the event's own is shown."""
    task = shown(state="SUCCESS", result=saferepr({**RESULT, "submitted_at": begun}), runtime=0.4)
    assert (task.runtime, task.result[:5]) == (0.4, "s3://")


def test_long_metadata_hide_no_files() -> None:
    """They come last in what a job returns, and Celery's events cut off its end."""
    result = JobResult.model_validate(
        {
            **{name: RESULT[name] for name in ("job_id", "submitted_at", "finished_at")},
            "provider": "photogpt",
            "operation": "images.generation",
            "polls": 1,
            "outputs": [{**OUTPUT, "content_type": "image/png", "size": 1, "sha256": "0"}],
            "metadata": {"note": "x" * 5000},
        },
        strict=False,
    )
    task = shown(state="SUCCESS", result=saferepr(result.to_wire(), CeleryTask.resultrepr_maxsize))
    assert (task.result, task.runtime) == (OUTPUT["uri"], 125.5)


def test_a_result_without_files_is_shown_as_it_is() -> None:
    """A trained model has none."""
    result = saferepr({**RESULT, "outputs": []})

    assert shown(state="SUCCESS", result=result).result == result


def test_a_failure_says_why() -> None:
    """Code and reason, whatever quotes are in it; no traceback."""
    message = "it's \"refused\":\n\u00fc \\ '"
    error = JobFailed(json.dumps({"code": "rejected", "message": message, "job_id": "job-1"}))

    task = shown(state="FAILURE", exception=repr(error), traceback="Traceback ...")

    assert (task.result, task.traceback) == (f"rejected: {message}", None)


@pytest.mark.parametrize("exception", ["KeyError('x')", "JobFailed('x')", "JobFailed(1)", "JobFailed('[]')", None])
def test_another_failure_keeps_its_traceback(exception: str | None) -> None:
    """It is a bug: the traceback is all that describes it."""
    task = shown(state="FAILURE", exception=exception, traceback="Traceback ...")

    assert (task.exception, task.traceback, task.result) == (exception, "Traceback ...", None)


def test_a_suspension_says_that_it_waits() -> None:
    """And nothing of exceptions: nothing has gone wrong."""
    task = shown(state="RETRY", exception="Retry(Retry(...), None, None)", traceback="Traceback ...", retries=0)

    assert (task.result, task.exception, task.traceback, task.retries) == (SUSPENDED, None, None, None)


@pytest.mark.parametrize(
    "fields",
    [{"args": "('job-1',)", "kwargs": "{}"}, {"args": "()", "kwargs": "{'job_id': 'job-1'}"}],
    ids=["positional", "by name"],
)
def test_a_cancel_says_what_it_cancels(fields: dict[str, str]) -> None:
    """In the column where jobs have their description."""
    assert shown(name="bide.cancel", state="SUCCESS", **fields).kwargs == "cancel job-1"


def test_what_is_long_is_shortened() -> None:
    """A row stays a row."""
    assert shown(state="RECEIVED", kwargs="x" * 5000).kwargs == "x" * SHOWN_CHARACTERS + "… (5000 characters)"


@pytest.mark.parametrize("state", ["SUCCESS", "FAILURE", "RETRY", "RECEIVED", "STARTED", "PENDING"])
def test_a_task_with_few_events(state: str) -> None:
    """Flower was started after it, and has received only its last event."""
    assert shown(name=None, state=state).state == state
