"""Rows whose doubt was settled after their run had ended: their lines in the results are written anew."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from bide.bulk import objects
from bide.bulk.names import check_run_id, job_id, results_prefix, summary_key
from bide.bulk.results import Ended, dumped
from bide.bulk.runs import Runs
from bide.bulk.summary import MAX_SUMMARY_BYTES, recount
from bide.errors import InvalidRequestError
from bide.ledger import Ledger
from bide.storage import Storage


def refresh(runs: Runs, ledger: Ledger, storage: Storage, run_id: str) -> Counter[str]:
    """Bring what became of a run's unconfirmed rows into its results and summary; how many became what.

    Each row keeps exactly one line, and doing it twice is harmless. The contact sheet is left to the caller. Raises
    `InvalidRequestError` for a run that is not over, `StorageError`, `LedgerAwayError`.
    """
    check_run_id(run_id)
    run = runs.read(run_id)
    if (run and not run.over) or not storage.exists(summary_key(run_id)):
        raise InvalidRequestError(f"run {run_id} goes on, or never was: what is settled meanwhile reaches its results")
    became = Counter[str]()
    for key in objects.keys(storage, results_prefix(run_id)):
        became += _refresh_part(ledger, storage, run_id, key)
    told = storage.get(storage.uri(summary_key(run_id)), max_bytes=MAX_SUMMARY_BYTES)
    ended = recount(storage, run_id, json.loads(told))
    if run:
        runs.restate(run_id, ended)
    return became


def _refresh_part(ledger: Ledger, storage: Storage, run_id: str, key: str) -> Counter[str]:
    became, lines = Counter[str](), []
    for text in objects.lines(storage, key):
        line = json.loads(text)
        settled = _settled(ledger, run_id, line) if line["state"] == "unconfirmed" else None
        if settled:
            became[settled["state"]] += 1
        lines.append(dumped(settled or line))
    if became:
        content = "".join(f"{line}\n" for line in lines).encode()
        storage.put(key, content, content_type="application/x-ndjson")
    return became


def _settled(ledger: Ledger, run_id: str, line: dict[str, Any]) -> dict[str, Any] | None:
    """The line as it is to be now; None where the doubt stands, or the job is under way, or its record is gone."""
    first = line.get("copy_of", line["row"])
    record = ledger.find(job_id(run_id, first))
    if record is None or not record.state.final:
        return None
    request = record.request_json.encode()
    ended = Ended(run_id, first, record.state.value, "o", request, record, record.account)
    return {**line, **ended.line(), "row": line["row"], "request": line["request"]}
