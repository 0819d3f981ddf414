"""What this process knows of how long jobs take: read from the ledger now and then, added to once a polling round."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

import structlog

from bide.errors import LedgerAwayError
from bide.ledger import AccountName, Claimed, Ledger
from bide.polling.backoff import PollPlan
from bide.polling.duration_model import DurationModel
from bide.polling.durations import Sketch
from bide.polling.schedule import PollSchedule, poll_schedule
from bide.polling.timing import PollTiming

log = structlog.get_logger()

#: How old what others have learned may be [seconds].
REFRESH_SECONDS = 10.0

#: The most jobs that are learned from at once, drawn by lot, and how many more each second: others of the same moment
#: would add little, and push out what earlier ones taught. Of jobs that began together the short ones end first.
MOST_JOBS, JOBS_PER_SECOND = 32, 16.0

#: How often a write that a faster process was ahead of is tried again.
ATTEMPTS = 3

#: A poll schedule is made anew (2 ms) when this part of the jobs it was made from is new, but not sooner [seconds].
STALE_SHARE, STALE_SECONDS = 1 / 8, 5.0

#: The most poll schedules that are kept for one account.
MOST_POLL_SCHEDULES = 256


@dataclass(frozen=True)
class _Made:
    """A poll schedule, the jobs that had been observed when it was made, and when that was."""

    jobs: int
    at: float
    table: PollSchedule

    def stale(self, sketch: Sketch) -> bool:
        renewed = not 0 <= sketch.jobs - self.jobs <= sketch.weight * STALE_SHARE
        return renewed and time.monotonic() - self.at >= STALE_SECONDS


class _Allowance:
    """How many jobs of an operation may be learned from now."""

    def __init__(self) -> None:
        self._jobs, self._at = float(MOST_JOBS), time.monotonic()

    def take(self, wanted: int) -> int:
        """As many of them as are allowed."""
        now = time.monotonic()
        self._jobs, self._at = min(self._jobs + JOBS_PER_SECOND * (now - self._at), MOST_JOBS), now
        granted = min(wanted, int(self._jobs))
        self._jobs -= granted
        return granted


@dataclass
class _Account:
    """What is known of one account: as the ledger has it, as values, and made into poll_schedules."""

    read_at: float = float("-inf")
    texts: dict[str, str] = field(default_factory=dict)
    duration_model: dict[str, DurationModel] = field(default_factory=dict)
    poll_schedules: dict[tuple[str, PollPlan, int], _Made] = field(default_factory=dict)
    allowances: dict[str, _Allowance] = field(default_factory=lambda: defaultdict(_Allowance))


@dataclass(frozen=True)
class _Ended:
    after_seconds: float
    by_seconds: float
    estimate_seconds: float


def taught(operation: str, lane: str = "") -> tuple[str, ...]:
    """The names of the duration models that a job counts in: that of its lane first, if it has one."""
    return (f"{operation} {lane}", operation) if lane else (operation,)


class Learner:
    """Shared by all threads of a process. Nothing here ever fails a job: without knowledge the plan's backoff rules."""

    def __init__(self, ledger: Ledger, *, make_schedule: Callable[..., PollSchedule] = poll_schedule) -> None:
        self._ledger, self._make_schedule = ledger, make_schedule
        self._accounts: dict[AccountName, _Account] = {}

    def refresh(self, name: AccountName) -> None:
        """Read what all processes have learned, if that was long ago."""
        known = self._accounts.setdefault(name, _Account())
        if time.monotonic() - known.read_at < REFRESH_SECONDS:
            return
        known.read_at = time.monotonic()
        try:
            texts = self._ledger.accounts.duration_models(name)
        except LedgerAwayError as error:
            log.info("learning.not_read", account=str(name), reason=str(error))
            return
        for model, text in texts.items():
            _take(known, model, text)
        for gone in known.texts.keys() - texts.keys():  # lanes that made room for others
            known.texts.pop(gone, None)
            known.duration_model.pop(gone, None)
            known.allowances.pop(gone, None)

    def poll_timing(self, name: AccountName, operation: str, plan: PollPlan, *, lane: str = "") -> PollTiming:
        """When to poll the jobs of an operation, by what was known at the last `refresh`.

        What is known of their lane counts; while that is too little, what is known of the whole operation.
        """
        known = self._accounts.get(name)
        models = [each for each in taught(operation, lane) if known and each in known.duration_model]
        if known is None or not models:
            return PollTiming(plan)
        return PollTiming(plan, partial(self._poll_schedule, known, models, plan))

    def _poll_schedule(
        self, known: _Account, models: list[str], plan: PollPlan, estimate_seconds: float | None
    ) -> PollSchedule | None:
        try:
            made = (self._poll_schedule_of(known, each, plan, estimate_seconds) for each in models)
            return next(filter(None, made), None)
        except Exception:  # a purchase may just have been made: no trouble here may keep it from being recorded
            log.exception("learning.no_timetable", operation=models[-1])
            return None

    def _poll_schedule_of(
        self, known: _Account, model: str, plan: PollPlan, estimate_seconds: float | None
    ) -> PollSchedule | None:
        found = known.duration_model.get(model, DurationModel()).about(estimate_seconds)
        if found is None:
            return None
        sketch, shift = found
        made = known.poll_schedules.get((model, plan, shift))
        if made is None or made.stale(sketch):
            made = _Made(sketch.jobs, time.monotonic(), self._make_schedule(sketch, plan, shift=shift))
            if len(known.poll_schedules) >= MOST_POLL_SCHEDULES:
                known.poll_schedules.clear()
            known.poll_schedules[model, plan, shift] = made
        return made.table

    def learn(self, name: AccountName, jobs: Iterable[Claimed], now: float) -> None:
        """Jobs that were found to have ended at `now`, the ledger's time of their poll."""
        by_model: dict[str, list[_Ended]] = {}
        for job in jobs:
            if job.submitted:
                after = max(job.ran - job.submitted, 0.0)
                each = _Ended(after, max(now - job.submitted, after), job.estimate_seconds)
                for model in taught(job.operation, job.lane):
                    by_model.setdefault(model, []).append(each)
        allowances = self._accounts.setdefault(name, _Account()).allowances
        drawn = {each: random.sample(some, allowances[each].take(len(some))) for each, some in by_model.items()}
        news = {model: some for model, some in drawn.items() if some}
        try:
            for _ in range(ATTEMPTS):
                if not (news := self._write(name, news)):
                    return
        except LedgerAwayError as error:
            log.info("learning.not_kept", account=str(name), reason=str(error))

    def _write(self, name: AccountName, news: dict[str, list[_Ended]]) -> dict[str, list[_Ended]]:
        """One script for all models; returns the news that another process's write came before."""
        if not news:
            return {}
        known = self._accounts.setdefault(name, _Account())
        changes = []
        for operation, some in news.items():
            before = known.texts.get(operation, "")
            duration_model = DurationModel.from_text(before)
            for each in some:
                duration_model = duration_model.observed(
                    each.after_seconds, each.by_seconds, estimate_seconds=each.estimate_seconds
                )
            changes.append((operation, before, duration_model.to_text()))
        written = self._ledger.accounts.learn(name, changes)
        for (operation, _, _), text in zip(changes, written, strict=True):
            _take(known, operation, text)
        return {change[0]: news[change[0]] for change, text in zip(changes, written, strict=True) if text != change[2]}


def _take(known: _Account, operation: str, text: str) -> None:
    if known.texts.get(operation) != text:
        known.texts[operation] = text
        known.duration_model[operation] = DurationModel.from_text(text)
