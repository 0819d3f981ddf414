"""The ledger of purchases, and its journal, which outlives the process."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

from sandbox.jobs import Job


class Purchases:
    """Purchases in order, and the way to a job by its id; kept in a journal if there is one."""

    def __init__(self, journal: Path | None = None) -> None:
        self._bought: list[Job] = []
        self._by_id: dict[tuple[str, str], Job] = {}
        self._journal: TextIO | None = None
        if journal is not None:
            text = journal.read_text(encoding="utf-8") if journal.exists() else ""
            for record in _records(text):
                self._remember(Job.from_record(record))
            self._journal = journal.open("a", encoding="utf-8")
            if text and not text.endswith("\n"):
                self._journal.write("\n")

    def __len__(self) -> int:
        return len(self._bought)

    def add(self, job: Job) -> None:
        """Record a purchase."""
        self._remember(job)
        if self._journal is not None:
            self._journal.write(json.dumps(job.record()) + "\n")
            self._journal.flush()

    def get(self, provider: str, job_id: str) -> Job | None:
        return self._by_id.get((provider, job_id))

    def of(self, provider: str | None = None) -> Iterable[Job]:
        """Purchases, oldest first; also of jobs that were forgotten since."""
        return (job for job in self._bought if provider in (None, job.provider))

    def forget(self, job: Job) -> None:
        """The provider no longer knows the job; that it was bought stays written."""
        self._by_id.pop((job.provider, job.id), None)

    def knows(self, job: Job) -> bool:
        return self._by_id.get((job.provider, job.id)) is job

    def clear(self) -> None:
        self._bought.clear()
        self._by_id.clear()
        if self._journal is not None:
            self._journal.truncate(0)

    def close(self) -> None:
        if self._journal is not None:
            self._journal.close()

    def _remember(self, job: Job) -> None:
        self._bought.append(job)
        self._by_id[job.provider, job.id] = job


def _records(text: str) -> Iterator[dict[str, Any]]:
    """The journal's lines; one that a kill cut short is left out."""
    for line in text.splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            continue
