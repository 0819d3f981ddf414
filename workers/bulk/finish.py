"""The end of a bulk run: its summary, and its contact sheet."""

from __future__ import annotations

from bide.bulk.record import Run
from bide.bulk.retention import tag_run
from bide.bulk.runs import Runs
from bide.bulk.summary import write_summary
from bide.errors import StorageError
from bide.retention import Retention
from bide.storage import Storage

#: How often a contact sheet is begun before the run ends without one.
SHEET_TRIES = 3


def finish(runs: Runs, storage: Storage, run: Run, *, retention: Retention | None = None) -> str:
    """Write summary and contact sheet of a run whose rows are all done, and tag its objects. Returns a note about it.

    A feeder that is killed here leaves the work to the next one. A contact sheet that can't be made, or that kills its
    worker, costs no run its end. Raises `StorageError`.
    """
    write_summary(storage, run)
    note = _write_sheet(runs, storage, run)
    return note or _tag(storage, run, retention or Retention())


def _tag(storage: Storage, run: Run, retention: Retention) -> str:
    """Have the run's objects go after the days that its rows ask for; returns why they stay, '' where all is well."""
    try:
        tag_run(storage, run.run_id, retention)
    except StorageError as error:
        if not error.permanent:
            raise
        return f"the run's own objects stay until they are erased: {error}"
    return ""


def _write_sheet(runs: Runs, storage: Storage, run: Run) -> str:
    """Write the contact sheet; returns a note about it."""
    tries = run.number("sheet_tries")
    if tries >= SHEET_TRIES:
        return f"the contact sheet could not be made: {run.text('sheet_trouble') or 'it ended its worker'}"
    runs.note(run.run_id, sheet_tries=tries + 1)
    try:
        from bide.bulk.sheet.writer import write_sheet  # noqa: PLC0415 - Pillow is needed for nothing else

        write_sheet(storage, run.run_id)
    except StorageError as error:
        if not error.permanent:
            runs.note(run.run_id, sheet_tries=tries)  # it passes
        raise
    except Exception as error:
        runs.note(run.run_id, sheet_trouble=type(error).__name__)  # its text may quote a row
        raise
    return run.text("note") if run.state == "canceling" else ""
