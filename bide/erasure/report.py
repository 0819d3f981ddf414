"""The report of an erasure: what was asked, what went, and what could not be reached; ids of jobs, and no content."""

from __future__ import annotations

import json
import secrets
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bide.erasure.bucket import Removed
from bide.erasure.wanted import Wanted
from bide.storage import Storage

#: Version of the form of a report.
VERSION = 1

#: Where reports lie.
PREFIX = "erasures/"

#: The most that a report names of one kind of what could not be reached.
MOST_NAMED = 100

#: What no erasure reaches.
OUT_OF_REACH = (
    "Flower's memory: it shows what events told it until it is started again",
    "logs of processes, and traces: they hold ids, and no prompts",
    "backups of Redis and of the bucket, until they are overwritten",
    "what the provider keeps of the job, and copies that callers or receivers of callbacks made",
    "a caller's own Celery results: those of its callbacks, groups and chords",
)


@dataclass
class Report:
    """What has become of an erasure so far."""

    wanted: Wanted
    dry_run: bool = False
    begun_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    finished_at: datetime | None = None
    #: The jobs that are erased, or would be; those that are not, and why; those of which nothing is
    #: known, or that do not fit; and those that were erased before.
    erased: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    erased_before: list[str] = field(default_factory=list)
    objects: int = 0
    #: Receipts of submits, which share objects with those of other jobs.
    receipts: int = 0
    versions: int = 0
    #: Celery's results.
    results: int = 0
    #: The runs of which rows lost their content.
    runs: set[str] = field(default_factory=set)
    #: Uploaded inputs that stay, since other jobs name them.
    shared_uploads: int = 0
    #: Whether the bucket keeps old versions, which stay; None where the store does not say.
    versions_stay: bool | None = False
    unreached: dict[str, list[str]] = field(default_factory=dict)
    _unreached: Counter[str] = field(default_factory=Counter)
    _erased: set[str] = field(default_factory=set)
    _word: str = field(default_factory=lambda: secrets.token_hex(4))

    @property
    def key(self) -> str:
        """The key of the report in the bucket."""
        return f"{PREFIX}{self.begun_at:%Y/%m/%d/%H%M%S}-{self._word}.json"

    @property
    def whole(self) -> bool:
        """Whether all that was asked is erased."""
        return not (self.refused or self.unreached)

    def note_erased(self, job_id: str) -> None:
        """A job is erased, or some of what was left of it; it is named once."""
        if job_id not in self._erased:
            self._erased.add(job_id)
            self.erased.append(job_id)

    def has_erased(self, job_id: str) -> bool:
        """Whether the job was named as one that is erased."""
        return job_id in self._erased

    def note_unreached(self, kind: str, what: str) -> None:
        """Something was there and could not be removed."""
        self._unreached[kind] += 1
        named = self.unreached.setdefault(kind, [])
        if len(named) < MOST_NAMED and what not in named:
            named.append(what)

    def count(self, removed: Removed) -> None:
        """Objects were removed, or could not be."""
        self.objects += removed.objects
        self.versions += removed.versions
        for each in removed.failed:
            self.note_unreached("objects that the store did not remove", each)

    def finish(self) -> None:
        """All pages are through."""
        self.finished_at = datetime.now(UTC)

    def write(self, storage: Storage) -> None:
        """Put it into the bucket; a later one of the same erasure replaces it. Raises `StorageError`."""
        content = json.dumps(self.to_json(), indent=1, ensure_ascii=False).encode()
        storage.put(self.key, content, content_type="application/json")

    def to_json(self) -> dict[str, Any]:
        """The report as it lies in the bucket; `finished_at` is null where the erasure did not come to its end."""
        return {
            "version": VERSION,
            "asked": self.wanted.to_report(),
            "dry_run": self.dry_run,
            "begun_at": self.begun_at.isoformat(timespec="seconds"),
            "finished_at": self.finished_at.isoformat(timespec="seconds") if self.finished_at else None,
            "jobs": sorted(self.erased),
            "removed": {
                "jobs": len(self.erased),
                "objects": self.objects,
                "versions": self.versions,
                "receipts": self.receipts,
                "celery_results": self.results,
                "runs": len(self.runs),
            },
            "refused": self.refused,
            "unknown": self.unknown,
            "erased_before": self.erased_before,
            "unreached": self.unreached,
            "stays": {
                "old_versions": self.versions_stay,
                "shared_uploads": self.shared_uploads,
                "out_of_reach": list(OUT_OF_REACH),
            },
        }
