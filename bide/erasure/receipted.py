"""Receipts of jobs that are erased: found in the folders of the deployment's own ledger, and taken out of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from bide import receipts
from bide.erasure.bucket import keys, old_versions, remove_old, remove_version
from bide.erasure.ownership import Ownership
from bide.erasure.report import Report
from bide.errors import StorageError
from bide.receipts import PREFIX, Intent, Receipt
from bide.storage import Storage

#: What the report names receipts by that stay.
UNREADABLE = "receipts that can't be read"
NOT_OURS = "receipts that are not known to be this deployment's"


@dataclass(frozen=True)
class Receipted:
    """The receipts of a bucket; all methods raise `StorageError`. `versions`: old versions of objects count, too."""

    storage: Storage
    ownership: Ownership
    report: Report
    versions: bool

    def intents(self) -> Iterator[Intent]:
        """The intents of the deployment's own folders, in no order; what can't be read is passed by."""
        for key, version in self._objects():
            if self.ownership.owns_receipts_at(key):
                yield from (each for each in self._read(key, version) or () if isinstance(each, Intent))

    def remove(self, job_ids: Collection[str], check: Callable[[], None]) -> None:
        """Take the receipts of jobs out, in one pass; `check` raises where another process may write them.

        Of old versions those go that have such a receipt, since nobody but an erasure writes an object anew.
        """
        for key, version in self._objects() if job_ids else ():
            owns = self.ownership.owns_receipts_at(key)
            if owns is False:
                continue
            found = self._read(key, version)
            if found is None:
                self.report.note_unreached(UNREADABLE, key)
            elif any(each.job_id in job_ids for each in found):
                if not owns:
                    self.report.note_unreached(NOT_OURS, key)
                else:
                    check()
                    self._remove(key, version, job_ids)

    def _remove(self, key: str, version: str, job_ids: Collection[str]) -> None:
        if version:
            removed = remove_version(self.storage, key, version)
        else:
            self.report.receipts += receipts.remove_jobs(self.storage, job_ids, found=[key])
            if not self.versions:
                return
            removed = remove_old(self.storage, key)
        self.report.count(removed)

    def _read(self, key: str, version: str) -> tuple[Receipt, ...] | None:
        try:
            return receipts.read_object(self.storage, key, version)
        except StorageError as error:
            if not error.permanent:
                raise
            return None

    def _objects(self) -> Iterator[tuple[str, str]]:
        """The keys of all objects, with `versions` after what they were before; a probe of `bide doctor` is none."""
        if self.versions:
            yield from (each for each in old_versions(self.storage, PREFIX) if each[0].endswith(".json"))
        yield from ((key, "") for key in keys(self.storage, PREFIX) if key.endswith(".json"))
