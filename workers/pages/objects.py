"""Signed addresses of objects: only of those that a job or a run of this deployment has written."""

from __future__ import annotations

import re
from typing import NamedTuple

from bide.bulk.names import RUN_ID, summary_key
from bide.bulk.runs import Runs
from bide.contract import JOB_ID, Output
from bide.ledger import Ledger
from bide.storage import Storage
from workers.pages.rows import outputs_of

#: How long a signed address is good [seconds]: a browser follows it at once.
SIGNED_SECONDS = 600

#: The largest page of a contact sheet that is passed on [bytes]; one has some 3 MB.
MAX_SHEET_BYTES = 32 * 1024 * 1024

#: Pages of contact sheets, and the other files of a run that people may have. Its input may hold callback addresses.
_SHEET = re.compile(r"(index|page-\d{4,}|problems|problems-\d{4,})\.html")
_FILE = re.compile(r"summary\.json|results-\d{5,}\.jsonl")

#: A job's object: `{prefix/}{yyyy}/{mm}/{dd}/{job_id}/{name}`.
_OF_A_JOB = re.compile(r"(?:.+/)?\d{4}/\d\d/\d\d/(?P<job_id>[^/]+)/(?P<name>[^/]+)")
_NAME = re.compile(r"\d+\.\w+|job\.json")


class Sheet(NamedTuple):
    """A page of a run's contact sheet, to be passed on: links in it lead to the objects beside it."""

    key: str


class Signed(NamedTuple):
    """An address that is good for `SIGNED_SECONDS`."""

    url: str


class Objects:
    """Judges keys and signs addresses; each method may wait for Redis or the store, and raises what they raise."""

    def __init__(self, ledger: Ledger, runs: Runs, storage: Storage) -> None:
        self._ledger, self._runs, self._storage = ledger, runs, storage

    def find(self, key: str) -> Sheet | Signed | None:
        """What to do with a key; None for one that no job or run of this deployment has written."""
        folder, _, rest = key.partition("/")
        run_id, _, name = rest.partition("/")
        if folder == "runs" and (_SHEET.fullmatch(name) or _FILE.fullmatch(name)):
            return self._of_a_run(key, run_id, name)
        found = _OF_A_JOB.fullmatch(key)
        if found and self._is_of_a_job(key, found["job_id"], found["name"]):
            return self.sign(self._storage.uri(key))
        return None

    def of_job(self, job_id: str, number: int) -> Output | None:
        """One output of a job, as its record names it."""
        record = self._ledger.jobs.find(job_id) if JOB_ID.fullmatch(job_id) else None
        outputs = outputs_of(record) if record else []
        return outputs[number] if 0 <= number < len(outputs) else None

    def sign(self, uri: str) -> Signed:
        """A signed address."""
        return Signed(self._storage.presign(uri, expires_seconds=SIGNED_SECONDS))

    def sheet(self, key: str) -> bytes:
        """The content of a page of a contact sheet; raises `StorageError`."""
        return self._storage.get(self._storage.uri(key), max_bytes=MAX_SHEET_BYTES)

    def has_sheet(self, run_id: str) -> bool:
        """Whether a run has ended with a summary, and so with a contact sheet; raises `StorageError`."""
        return self._storage.exists(summary_key(run_id))

    def _of_a_run(self, key: str, run_id: str, name: str) -> Sheet | Signed | None:
        if not self._knows_run(run_id):
            return None
        return Sheet(key) if _SHEET.fullmatch(name) else self.sign(self._storage.uri(key))

    def _is_of_a_job(self, key: str, job_id: str, name: str) -> bool:
        """By the job's record, or for a row of a run, whose record goes when the row is in the results, by the run."""
        if not (JOB_ID.fullmatch(job_id) and _NAME.fullmatch(name)):
            return False
        record = self._ledger.jobs.find(job_id)
        if record is not None:
            keys = {output.key for output in outputs_of(record) if output.bucket == self._storage.options.bucket}
            return key in keys or (name == "job.json" and bool(_folders(keys) & _folders({key})))
        run_id, _, row = job_id.rpartition(".")
        return row.isascii() and row.isdecimal() and self._knows_run(run_id)

    def _knows_run(self, run_id: str) -> bool:
        """Whether the run is remembered, or has left its summary."""
        return bool(RUN_ID.fullmatch(run_id)) and (self._runs.read(run_id) is not None or self.has_sheet(run_id))


def _folders(keys: set[str]) -> set[str]:
    return {key.rpartition("/")[0] for key in keys}
