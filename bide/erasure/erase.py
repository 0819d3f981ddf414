"""The erasure of many jobs: found page by page, each erased as a whole, and a report of it in the bucket.

A killed erasure is taken up by the same call: the record of a job goes last, and its `job.json` last of its objects.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property

import redis

from bide import receipts
from bide.bulk.retention import tag_run
from bide.bulk.runs import Runs
from bide.contract import object_key
from bide.erasure import bucket, records, rows
from bide.erasure.bucket import Folder, Removed
from bide.erasure.report import Report
from bide.erasure.uploads import Uploads
from bide.erasure.wanted import Wanted
from bide.errors import StorageError
from bide.ledger import Ledger, Record
from bide.retention import Retention
from bide.storage import Storage

__all__ = ["KINDS", "Eraser", "Target"]

#: Jobs that are erased together.
PAGE = 200

#: The last moment of a day, from its first.
DAY = timedelta(days=1, microseconds=-1)


@dataclass(frozen=True)
class Target:
    """A job that is to be erased; `record` None: it is gone, and `folders` of objects alone are left."""

    job_id: str
    record: Record | None = None
    folders: tuple[Folder, ...] = ()


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
    report: Report = field(init=False)

    def __post_init__(self) -> None:
        self.report = Report(self.wanted, dry_run=self.dry_run)
        self._runs = Runs(self.ledger.server)
        self._uploads = Uploads(self.ledger, self.storage, self.wanted)
        self._seen: set[str] = set()

    def run(self) -> Report:
        """Erase all wanted jobs, and write the report, first as one that was begun."""
        self.report.versions_stay = False if self.versions else bucket.has_versions(self.storage)
        if not self.dry_run:
            self.report.write(self.storage)
        for some in _paged(self._targets()):
            self._erase(some)
        if not self.dry_run:
            self.report.finish()
            self.report.write(self.storage)
        return self.report

    # Finding

    def _targets(self) -> Iterator[Target]:
        """Each wanted job once: first those with records, then what is left of others."""
        yield from self._named_records() if self.wanted.ids else self._recorded()
        yield from self._left_in_bucket()
        if not self.wanted.ids:
            yield from self._left_in_runs()
            return
        for job_id in sorted(self.wanted.ids - self._seen):
            row = rows.row_of(job_id)
            if row and self._names_row(row.run_id, job_id):
                yield self._seeing(Target(job_id))
            else:
                self.report.unknown.append(job_id)

    def _named_records(self) -> Iterator[Target]:
        for job_id in sorted(self.wanted.ids):
            record = self.ledger.jobs.find(job_id)
            if record is None or (record.text("erased") and self.versions):
                continue  # its objects may be left
            target = self._seeing(Target(job_id, record))
            if record.text("erased"):
                self.report.erased_before.append(job_id)
            elif self._fits(record):
                yield target
            else:
                self.report.unknown.append(job_id)

    def _recorded(self) -> Iterator[Target]:
        for page in records.pages(self.ledger):
            for record in page:
                if records.has_content(record) and self._fits(record):
                    yield self._seeing(Target(record.job_id, record))

    def _left_in_bucket(self) -> Iterator[Target]:
        if self.wanted.ids and self.wanted.ids <= self._seen:
            return
        for folder in bucket.folders(self.storage, versions=self.versions):
            if folder.job_id in self._seen or not self._may_be(folder):
                continue
            record = self.ledger.jobs.find(folder.job_id)
            if record is not None and records.has_content(record):
                continue  # its record has said that it is none of them
            yield self._seeing(Target(folder.job_id, record, (folder,)))

    def _left_in_runs(self) -> Iterator[Target]:
        for run_id in rows.run_ids(self.storage):
            run = self._runs.read(run_id)
            if run is not None and not run.over:
                self.report.note_unreached("runs that go on", run_id)
                continue
            ended = (run.moment("finished") if run else None) or rows.ended(self.storage, run_id)
            if self.wanted.before and (ended is None or not self.wanted.opened_in_time(ended)):
                continue  # some of its rows may have been opened later
            for job_id in rows.matching(self.storage, run_id, self.wanted):
                if job_id not in self._seen:
                    yield self._seeing(Target(job_id, self.ledger.jobs.find(job_id)))

    def _names_row(self, run_id: str, job_id: str) -> bool:
        return job_id in rows.matching(self.storage, run_id, self.wanted)

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
        if self.wanted.ids and folder.job_id not in self.wanted.ids:
            return False
        if not self.wanted.opened_in_time(folder.day + DAY):
            return False
        if not self.wanted.by_content:
            return True
        tenant, metadata = bucket.asked_of(self.storage, folder, [name for name, _ in self.wanted.metadata])
        return self.wanted.takes(folder.job_id, tenant=tenant, metadata=metadata)

    # Erasing

    def _erase(self, targets: list[Target]) -> None:
        """Erase some jobs: each kind of content in the order of `KINDS`, the record last."""
        free = [target for target in targets if self._may_go(target)]
        if self.dry_run:
            for target in free:
                self.report.erased.append(target.job_id)
                self.report.objects += len(self._keys_of(target))
            return
        for kind in KINDS:
            kind(self, free)
        for target in free:
            if why := self._forget(target):
                self.report.refused[target.job_id] = why
            else:
                self.report.erased.append(target.job_id)

    def _may_go(self, target: Target) -> bool:
        row = rows.row_of(target.job_id)
        if row and rows.goes_on(self._runs, row.run_id):
            why = f"its run {row.run_id} goes on: cancel it (`bide bulk cancel {row.run_id}`), or wait for its end"
        else:
            why = self._why_not(target.record) if target.record else ""
        if why:
            self.report.refused[target.job_id] = why
        return not why

    def _why_not(self, record: Record) -> str:
        leader = self.ledger.jobs.read(record.account, record.following) if record.following else None
        if leader is not None and leader.following is None and not leader.state.final:
            return f"it waits for the result of job {leader.job_id}, which goes on"
        return records.why_not(record)

    def _keys_of(self, target: Target) -> list[str]:
        prefixes = {folder.prefix for folder in target.folders}
        record = target.record
        if record and (created := record.moment("created")) and records.has_content(record):
            prefixes.add(object_key(target.job_id, "", created_at=created, prefix=records.output_prefix(record)))
        listed = bucket.version_keys if self.versions else bucket.keys
        return [key for prefix in sorted(prefixes) for key in dict.fromkeys(listed(self.storage, prefix))]

    def remove_objects(self, targets: list[Target]) -> None:
        """Results, `job.json`, and the inputs that bide has stored for a job."""
        for target in targets:
            self._count(bucket.remove(self.storage, self._keys_of(target), versions=self.versions))

    def remove_uploads(self, targets: list[Target]) -> None:
        """Inputs that clients have uploaded, and that no other job names."""
        named = {key for target in targets if target.record for key in records.uploads_of(target.record)}
        alone = self._uploads.alone(named)
        self.report.shared_uploads += len(named) - len(alone)
        self._count(bucket.remove(self.storage, sorted(alone), versions=self.versions))

    def remove_receipts(self, targets: list[Target]) -> None:
        """What the bucket knows of their submits, by which a lost ledger would be made again."""
        self.report.receipts += receipts.remove_jobs(self.storage, {target.job_id for target in targets})

    def redact_rows(self, targets: list[Target]) -> None:
        """What a run's input, results and contact sheet hold of its rows."""
        by_run: dict[str, set[int]] = defaultdict(set)
        for target in targets:
            if row := rows.row_of(target.job_id):
                by_run[row.run_id].add(row.row)
        for run_id, some in by_run.items():
            self._count(rows.redact(self.storage, run_id, some))
            self._tag_run(run_id)
            self.report.runs.add(run_id)

    def _tag_run(self, run_id: str) -> None:
        """Objects that were written anew have lost their tags."""
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
        if target.record is not None:
            return records.erase(self.ledger, target.record)
        records.forbid(self.ledger, target.job_id)
        return ""

    def _count(self, removed: Removed) -> None:
        self.report.objects += removed.objects
        self.report.versions += removed.versions
        for each in removed.failed:
            self.report.note_unreached("objects that the store did not remove", each)


#: What is removed of jobs, in this order, before their records. Another kind of object gets its function
#: here. An object that keeps amounts and ids alone, such as a statement, stays.
KINDS: tuple[Callable[[Eraser, list[Target]], None], ...] = (
    Eraser.remove_objects,
    Eraser.remove_uploads,
    Eraser.remove_receipts,
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
