"""Which jobs an erasure takes: by their records, by what lies in the bucket of others, by rows of runs, by receipts.

A job of which the ledger knows nothing may be another deployment's, which lives: what is not known to be the
deployment's own is noted as not reached.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from bide.bulk.runs import Runs
from bide.erasure import bucket, records, rows
from bide.erasure.bucket import Folder
from bide.erasure.ownership import Ownership
from bide.erasure.receipted import Receipted
from bide.erasure.report import Report
from bide.erasure.wanted import Wanted
from bide.ledger import Ledger, Record
from bide.ledger.identity import LEDGER
from bide.receipts import Intent
from bide.storage import Storage

#: The last moment of a day, from its first.
DAY = timedelta(days=1, microseconds=-1)

#: What the report names jobs and runs by that may be another deployment's.
NOT_OURS = "jobs that are not known to be this deployment's"
RUNS_NOT_OURS = "runs that are not known to be this deployment's"

#: What the report names objects by that lie beside a job which stays, and has their id.
USED_AGAIN = "objects of an earlier job whose id a job has that stays; remove them by hand"


@dataclass(frozen=True)
class Target:
    """A job that is to be erased. `folders`: what is left of it beside what its record knows, or without a record."""

    job_id: str
    record: Record | None = None
    folders: tuple[Folder, ...] = ()


@dataclass
class Finder:
    """Finds jobs; what can't be reached goes into the report. Raises `StorageError` and `LedgerAwayError`."""

    ledger: Ledger
    storage: Storage
    wanted: Wanted
    report: Report
    ownership: Ownership
    receipts: Receipted
    runs: Runs
    #: Whether what the bucket keeps of earlier versions counts, too.
    versions: bool
    _seen: set[str] = field(default_factory=set)
    #: The jobs that were found by their records, with what the keys of their objects begin with.
    _begins: dict[str, str] = field(default_factory=dict)
    #: Named jobs that were erased before.
    _erased_before: set[str] = field(default_factory=set)

    def targets(self) -> Iterator[Target]:
        """Each wanted job: first those with records, then what is left of others, or lies elsewhere in the bucket."""
        yield from self._named_records() if self.wanted.ids else self._recorded()
        yield from self._left_in_bucket()
        if not self._all_seen:
            yield from self._left_in_runs()
        if not self._all_seen:
            yield from self._left_in_receipts()
        self.report.erased_before += sorted(self._erased_before)
        for job_id in sorted(self.wanted.ids - self._seen):
            record = self.ledger.jobs.find(job_id)
            erased = record is not None and record.text("erased")
            (self.report.erased_before if erased else self.report.unknown).append(job_id)

    @property
    def _all_seen(self) -> bool:
        return bool(self.wanted.ids) and self.wanted.ids <= self._seen

    def _named_records(self) -> Iterator[Target]:
        for job_id in sorted(self.wanted.ids):
            record = self.ledger.jobs.find(job_id)
            if record is None or (record.text("erased") and self.versions):
                continue  # its objects may be left
            self._seen.add(job_id)
            if record.text("erased"):
                self._erased_before.add(job_id)
            elif self._fits(record):
                yield self._by_record(Target(job_id, record), record)
            else:
                self.report.unknown.append(job_id)

    def _recorded(self) -> Iterator[Target]:
        for page in records.pages(self.ledger):
            for record in page:
                if records.has_content(record) and self._fits(record):
                    yield self._by_record(Target(record.job_id, record), record)

    def _left_in_bucket(self) -> Iterator[Target]:
        for folder in bucket.folders(self.storage, versions=self.versions):
            if not self._may_be(folder):
                continue
            begin = self._begins.get(folder.job_id)
            if folder.prefix == begin:
                continue  # it went with its record
            record, known = self.ledger.jobs.find(folder.job_id), begin is not None
            own = record is not None and records.puts_at(record, folder)
            stays = record is not None and records.has_content(record) and not known
            if own and stays:
                continue  # by its record it is none of them
            named = bucket.about(self.storage, folder.speaker, versions=self.versions)
            if not bucket.is_jobs(self.storage, folder, named, versions=self.versions):
                continue
            if not (known or self._asks(folder)):
                continue
            self._seen.add(folder.job_id)
            ledger_id = named.get(LEDGER, "")
            if (ledger_id or not own) and (why := self.ownership.why_not(ledger_id)):
                self.report.note_unreached(NOT_OURS, f"{folder.job_id}: {why}")
            elif stays:
                self.report.note_unreached(USED_AGAIN, folder.prefix)
            else:
                self._erased_before.discard(folder.job_id)
                yield Target(folder.job_id, record, (folder,))

    def _left_in_runs(self) -> Iterator[Target]:
        for run_id in self._run_ids():
            run = self.runs.read(run_id)
            if run is not None and not run.over and not self.wanted.ids:
                self.report.note_unreached("runs that go on", run_id)
                continue
            ended = (run.moment("finished") if run else None) or rows.ended(self.storage, run_id)
            if self.wanted.before and (ended is None or not self.wanted.opened_in_time(ended)):
                continue  # some of its rows may have been opened later
            found = (each for each in self._rows(run_id) if each not in self._seen)
            if why := self.why_not_run(run_id):
                if row := next(found, ""):
                    self._seen |= self.wanted.ids & {row, *found}
                    self.report.note_unreached(RUNS_NOT_OURS, f"{run_id}: {why}")
                continue
            for job_id in found:
                yield self._seeing(Target(job_id, self.ledger.jobs.find(job_id)))

    def _run_ids(self) -> Iterator[str]:
        """The runs that may have rows which are wanted."""
        if not self.wanted.ids:
            yield from rows.run_ids(self.storage, versions=self.versions)
            return
        left = (rows.row_of(job_id) for job_id in sorted(self.wanted.ids - self._seen))
        yield from dict.fromkeys(row.run_id for row in left if row)

    def _rows(self, run_id: str) -> Iterator[str]:
        return rows.matching(self.storage, run_id, self.wanted, versions=self.versions)

    def why_not_run(self, run_id: str) -> str:
        """Why a run's objects are not known to be the deployment's own, '' where they are.

        What names no ledger is its own where the ledger knows the run.
        """
        ledger_id = rows.ledger_of(self.storage, run_id, versions=self.versions)
        known = not ledger_id and self.runs.read(run_id) is not None
        return "" if known else self.ownership.why_not(ledger_id)

    def _left_in_receipts(self) -> Iterator[Target]:
        """Jobs whose records are gone or erased, and of which a receipt has the request."""
        for intent in self.receipts.intents():
            if intent.job_id in self._seen or not self._bought(intent):
                continue
            record = self.ledger.jobs.find(intent.job_id)
            if record is None or not records.has_content(record):
                yield self._seeing(Target(intent.job_id, record))

    def _bought(self, intent: Intent) -> bool:
        """Whether the job of an intent is wanted."""
        created = datetime.fromtimestamp(float(intent.record.get("created") or intent.at), UTC)
        if not self.wanted.opened_in_time(created):
            return False
        request: dict[str, Any] = json.loads(intent.request or "{}")
        asked, tenant = request.get("metadata"), intent.record.get("tenant") or request.get("tenant")
        metadata = asked if isinstance(asked, Mapping) else {}
        return self.wanted.takes(intent.job_id, tenant=str(tenant or ""), metadata=metadata)

    def _by_record(self, target: Target, record: Record) -> Target:
        created = record.moment("created") if records.has_content(record) else None
        self._begins[target.job_id] = records.begin_of(record, created) if created else ""
        return self._seeing(target)

    def _seeing(self, target: Target) -> Target:
        self._seen.add(target.job_id)
        return target

    def _fits(self, record: Record) -> bool:
        if not records.has_content(record):
            return not self.wanted.by_content and self.wanted.before is None  # named by its id alone
        created = record.moment("created")
        if created is None or not self.wanted.opened_in_time(created):
            return False
        asked = records.asked(record)
        return self.wanted.takes(record.job_id, tenant=record.text("tenant"), metadata=asked)

    def _may_be(self, folder: Folder) -> bool:
        """Whether a folder may be a wanted job's, by its keys, or by its record."""
        if folder.job_id in self._begins:
            return True
        if self.wanted.ids and folder.job_id not in self.wanted.ids:
            return False
        return self.wanted.opened_in_time(folder.day + DAY)

    def _asks(self, folder: Folder) -> bool:
        """Whether a folder is a wanted job's, by what its objects say."""
        if not self.wanted.by_content:
            return True
        names = [name for name, _ in self.wanted.metadata]
        tenant, metadata = bucket.asked_of(self.storage, folder, names, versions=self.versions)
        return self.wanted.takes(folder.job_id, tenant=tenant, metadata=metadata)
