"""Rows of bulk runs that are over: their lines of input and results lose their content, and contact sheets go."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from tempfile import SpooledTemporaryFile
from typing import Any

from bide.bulk import objects
from bide.bulk.copies import MOST_BYTES, Copies
from bide.bulk.names import RUN_ID, copies_key, input_key, job_id, results_prefix, summary_key
from bide.bulk.runs import Runs
from bide.bulk.summary import MAX_SUMMARY_BYTES
from bide.erasure.bucket import Removed, about, keys, old_versions, remove, remove_old, version_keys
from bide.erasure.wanted import Wanted
from bide.ledger.identity import LEDGER
from bide.storage import Storage

#: How much of a file of rows is kept in memory while it is written anew [bytes].
IN_MEMORY_BYTES = 8 * 1024 * 1024

#: What stays of a row's line in the results: how it ended, and what it cost.
KEPT = tuple(
    """
    row job_id copy_of state account cost provider_job_id money spent polls submitted_at finished_at
    """.split()  # noqa: SIM905 - one name a line would hide the others
)

RUNS = "runs/"


@dataclass(frozen=True)
class RunRow:
    """The run and the number of a row."""

    run_id: str
    row: int


def row_of(job: str) -> RunRow | None:
    """The row whose job has this id; None for the id of a job that is no row."""
    run_id, _, number = job.rpartition(".")
    return RunRow(run_id, int(number)) if RUN_ID.fullmatch(run_id) and number.isdecimal() else None


def run_ids(storage: Storage, *, versions: bool = False) -> Iterator[str]:
    """The runs that have objects, with `versions` also those that had some; raises `StorageError`."""
    last = ""
    for key in (version_keys if versions else keys)(storage, RUNS):
        run_id = key.removeprefix(RUNS).partition("/")[0]
        if run_id != last and RUN_ID.fullmatch(run_id):
            last = run_id
            yield run_id


def exists(storage: Storage, run_id: str, *, versions: bool = False) -> bool:
    """Whether a run has objects, with `versions` whether it had some; raises `StorageError`."""
    return any((version_keys if versions else keys)(storage, f"{RUNS}{run_id}/"))


def ledger_of(storage: Storage, run_id: str, *, versions: bool = False) -> str:
    """The id of the ledger on which a run began; '' where its input does not say. Raises `StorageError`."""
    return about(storage, input_key(run_id), versions=versions).get(LEDGER, "")


def goes_on(runs: Runs, run_id: str) -> bool:
    """Whether a run is not over: its feeder still reads its input."""
    run = runs.read(run_id)
    return run is not None and not run.over


def matching(storage: Storage, run_id: str, wanted: Wanted, *, versions: bool = False) -> Iterator[str]:
    """The jobs of a run's rows whose input fits; the age of a row is its job's to say.

    With `versions` also those whose input fitted before it was written anew, each repeatedly if need be.
    """
    key = input_key(run_id)
    of_old = [version for named, version in old_versions(storage, key) if named == key] if versions else []
    for version in ([""] if storage.exists(key) else []) + of_old:
        for row, line in enumerate(objects.lines(storage, key, version=version), start=1):
            request = _request(line)
            asked = request.get("metadata")
            metadata = asked if isinstance(asked, Mapping) else {}
            job = job_id(run_id, row)
            if "params" in request and wanted.takes(job, tenant=str(request.get("tenant") or ""), metadata=metadata):
                yield job


def redact(
    storage: Storage, run_id: str, rows: set[int], *, check: Callable[[], None], versions: bool = False
) -> Removed:
    """Take the content out of rows of a run that is over, and of rows that repeat them; returns what was removed.

    `check` raises where another process may write the same objects; it is called before each of them is written. With
    `versions` all goes that the run's objects were before, those of its input last.
    """
    copies = _copies(storage, run_id)
    rows = {*rows, *(copy for row in rows for copy in copies.of.get(row, ()))}
    removed = Removed()
    for key in objects.keys(storage, results_prefix(run_id)):
        _rewrite(storage, key, lambda _, line: _result(line, rows), check)
    sheets = [key for key in keys(storage, f"{RUNS}{run_id}/") if key.endswith(".html")]
    removed += remove(storage, sheets)
    if storage.exists(input_key(run_id)):  # last: by it rows are found again after a kill
        _rewrite(storage, input_key(run_id), lambda number, line: _input(number, line, rows), check)
    if versions:
        for key in sorted({*version_keys(storage, f"{RUNS}{run_id}/")}, key=lambda key: key == input_key(run_id)):
            removed += remove_old(storage, key)
    return removed


def _copies(storage: Storage, run_id: str) -> Copies:
    key = copies_key(run_id)
    if not storage.exists(key):
        return Copies({})
    return Copies.from_json(storage.get(storage.uri(key), max_bytes=MOST_BYTES))


def _rewrite(storage: Storage, key: str, change: Any, check: Callable[[], None]) -> None:
    """Write a file of lines anew, where `change` changes one; it gets number and line, and gives the line to write.

    What the object says of itself stays, but for its tags.
    """
    changed = False
    with SpooledTemporaryFile[bytes](max_size=IN_MEMORY_BYTES) as file:
        for number, line in enumerate(objects.lines(storage, key), start=1):
            new = change(number, line)
            changed = changed or new != line
            file.write(new + b"\n")
        if changed:
            check()
            storage.put(key, file, content_type="application/x-ndjson", metadata=about(storage, key))


def _result(line: bytes, rows: set[int]) -> bytes:
    """A line of the results, without content where it is one of these rows."""
    found = json.loads(line)
    if found.get("row") not in rows or found.get("erased"):
        return line
    request = found.get("request") or {}
    kept = {name: found[name] for name in KEPT if name in found}
    error = found.get("error")
    if error:
        names = ("code", "job_id", "provider", "retryable", "cause", "charged")
        error = {"message": "erased on request", **{name: error[name] for name in names if name in error}}
    named = {name: request.get(name) for name in ("provider", "operation")}
    new = {**kept, "request": {**named, "params": {}, "metadata": {}}, "outputs": [], "error": error, "erased": True}
    return json.dumps(new, ensure_ascii=False, separators=(",", ":")).encode()


def _input(number: int, line: bytes, rows: set[int]) -> bytes:
    """A line of the input, without content where it is one of these rows; as long as before, so that places hold."""
    if number not in rows:
        return line
    request = _request(line)
    names = ("provider", "operation", "account", "priority", "retention_days")
    short = json.dumps({name: request[name] for name in names if name in request}, separators=(",", ":")).encode()
    return (short if len(short) <= len(line) else b"{}").ljust(len(line))


def _request(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def ended(storage: Storage, run_id: str) -> datetime | None:
    """When a run ended whose record is gone, by its summary; None where there is none."""
    if not storage.exists(summary_key(run_id)):
        return None
    summary = json.loads(storage.get(storage.uri(summary_key(run_id)), max_bytes=MAX_SUMMARY_BYTES))
    moment = summary.get("finished_at")
    return datetime.fromisoformat(moment) if moment else None
