"""The states of a run's live rows, read from the ledger at once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from bide.bulk.names import job_id
from bide.bulk.record import LiveRow, Run
from bide.bulk.runs import reach
from bide.contract import FINAL_STATES, JobState
from bide.ledger import AccountName, Ledger
from bide.ledger.keys import prefix
from bide.money.budgets import run_budget_name

#: States of a job that are an end to its caller.
_ENDS = {state.value for state in (*FINAL_STATES, JobState.UNCONFIRMED)}

#: States of a job that was sent to its provider, or is about to be, and has no result yet.
_UNDER_WAY = {JobState.QUEUED.value, JobState.SUBMITTING.value, JobState.RUNNING.value}

#: What is read of a job's record.
_FIELDS = ("state", "answered", "cancel", "over_budget")

#: In place of an account for a row that has none.
NOWHERE = AccountName("", "")


@dataclass(frozen=True)
class RowState:
    """A live row with the state of its job; '' where the job has no record."""

    live: LiveRow
    state: str = ""
    #: Whether the job's end was answered to its caller, so that no worker has the job any more.
    answered: bool = False
    #: Why its provider is to stop the job, and what the provider made of that.
    cancel: str = ""
    #: The name of the budget that the job waits for; '' for none.
    waits_for: str = ""

    def end(self, run: Run) -> str | None:
        """The row's end; None while the row goes on."""
        if self.live.kind == "o":
            ended = self.state in _ENDS and self.answered
            return "failed" if not self.state else self.state if ended else None  # without a record: lost
        if self.live.kind == "c":
            return "canceled" if run.state == "canceling" else None
        return "skipped" if self.live.kind == "s" else "failed"

    @property
    def goes_on(self) -> bool:
        """Whether the job is under way, and may still be stopped; not the one that was canceled already."""
        return self.state in _UNDER_WAY and not self.cancel.startswith("canceled")

    @property
    def in_line(self) -> bool:
        return self.live.kind == "c" or self.state == JobState.QUEUED


@dataclass(frozen=True)
class RunSnapshot:
    """All live rows of a run at one moment."""

    run: Run
    rows: tuple[RowState, ...]

    def ready(self) -> Iterator[tuple[LiveRow, str]]:
        """The rows that have ended, each with its end."""
        return ((each.live, end) for each in self.rows if (end := each.end(self.run)))

    def counts(self) -> dict[str, int | str]:
        """The numbers of rows, as fields of the run's record."""
        ready = Counter(end for _, end in self.ready())
        in_line = sum(each.in_line for each in self.rows if not each.end(self.run))
        in_flight = len(self.rows) - ready.total() - in_line
        waiting = len(self.waiting_for_budget)
        return {
            "ready": json.dumps(ready),
            "in_line": in_line,
            "in_flight": in_flight,
            **({"waiting_for_budget": waiting} if waiting or self.run.number("waiting_for_budget") else {}),
        }

    @property
    def waiting_for_budget(self) -> list[RowState]:
        """The rows that wait for the run's own budget."""
        name = run_budget_name(self.run.run_id)
        return [each for each in self.rows if each.waits_for == name]

    @property
    def going_on(self) -> int:
        """The number of rows that have not ended."""
        return sum(not each.end(self.run) for each in self.rows)


def take_snapshot(ledger: Ledger, run: Run, rows: list[LiveRow]) -> RunSnapshot:
    """Ask the ledger about all live rows at once; raises `LedgerAwayError`."""
    opened = [live for live in rows if live.kind == "o" and live.account]
    found = dict(zip((live.row for live in opened), _states(ledger, run.run_id, opened), strict=True))
    found |= _moved(ledger, run.run_id, [live for live in opened if not found[live.row][0]])
    return RunSnapshot(run, tuple(RowState(live, *found.get(live.row, ())) for live in rows))


def _moved(ledger: Ledger, run_id: str, missing: list[LiveRow]) -> dict[int, tuple[str, bool, str, str]]:
    """The states of jobs that went on at a fallback between two reads: there they are in line."""
    if not missing:
        return {}
    pipeline = ledger.server.pipeline(transaction=False)
    for live in missing:
        pipeline.exists(f"{prefix(live.account or NOWHERE)}left:{job_id(run_id, live.row)}")
    left = reach(pipeline.execute)
    return {
        live.row: (JobState.QUEUED.value, False, "", "") for live, there in zip(missing, left, strict=True) if there
    }


def _states(ledger: Ledger, run_id: str, opened: list[LiveRow]) -> list[tuple[str, bool, str, str]]:
    if not opened:
        return []
    pipeline = ledger.server.pipeline(transaction=False)
    for live in opened:
        assert live.account  # noqa: S101 - only rows with an account are opened
        pipeline.hmget(f"{prefix(live.account)}job:{job_id(run_id, live.row)}", *_FIELDS)
    return [
        (state or "", answered == "1", cancel or "", budget or "")
        for state, answered, cancel, budget in reach(pipeline.execute)
    ]
