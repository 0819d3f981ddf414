"""The texts of a task on Flower's pages: its result in words, where Celery's events have Python's `repr`."""

from __future__ import annotations

import ast
import json
import re
from contextlib import suppress
from datetime import datetime
from typing import Any

from bide.contract import CANCEL_TASK, FailureCode

#: Longest text shown in a table [characters]; the API and the messages keep the whole.
SHOWN_CHARACTERS = 400

#: The text for Celery's RETRY: a job's step is done, and no worker waits for the next.
SUSPENDED = "waits: in line, or at the provider"

#: What an operator must know of a job whose submit had no answer, before anything else.
MAY_BE_PAID = "may be paid for: do not send again"

_FAILED = re.compile(r"JobFailed\((.+)\)", re.DOTALL)
_ID = re.compile(r"'([\w.:-]+)'")
_URI = re.compile(r"'uri': '([^']+)'")
_METADATA = "'metadata': {"
_TIMES = re.compile(r"'submitted_at': '([^']+)', 'finished_at': '([^']+)'")


def format_task(task: Any) -> Any:
    """Flower's option of that name: takes a copy of the task as events describe it, returns it for the pages."""
    if task.name == CANCEL_TASK:
        task.kwargs = " ".join(["cancel", *_ID.findall(f"{task.args} {task.kwargs}")[-1:]])
    elif task.state == "SUCCESS":
        _succeeded(task, str(task.result))
    elif task.state == "FAILURE":
        _failed(task, str(task.exception))
    elif task.state == "RETRY":
        task.result = SUSPENDED
    if str(task.exception).startswith("Retry("):  # a task that has suspended and then succeeded has it, too
        task.exception = task.traceback = None
    task.retries = task.retries or None  # a job's steps are no retries, and "0" beside RETRY is odd
    for name in ("args", "kwargs", "result"):
        setattr(task, name, _shorten(getattr(task, name, None)))
    return task


def _succeeded(task: Any, result: str) -> None:
    """Show the files' addresses, and how long the job took; the event has the time of its last step only."""
    fields = result.partition(_METADATA)[0]  # metadata come last; they are the caller's and may contain anything
    if uris := _URI.findall(fields):
        task.result = ", ".join([*uris, "…"] if "..." in fields else uris)
    if times := _TIMES.search(fields):
        with suppress(ValueError, TypeError):  # no time, or one without a zone
            submitted, finished = map(datetime.fromisoformat, times.groups())
            task.runtime = (finished - submitted).total_seconds()


def _failed(task: Any, exception: str) -> None:
    """Show code and message of a `JobFailed`, whose traceback adds nothing."""
    if text := failure_text(exception):
        task.result, task.traceback = text, None


def failure_text(exception: str) -> str:
    """Code and message of a `JobFailed`, out of its `repr`; '' for any other exception."""
    if not (found := _FAILED.fullmatch(exception)):
        return ""
    try:
        failure = json.loads(ast.literal_eval(found[1]))
        code, message = failure["code"], failure["message"]
    except (ValueError, SyntaxError, TypeError, KeyError):
        return ""
    return f"{code}: {MAY_BE_PAID}. {message}" if code == FailureCode.SUBMISSION_UNKNOWN else f"{code}: {message}"


def _shorten(text: Any) -> Any:
    if isinstance(text, str) and len(text) > SHOWN_CHARACTERS:
        return f"{text[:SHOWN_CHARACTERS]}… ({len(text)} characters)"
    return text
