"""Many jobs on one list: those under way from their clocks, those that are over by a bounded scan of all records."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from operator import methodcaller

from pydantic import ValidationError

from bide.contract import FINAL_STATES, Failure, GenerateRequest, JobState
from bide.describe import describe
from bide.ledger.executor import Executor
from bide.ledger.kept import PARTS
from bide.ledger.keys import prefix
from bide.ledger.moves import read_moves
from bide.ledger.packed import record_of, unpack
from bide.ledger.records import AccountName
from bide.providers.base import Progress

#: Records that one search reads, at most, and at a time.
MOST_RECORDS, PAGE = 200_000, 500

#: Where jobs of each state stand while they live.
_CLOCKS = {
    JobState.QUEUED: ("queued", "lease"),
    JobState.SUBMITTING: ("lease",),
    JobState.RUNNING: ("due",),
    JobState.STORING: ("lease",),
    JobState.UNCONFIRMED: ("unconfirmed",),
}

#: All states of jobs that are not over.
UNDER_WAY = frozenset(_CLOCKS)

_FIELDS = ("state", "op", "created", "finished", "polls", "pid", "note", "error", "run", "progress", "tenant")


@dataclass(frozen=True)
class Job:
    """One job on a list; times are in seconds since the epoch."""

    job_id: str
    account: AccountName
    state: JobState
    operation: str
    created: float
    finished: float = 0.0
    polls: int = 0
    provider_job_id: str = ""
    note: str = ""
    #: Why it ended badly (a `FailureCode`), and in words.
    code: str = ""
    message: str = ""
    #: The bulk run whose row it is.
    run: str = ""
    #: For whom it is, '' for no tenant.
    tenant: str = ""
    #: Provider, operation and the beginning of the prompt, and the addresses of the stored objects.
    what: str = ""
    outputs: tuple[str, ...] = ()
    #: How far a running job is, where its provider says so.
    progress: Progress | None = None
    #: The accounts that it has left for its fallbacks, in their order.
    tried: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wanted:
    """Which jobs; empty sets and texts mean any."""

    states: frozenset[JobState] = UNDER_WAY
    provider: str = ""
    account: str = ""
    codes: frozenset[str] = frozenset()
    #: Opened before this [seconds since the epoch].
    before: float = float("inf")
    tenant: str = ""

    def of(self, name: AccountName) -> bool:
        return self.provider in ("", name.provider) and self.account in ("", name.account)

    @property
    def over(self) -> bool:
        """Whether jobs that are over are among them: then the latest come first, else the oldest."""
        return bool(self.states & FINAL_STATES)

    def takes(self, job: Job) -> bool:
        """Whether the job is one of them."""
        wanted = self.tenant in ("", job.tenant) and (not self.codes or job.code in self.codes)
        return wanted and job.state in self.states and job.created < self.before


@dataclass(frozen=True)
class Found:
    """Some of the wanted jobs; `whole` is False where there were more records than one search reads."""

    jobs: tuple[Job, ...]
    whole: bool


class Listing:
    """Searches, for people: machinery finds its jobs by their clocks."""

    def __init__(self, executor: Executor, *, most_records: int = MOST_RECORDS) -> None:
        self._executor, self._most_records = executor, most_records

    def search(self, wanted: Wanted, *, most: int) -> Found:
        """The oldest of them; where jobs that are over are wanted, the latest."""
        names = [name for name in self._executor.accounts() if wanted.of(name)]
        found = recorded(self._executor, names) if wanted.over else self._under_way(names, wanted)
        some = list(islice(self._read(found, wanted.states), self._most_records + 1))
        fitting = {job.job_id: job for job in some if wanted.takes(job)}.values()
        if wanted.over:
            chosen = heapq.nlargest(most, fitting, key=lambda job: (job.finished or job.created, job.job_id))
        else:
            chosen = heapq.nsmallest(most, fitting, key=lambda job: (job.created, job.job_id))
        return Found(tuple(self._detailed(chosen)), whole=len(some) <= self._most_records)

    def _detailed(self, jobs: Sequence[Job]) -> Iterator[Job]:
        """The jobs with what is long in their records: it is read of those that are shown."""
        for page in (jobs[first : first + PAGE] for first in range(0, len(jobs), PAGE)):
            pipeline = self._executor.pipeline()
            for job in page:
                pipeline.hget(f"{prefix(job.account)}body:{job.job_id}", "request")
                pipeline.hgetall(f"{prefix(job.account)}job:{job.job_id}")
            found = self._executor.execute(pipeline)
            for job, request, fields in zip(page, found[::2], found[1::2], strict=True):
                record = record_of(job.job_id, job.account, fields, request)
                what = _what(record.request_json, int(record.number("fallback")))
                left = tuple(map(str, read_moves(record.text("tried"))))
                yield replace(job, what=what, outputs=record.stored, tried=left)

    def _under_way(self, names: Iterable[AccountName], wanted: Wanted) -> Iterator[tuple[AccountName, str]]:
        """Jobs under way, from the clocks of their states."""
        clocks = sorted({clock for state in wanted.states for clock in _CLOCKS[state]})
        for name in names:
            for clock in clocks:
                yield from self._on(name, clock)

    def _on(self, name: AccountName, clock: str) -> Iterator[tuple[AccountName, str]]:
        first = 0
        while page := self._executor.reach(methodcaller("zrange", prefix(name) + clock, first, first + PAGE - 1)):
            yield from ((name, job_id) for job_id in page)
            first += PAGE

    def _read(self, found: Iterator[tuple[AccountName, str]], states: frozenset[JobState]) -> Iterator[Job]:
        """The jobs; those of other states come without what is packed of them."""
        while page := list(islice(found, PAGE)):
            pipeline = self._executor.pipeline()
            for name, job_id in page:
                pipeline.hmget(f"{prefix(name)}job:{job_id}", PARTS[0], *_FIELDS)
            read = [
                (name, job_id, part, dict(zip(_FIELDS, (value or "" for value in values), strict=True)))
                for (name, job_id), (part, *values) in zip(page, self._executor.execute(pipeline), strict=True)
            ]
            self._unpack(
                [(name, job_id, fields) for name, job_id, part, fields in read if part and fields["state"] in states]
            )
            yield from filter(None, (_job(name, job_id, fields) for name, job_id, _, fields in read))

    def _unpack(self, read: Sequence[tuple[AccountName, str, dict[str, str]]]) -> None:
        """Complete the fields of packed records."""
        pipeline = self._executor.pipeline()
        for name, job_id, _ in read:
            pipeline.hgetall(f"{prefix(name)}job:{job_id}")
        for (name, job_id, fields), found in zip(read, self._executor.execute(pipeline) if read else (), strict=True):
            unpacked = unpack(job_id, name, found)
            fields |= {field: unpacked[field] for field in _FIELDS if field in unpacked}


def recorded(executor: Executor, names: Iterable[AccountName]) -> Iterator[tuple[AccountName, str]]:
    """All jobs of these accounts that there are records of, in no order."""
    known, cursor = {str(name): name for name in names}, 0
    while known:
        cursor, keys = executor.reach(methodcaller("scan", cursor, "bide:{*}:job:*", count=PAGE))
        for account, _, job_id in (key.removeprefix("bide:{").partition("}:job:") for key in keys):
            if account in known:
                yield known[account], job_id
        if not cursor:
            return


def _job(name: AccountName, job_id: str, fields: dict[str, str]) -> Job | None:
    """None for a record that has gone, is another caller's of the same job, or has a state that is not known here."""
    if fields["state"] not in set(JobState):
        return None
    failure = _failure(fields["error"])
    return Job(
        job_id,
        name,
        JobState(fields["state"]),
        fields["op"],
        float(fields["created"] or 0),
        float(fields["finished"] or 0),
        int(fields["polls"] or 0),
        fields["pid"],
        fields["note"],
        failure.code.value if failure else "",
        failure.message if failure else "",
        fields["run"],
        fields["tenant"],
        progress=Progress.from_text(fields["progress"]) if fields["state"] == JobState.RUNNING else None,
    )


def _what(request_json: str | None, fallback: int) -> str:
    """What is asked of its account; '' where the request is no longer kept, or of another version."""
    try:
        in_turn = GenerateRequest.model_validate_json(request_json).in_turn() if request_json else ()
        return describe(in_turn[fallback]) if in_turn else ""
    except ValidationError:
        return ""


def _failure(text: str) -> Failure | None:
    try:
        return Failure.model_validate_json(text) if text else None
    except ValidationError:
        return None
