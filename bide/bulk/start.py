"""The start of a run: its rows are checked, its input is put in place, its record is written.

A second start of the same run joins the first.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from bide.bulk.intake import Intake, take_in
from bide.bulk.names import check_run_id, copies_key, input_key, summary_key
from bide.bulk.reading import read_csv, read_jsonl
from bide.bulk.record import Options
from bide.bulk.runs import Runs
from bide.bulk.sources import opened, template_text
from bide.bulk.template import Template
from bide.errors import IdempotencyConflictError, InvalidRequestError
from bide.ledger.identity import LEDGER
from bide.storage import Storage


def new_run_id() -> str:
    """A name for a run without one: the time, and random digits."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


@contextmanager
def open_intake(
    source: str,
    *,
    template: str | None,
    storage: Storage | None,
    **checks: Any,
) -> Iterator[Intake]:
    """The intake of a source, read and checked to the last row. `checks`: what `take_in` takes.

    Raises `InvalidRequestError` for a source or template that can't be read, `StorageError`. The intake itself lists
    what is wrong with rows.
    """
    places = Template(template_text(template, storage)) if template else None
    if places is None and source.lower().endswith(".csv"):
        raise InvalidRequestError(f"{source}: a CSV needs --template, the request that its columns go into")
    with opened(source, storage) as file:
        intake = take_in(read_csv(file, places) if places else read_jsonl(file), **checks)
    try:
        yield intake
    finally:
        intake.close()


def start(runs: Runs, storage: Storage, intake: Intake, *, run_id: str, source: str, options: Options) -> bool:
    """Begin a run with the rows of an intake; False: it was begun before, with the same rows.

    Raises `InvalidRequestError` for rows that can't be bought, `IdempotencyConflictError` for a name that belongs to
    another run, `StorageError`, `LedgerAwayError`. `NotReplicatedError`: it has begun, and a failover may lose it; the
    same call joins it, or begins it anew.
    """
    check_run_id(run_id)
    intake.check()
    if runs.read(run_id) is None and _left_over(storage, run_id):
        raise IdempotencyConflictError(
            f"run {run_id}: object storage holds a run of that name, which is no longer known here; take another name, "
            "and replay what it left undone"
        )
    counts: Mapping[str, int] = {"rows": intake.rows, "copies": len(intake.copies.first_of)}
    runs.create(run_id, digest=intake.digest, source=source, options=options, **counts)
    run = runs.read(run_id)
    if run is None or run.state != "starting":
        return False
    about = {LEDGER: ledger_id} if (ledger_id := runs.ledger_id()) else {}
    if intake.copies.first_of:
        storage.put(copies_key(run_id), intake.copies.to_json(), content_type="application/json", metadata=about)
    storage.put(input_key(run_id), intake.rows_file, content_type="application/x-ndjson", metadata=about)
    return runs.begin(run_id) or _begun_by_another(runs, run_id)


def _begun_by_another(runs: Runs, run_id: str) -> bool:
    """False: another process began the run. Raises `IdempotencyConflictError` where the run was ended instead."""
    run = runs.read(run_id)
    if run is not None and run.state == "canceled":
        raise IdempotencyConflictError(f"run {run_id} was ended while its input was put in place: {run.text('note')}")
    return False


def _left_over(storage: Storage, run_id: str) -> bool:
    return storage.exists(input_key(run_id)) or storage.exists(summary_key(run_id))
