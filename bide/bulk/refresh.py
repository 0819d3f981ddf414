"""The refresh of a run that is over: lines of unconfirmed rows are written anew once their jobs have ended."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from bide.bulk import objects
from bide.bulk.names import check_run_id, job_id, results_prefix, summary_key
from bide.bulk.results import EndedRow, dumped
from bide.bulk.runs import Runs
from bide.bulk.summary import MAX_SUMMARY_BYTES, recount
from bide.errors import InvalidRequestError
from bide.ledger import Ledger
from bide.storage import Storage


def refresh(runs: Runs, ledger: Ledger, storage: Storage, run_id: str) -> Counter[str]:
    """Bring the ends of a run's unconfirmed rows into its results and summary. Returns the number of rows by new state.

    Each row keeps exactly one line, and doing it twice is harmless. The contact sheet is left to the caller, who has
    the lease (`bide.bulk.lease.rewriting`). Raises `InvalidRequestError` for a run that is not over, `StorageError`,
    `LedgerAwayError`.
    """
    check_run_id(run_id)
    run = runs.read(run_id)
    if (run and not run.over) or not storage.exists(summary_key(run_id)):
        raise InvalidRequestError(f"run {run_id} goes on, or never was: jobs that end meanwhile reach its results")
    new_states = Counter[str]()
    for key in objects.keys(storage, results_prefix(run_id)):
        new_states += _refresh_part(ledger, storage, run_id, key)
    summary = storage.get(storage.uri(summary_key(run_id)), max_bytes=MAX_SUMMARY_BYTES)
    ended = recount(storage, run_id, json.loads(summary))
    if run:
        runs.restate(run_id, ended)
    return new_states


def _refresh_part(ledger: Ledger, storage: Storage, run_id: str, key: str) -> Counter[str]:
    new_states, lines = Counter[str](), []
    for text in objects.lines(storage, key):
        line = json.loads(text)
        new_line = _new_line(ledger, run_id, line) if line["state"] == "unconfirmed" else None
        if new_line:
            new_states[new_line["state"]] += 1
        lines.append(dumped(new_line or line))
    if new_states:
        content = "".join(f"{line}\n" for line in lines).encode()
        storage.put(key, content, content_type="application/x-ndjson")
    return new_states


def _new_line(ledger: Ledger, run_id: str, line: dict[str, Any]) -> dict[str, Any] | None:
    """The new line of an unconfirmed row; None where its job has not ended, or its record is gone."""
    first = line.get("copy_of", line["row"])
    record = ledger.jobs.find(job_id(run_id, first))
    if record is None or not record.state.final:
        return None
    request = record.request_json.encode()
    ended = EndedRow(run_id, first, record.state.value, "o", request, record, record.account)
    names: tuple[str, ...] = ("row", "request", "spent")  # its money was counted when the run ended, once
    return {**line, **ended.line(), **{name: line[name] for name in names if name in line}}
