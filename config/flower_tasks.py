"""What Flower's pages say of a task: what came of it in words, where Celery's events have Python's `repr`."""

from __future__ import annotations

import ast
import json
import re
from contextlib import suppress
from datetime import datetime
from typing import Any

from bide.contract import CANCEL_TASK

#: Longest text shown in a table [characters]; the API and the messages keep the whole.
SHOWN_CHARACTERS = 400

#: What Celery's RETRY means for a job: its step is done, and no worker waits for the next.
SUSPENDED = "waits: in line, or at the provider"

_FAILED = re.compile(r"JobFailed\((.+)\)", re.DOTALL)
_ID = re.compile(r"'([\w.:-]+)'")
_URI = re.compile(r"'uri': '([^']+)'")
_METADATA = "'metadata': {"
_TIMES = re.compile(r"'submitted_at': '([^']+)', 'finished_at': '([^']+)'")


def format_task(task: Any) -> Any:
    """Flower's option of that name: gets a copy of what the events said, returns what its pages show."""
    if task.name == CANCEL_TASK:
        task.kwargs = " ".join(["cancel", *_ID.findall(f"{task.args} {task.kwargs}")[-1:]])
    elif task.state == "SUCCESS":
        _succeeded(task, str(task.result))
    elif task.state == "FAILURE":
        _failed(task, str(task.exception))
    elif task.state == "RETRY":
        task.result = SUSPENDED
    if str(task.exception).startswith("Retry("):  # also of a task that has suspended, and then succeeded
        task.exception = task.traceback = None
    task.retries = task.retries or None  # a job's steps are none, and "0" beside RETRY makes one wonder
    for name in ("args", "kwargs", "result"):
        setattr(task, name, _shortened(getattr(task, name, None)))
    return task


def _succeeded(task: Any, result: str) -> None:
    """Where the files are, and how long the job took; the event knows the time of its last step only."""
    own = result.partition(_METADATA)[0]  # which comes last: it is the caller's, and says anything
    if uris := _URI.findall(own):
        task.result = ", ".join([*uris, "…"] if "..." in own else uris)
    if times := _TIMES.search(own):
        with suppress(ValueError, TypeError):  # a time that is none, or has no zone
            begun, ended = map(datetime.fromisoformat, times.groups())
            task.runtime = (ended - begun).total_seconds()


def _failed(task: Any, exception: str) -> None:
    """Code and reason of an end that bide knows; its traceback says nothing more."""
    if not (found := _FAILED.fullmatch(exception)):
        return
    try:
        told = json.loads(ast.literal_eval(found[1]))
        task.result, task.traceback = f"{told['code']}: {told['message']}", None
    except (ValueError, SyntaxError, TypeError, KeyError):
        return


def _shortened(text: Any) -> Any:
    if isinstance(text, str) and len(text) > SHOWN_CHARACTERS:
        return f"{text[:SHOWN_CHARACTERS]}… ({len(text)} characters)"
    return text
