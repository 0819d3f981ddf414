"""The names of a run, its rows, its keys in Redis and its objects."""

from __future__ import annotations

import re

from bide.errors import InvalidRequestError

#: The form of a run id: no dot, so that `{run}.{row}` can't be mistaken.
RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")

#: The clock of the runs that are not over: score = the time at which each is fed next.
RUNS_KEY = "bide:runs"

#: The runs that are over, by the time of their end, for as long as they are remembered.
ENDED_KEY = "bide:runs:ended"


def check_run_id(run_id: object) -> str:
    """The run id, if it is one; raises `InvalidRequestError`."""
    if not isinstance(run_id, str) or not RUN_ID.fullmatch(run_id):
        raise InvalidRequestError("run id: letters, digits, - and _ only, 64 at most, a letter or digit first")
    return run_id


def run_prefix(run_id: str) -> str:
    """The beginning of a run's keys in Redis."""
    return f"bide:run:{run_id}:"


def job_id(run_id: str, row: int) -> str:
    """The job id of a row, which is also its idempotency key: a row is never another job."""
    return f"{run_id}.{row}"


def input_key(run_id: str) -> str:
    """The object with the run's rows, a request a line."""
    return f"runs/{run_id}/input.jsonl"


def copies_key(run_id: str) -> str:
    """The object that lists the rows that repeat earlier ones; a run without such rows has none."""
    return f"runs/{run_id}/copies.json"


def results_prefix(run_id: str) -> str:
    """The beginning of the keys of the results' parts."""
    return f"runs/{run_id}/results-"


def results_key(run_id: str, part: int) -> str:
    """One part of the results."""
    return f"{results_prefix(run_id)}{part:05d}.jsonl"


def summary_key(run_id: str) -> str:
    """The object with the outcome of the whole run."""
    return f"runs/{run_id}/summary.json"


def sheet_key(run_id: str) -> str:
    """The first page of the run's contact sheet."""
    return f"runs/{run_id}/index.html"
