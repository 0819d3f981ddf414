"""Uploaded inputs: which of them no job names that stays."""

from __future__ import annotations

from bide.bulk import objects
from bide.bulk.names import input_key
from bide.bulk.runs import Runs
from bide.erasure import records
from bide.erasure.wanted import Wanted
from bide.ledger import Ledger, Record
from bide.storage import Storage


class Uploads:
    """Knows the uploads of all jobs that stay, as they are at the moment: jobs are opened during an erasure."""

    def __init__(self, ledger: Ledger, storage: Storage, wanted: Wanted) -> None:
        self._ledger, self._storage, self._wanted = ledger, storage, wanted

    def alone(self, named: set[str]) -> set[str]:
        """Those of `named` that no other job uses: neither a record that stays, nor a run that goes on."""
        if not named:
            return set()
        return named - self._of_runs() - self._of_records()

    def _of_records(self) -> set[str]:
        found: set[str] = set()
        for page in records.pages(self._ledger):
            for record in page:
                uploads = records.uploads_of(record)
                if uploads and not self._goes(record):
                    found |= uploads
        return found

    def _goes(self, record: Record) -> bool:
        created = record.moment("created")
        wanted = self._wanted
        takes = wanted.takes(record.job_id, tenant=record.text("tenant"), metadata=records.asked(record))
        return takes and created is not None and wanted.opened_in_time(created) and not records.why_not(record)

    def _of_runs(self) -> set[str]:
        found: set[str] = set()
        for run in Runs(self._ledger.server).all():
            if not run.over and self._storage.exists(input_key(run.run_id)):
                for line in objects.lines(self._storage, input_key(run.run_id)):
                    found |= set(records.UPLOAD.findall(line.decode(errors="replace")))
        return found
