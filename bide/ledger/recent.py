"""The jobs of a deployment, the latest first, page by page: for people who look for some of them."""

from __future__ import annotations

import heapq
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from math import isfinite
from typing import Any, NamedTuple

from bide.describe import prompt_of
from bide.ledger import scripts
from bide.ledger.executor import Executor
from bide.ledger.keys import prefix
from bide.ledger.listing import MOST_RECORDS, PAGE, recorded
from bide.ledger.packed import record_of
from bide.ledger.records import AccountName, Record
from bide.ledger.replies import pairs

#: Jobs that one script looks at (2 ms of Redis), and that one search looks at before it asks whether to go on.
EXAMINED_AT_ONCE, MOST_EXAMINED = 500, 20_000

#: A text that is the same in every JSON of it.
_PLAIN = re.compile(r"[A-Za-z0-9_-]+")


class Place(NamedTuple):
    """A place in the list: the job there, and when it was opened [seconds since the epoch]."""

    created: float
    job_id: str

    def __str__(self) -> str:
        return f"{self.created:.3f}:{self.job_id}"

    @classmethod
    def parse(cls, text: str) -> Place:
        """The reverse of its text; raises `ValueError`."""
        created, _, job_id = text.partition(":")
        if not isfinite(float(created)):
            raise ValueError("is no time")
        return cls(float(created), job_id)


@dataclass(frozen=True)
class Found:
    """One job of the list, and what its request says to people. The record comes without the request itself."""

    place: Place
    record: Record
    #: The whole prompt, '' where there is none.
    prompt: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, name: AccountName, job_id: str, time: str, fields: Sequence[str], request: str) -> Found:
        """From a reply of `account/recent.lua`."""
        record = record_of(job_id, name, pairs(fields), request)
        params, metadata = _about(record.request_json)
        return cls(Place(float(time), job_id), replace(record, request_json=""), prompt_of(params), metadata)


@dataclass(frozen=True)
class Wanted:
    """Which jobs; empty texts and sets mean any. Times are in seconds since the epoch."""

    states: frozenset[str] = frozenset()
    codes: frozenset[str] = frozenset()
    provider: str = ""
    account: str = ""
    operation: str = ""
    run: str = ""
    #: The request's own, or the metadata of that name.
    tenant: str = ""
    #: Words that the prompt holds, in any order, in letters of any size.
    words: tuple[str, ...] = ()
    #: Names and values of metadata; a value that is no text is written as in JSON.
    metadata: tuple[tuple[str, str], ...] = ()
    #: Opened at or after `since`, and before `until`.
    since: float = 0.0
    until: float = float("inf")

    def of(self, name: AccountName) -> bool:
        """Whether jobs of this account may be among them."""
        return self.provider in ("", name.provider) and self.account in ("", name.account)

    def takes(self, found: Found) -> bool:
        """Whether a job is as wanted; of a packed record the script has looked at the state alone."""
        record = found.record
        if self.operation not in ("", record.text("op")) or self.run not in ("", record.text("run")):
            return False
        if self.codes and _code(record.text("error")) not in self.codes:
            return False
        prompt = found.prompt.lower() if self.words else ""
        has_words = all(word.lower() in prompt for word in self.words)
        tenants = ("", found.record.text("tenant"), _written(found.metadata.get("tenant")))
        has_metadata = all(_written(found.metadata.get(name)) == value for name, value in self.metadata)
        return has_words and has_metadata and self.tenant in tenants

    @cached_property
    def plain_words(self) -> list[str]:
        """What stands in the request's JSON in any case, in small letters: the script skips requests without."""
        texts = [*self.words, self.tenant, *(value for _, value in self.metadata)]
        parts = (max(_PLAIN.findall(text), key=len, default="") for text in texts)
        return [part.lower() for part in parts if part]


@dataclass(frozen=True)
class Page:
    """Some of the wanted jobs. `behind`: where the next page begins, None where there is none.

    `whole` is False where the search stopped before the page was full: more may be found behind that place.
    """

    jobs: tuple[Found, ...]
    behind: Place | None = None
    whole: bool = True


class RecentJobs:
    """Searches over all accounts; each method raises `LedgerAwayError` when Redis stays away."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def page(self, wanted: Wanted, *, most: int, behind: Place | None = None) -> Page:
        """Up to `most` of the wanted jobs behind a place, by default the latest."""
        begin = min(filter(None, (behind, _before(wanted.until))), default=None)
        names = [name for name in self._executor.accounts() if wanted.of(name)]
        searches = [self._search(name, wanted, begin, most + 1) for name in names]
        jobs: list[Found] = []
        examined = 0
        for place, seen, found in heapq.merge(*searches, key=lambda step: step[0], reverse=True):
            examined += seen
            if found and wanted.takes(found):
                if len(jobs) == most:
                    return Page(tuple(jobs), jobs[-1].place)
                jobs.append(found)
            elif examined >= MOST_EXAMINED:
                return Page(tuple(jobs), place, whole=False)
        return Page(tuple(jobs))

    def complete(self) -> int:
        """Put jobs on the list that an earlier release opened. Returns how many were missing."""
        found = islice(recorded(self._executor, self._executor.accounts()), MOST_RECORDS)
        missing = 0
        while page := list(islice(found, PAGE)):
            pipeline = self._executor.pipeline()
            for name, job_id in page:
                pipeline.hmget(f"{prefix(name)}job:{job_id}", "state", "created")
            values = self._executor.execute(pipeline)
            pipeline = self._executor.pipeline()
            for (name, job_id), (state, created) in zip(page, values, strict=True):
                if created and state != "following":
                    pipeline.zadd(f"{prefix(name)}recent", {job_id: float(created)}, nx=True)
            missing += sum(self._executor.execute(pipeline))
        return missing

    def _search(
        self, name: AccountName, wanted: Wanted, behind: Place | None, most: int
    ) -> Iterator[tuple[Place, int, Found | None]]:
        """One account's jobs in order. A step without a job says how far the search is, and how many it looked at."""
        while True:
            script = _script(wanted, behind, most)
            last_time, last_id, rows = self._executor.run(name, script)
            for row in rows:
                found = Found.read(name, *row)
                yield found.place, 0, found
            if not last_id:
                return
            behind = Place(float(last_time), last_id)
            yield behind, EXAMINED_AT_ONCE, None


def _code(error: str) -> str:
    """The code of a failure's JSON, as the script reads it; '' for none."""
    found = re.search(r'"code":\s*"(\w+)"', error)
    return found[1] if found else ""


def _about(request: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Params and metadata of a request's JSON; empty where it is none."""
    try:
        found = json.loads(request)
    except ValueError:
        return {}, {}
    parts = [found.get(name) if isinstance(found, dict) else None for name in ("params", "metadata")]
    params, metadata = (part if isinstance(part, dict) else {} for part in parts)
    return params, metadata


def _script(wanted: Wanted, behind: Place | None, most: int) -> scripts.account.Recent:
    return scripts.account.Recent(
        behind=f"{behind.created:.3f}" if behind else "",
        behind_id=behind.job_id if behind else "",
        oldest=wanted.since,
        examine=EXAMINED_AT_ONCE,
        most=most,
        states=_joined(wanted.states),
        codes=_joined(wanted.codes),
        operation=wanted.operation,
        run=wanted.run,
        words=wanted.plain_words,
    )


def _joined(names: frozenset[str]) -> str:
    return f" {' '.join(sorted(names))} " if names else ""


def _before(until: float) -> Place | None:
    """The place before which no job was opened at `until` or later; no id is smaller than none."""
    return Place(until, "") if until < float("inf") else None


def _written(value: Any) -> str | None:
    return value if isinstance(value, str) or value is None else json.dumps(value, ensure_ascii=False)
