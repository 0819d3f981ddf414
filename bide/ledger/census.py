"""Counts an account's jobs by state, with the age of the oldest, for metrics; they are read page by page."""

from __future__ import annotations

from dataclasses import dataclass

from bide.contract import FINAL_STATES
from bide.ledger import scripts
from bide.ledger.executor import Executor
from bide.ledger.records import AccountName

#: Jobs that one script counts (2 ms of Redis), and the most of one clock that are counted.
PAGE, MOST_JOBS = 500, 50_000

#: The state of a job that has ended, while its caller does not know.
ANSWERING = "answering"


@dataclass
class StateCount:
    """The number of jobs in one state, and the age of the oldest."""

    jobs: int = 0
    #: When the oldest of them was created [seconds since the epoch], 0 where there is none.
    oldest: float = 0.0

    def add(self, jobs: int, oldest: float) -> None:
        """Count further jobs of the state."""
        self.jobs += jobs
        self.oldest = min(filter(None, (self.oldest, oldest)), default=0.0)


def count_jobs(executor: Executor, account: AccountName) -> dict[str, StateCount]:
    """The counts of all states of live jobs, also of those without a job; of each clock 50,000 are read at most."""
    found = {state: StateCount() for state in ("queued", "submitting", "running", "storing", "unconfirmed", ANSWERING)}
    for clock in ("queued", "lease", "due", "unconfirmed"):
        for state, jobs, oldest in _count(executor, account, clock):
            ended = clock == "lease" and state in (*FINAL_STATES, "unconfirmed")
            found.setdefault(ANSWERING if ended else state, StateCount()).add(jobs, oldest)
    return found


def _count(executor: Executor, account: AccountName, clock: str) -> list[tuple[str, int, float]]:
    states: list[tuple[str, int, float]] = []
    for offset in range(0, MOST_JOBS, PAGE):
        counted, found = executor.run(account, scripts.account.Census(clock=clock, offset=offset, page=PAGE))
        states += [(state, int(jobs), float(oldest)) for state, jobs, oldest in found]
        if int(counted) < PAGE:
            break
    return states
