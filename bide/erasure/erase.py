"""The erasure of many jobs: found page by page, each erased as a whole, and a report of it in the bucket.

A killed erasure is taken up by the same call: the record of a job goes after its objects, and its `job.json` last of
these. Receipts go last of all, in one pass; they, too, say of which job they are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property

import redis

from bide.bulk.lease import rewriting
from bide.bulk.names import input_key
from bide.bulk.retention import tag_run
from bide.bulk.runs import Runs
from bide.erasure import bucket, records, rows
from bide.erasure.finding import NOT_OURS, RUNS_NOT_OURS, Finder, Target
from bide.erasure.ownership import Ownership
from bide.erasure.receipted import Receipted
from bide.erasure.report import Report
from bide.erasure.uploads import Uploads
from bide.erasure.wanted import Wanted
from bide.errors import StorageError
from bide.ledger import Ledger, Record
from bide.ledger.identity import LEDGER, KnownLedger
from bide.retention import Retention
from bide.storage import Storage

__all__ = ["KINDS", "Eraser", "Target"]

#: What the report names uploads by of which another ledger's jobs may have need.
SHARED_UPLOADS = "uploads that a job of another deployment may name; remove them by hand, or ask for retention_days"

#: Jobs that are erased together.
PAGE = 200


@dataclass
class Eraser:
    """What it takes to erase. All methods raise `StorageError` and `LedgerAwayError`."""

    ledger: Ledger
    storage: Storage
    results: redis.Redis
    wanted: Wanted
    #: Whether old versions and delete markers go, too.
    versions: bool = False
    #: Whether nothing is removed, and only counted.
    dry_run: bool = False
    #: For how long objects stay that are written anew.
    retention: Retention = field(default_factory=Retention)
    #: What the bucket knows of the ledger's address; None where that is not known.
    known: KnownLedger | None = None
    report: Report = field(init=False)

    def __post_init__(self) -> None:
        self.report = Report(self.wanted, dry_run=self.dry_run)
        self._ownership = Ownership(self.storage, self.ledger.server, self.known)
        self._runs = Runs(self.ledger.server)
        self._uploads = Uploads(self.ledger, self.storage, self.wanted)
        self._receipts = Receipted(self.storage, self._ownership, self.report, self.versions)
        self._finder = Finder(
            ledger=self.ledger,
            storage=self.storage,
            wanted=self.wanted,
            report=self.report,
            ownership=self._ownership,
            receipts=self._receipts,
            runs=self._runs,
            versions=self.versions,
        )
        self._check: Callable[[], None] = lambda: None

    def run(self) -> Report:
        """Erase all wanted jobs, and write the report, first as one that was begun.

        Raises `ConfigurationError` where the ledger is not the one that it was, and `TryLaterError` where another
        erasure goes on; nothing is removed then.
        """
        self._ownership.check()
        with nullcontext(self._check) if self.dry_run else rewriting(self.ledger.server) as self._check:
            self.report.versions_stay = False if self.versions else bucket.has_versions(self.storage)
            if not self.dry_run:
                self.report.write(self.storage)
            for some in _paged(self._targets()):
                self._erase(some)
            if not self.dry_run:
                self._receipts.remove({*self.report.erased, *self.report.erased_before}, self._check)
                self.report.finish()
                self.report.write(self.storage)
        return self.report

    def _targets(self) -> Iterator[Target]:
        return self._finder.targets()

    def _erase(self, targets: list[Target]) -> None:
        """Erase some jobs: each kind of content in the order of `KINDS`, the record last."""
        free = [target for target in targets if self._may_go(target)]
        if self.dry_run:
            for target in free:
                self.report.note_erased(target.job_id)
                self.report.objects += len(self._keys_of(target))
            return
        for kind in KINDS:
            kind(self, free)
        for target in free:
            if why := self._forget(target):
                self.report.refused[target.job_id] = why
            else:
                self.report.note_erased(target.job_id)

    def _may_go(self, target: Target) -> bool:
        row = rows.row_of(target.job_id)
        if row and rows.goes_on(self._runs, row.run_id):
            why = f"its run {row.run_id} goes on: cancel it (`bide bulk cancel {row.run_id}`), or wait for its end"
        else:
            why = self._why_not(target, target.record) if target.record else ""
        if why:
            self.report.refused[target.job_id] = why
        return not why

    def _why_not(self, target: Target, record: Record) -> str:
        leader = self.ledger.jobs.read(record.account, record.following) if record.following else None
        if leader is not None and leader.following is None and not leader.state.final:
            return f"it waits for the result of job {leader.job_id}, which goes on"
        alone = not target.folders and leader is not None and leader.job_id not in self.wanted.ids
        if leader is not None and alone and records.has_content(leader):
            return f"its result is that of job {leader.job_id}: erase that"
        return records.why_not(record)

    def _keys_of(self, target: Target) -> list[str]:
        prefixes = {folder.prefix for folder in target.folders}
        record = target.record
        if record and not prefixes and (created := record.moment("created")) and records.has_content(record):
            prefixes.add(records.begin_of(record, created))
        listed = bucket.version_keys if self.versions else bucket.keys
        found = [key for prefix in sorted(prefixes) for key in dict.fromkeys(listed(self.storage, prefix))]
        return self._own(target, found) if self._ownership.shared else found

    def _own(self, target: Target, found: list[str]) -> list[str]:
        """Those objects below a job's keys that name no other ledger: two deployments may have had a job of one id."""
        own = []
        for key in found:
            ledger_id = bucket.about(self.storage, key, versions=self.versions).get(LEDGER, "")
            if ledger_id and (why := self._ownership.why_not(ledger_id)):
                self.report.note_unreached(NOT_OURS, f"{target.job_id}: {why}")
            else:
                own.append(key)
        return own

    def remove_objects(self, targets: list[Target]) -> None:
        """Results, `job.json`, and the inputs that bide has stored for a job."""
        for target in targets:
            self.report.count(bucket.remove(self.storage, self._keys_of(target), versions=self.versions))

    def remove_uploads(self, targets: list[Target]) -> None:
        """Inputs that clients have uploaded, and that no other job names."""
        with_request = [target.record for target in targets if target.record and not target.folders]
        named = {key for record in with_request for key in records.uploads_of(record)}
        if self._ownership.shared:  # the same picture is the same object for all of them
            for key in filter(self.storage.exists, sorted(named)):
                self.report.note_unreached(SHARED_UPLOADS, key)
            return
        alone = self._uploads.alone(named)
        self.report.shared_uploads += len(named) - len(alone)
        self.report.count(bucket.remove(self.storage, sorted(alone), versions=self.versions))

    def redact_rows(self, targets: list[Target]) -> None:
        """What a run's input, results and contact sheet hold of its rows."""
        by_run: dict[str, set[int]] = defaultdict(set)
        for target in targets:
            if row := rows.row_of(target.job_id):
                by_run[row.run_id].add(row.row)
        for run_id, some in by_run.items():
            if not rows.exists(self.storage, run_id, versions=self.versions):
                continue  # its objects are gone, or the job's id only looks like a row's
            if why := self._finder.why_not_run(run_id):
                self.report.note_unreached(RUNS_NOT_OURS, f"{run_id}: {why}")
                continue
            removed = rows.redact(self.storage, run_id, some, check=self._check, versions=self.versions)
            self.report.count(removed)
            self._tag_run(run_id)
            self.report.runs.add(run_id)

    def _tag_run(self, run_id: str) -> None:
        """Objects that were written anew have lost their tags."""
        if not self.storage.exists(input_key(run_id)):
            return  # nothing was
        try:
            tag_run(self.storage, run_id, self.retention)
        except StorageError as error:
            if not error.permanent:
                raise
            self.report.note_unreached("tags of a run's objects, which stay until they are erased", str(error))

    def forget_results(self, targets: list[Target]) -> None:
        """Celery's results, also those of callers that waited for the same job."""
        ids = [target.job_id for target in targets]
        together = [*ids, *(each for job_id in ids for each in self._followers.get(job_id, ()))]
        self.report.results += records.forget_results(self.results, together)

    @cached_property
    def _followers(self) -> dict[str, list[str]]:
        return records.followers(self.ledger)

    def _forget(self, target: Target) -> str:
        if self.report.has_erased(target.job_id):
            return ""  # by another of its folders
        if target.record is not None:
            return records.erase(self.ledger, target.record)
        records.forbid(self.ledger, target.job_id)
        return ""


#: What is removed of jobs, in this order, before their records. Another kind of object gets its function
#: here. An object that keeps amounts and ids alone, such as a statement, stays.
KINDS: tuple[Callable[[Eraser, list[Target]], None], ...] = (
    Eraser.remove_objects,
    Eraser.remove_uploads,
    Eraser.redact_rows,
    Eraser.forget_results,
)


def _paged(targets: Iterable[Target]) -> Iterator[list[Target]]:
    page: list[Target] = []
    for target in targets:
        page.append(target)
        if len(page) == PAGE:
            yield page
            page = []
    if page:
        yield page
