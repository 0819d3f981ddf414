"""The scripts of whole accounts: admission, sweep, breaker, pause, and the duration models."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from bide.contract import FailureCode
from bide.ledger import scripts
from bide.ledger.breaker import FIELDS, AccountState, account_state
from bide.ledger.census import StateCount, count_jobs
from bide.ledger.executor import Executor
from bide.ledger.failures import canceled_meanwhile, error_of
from bide.ledger.keys import ACCOUNTS_KEY, prefix
from bide.ledger.records import AccountName, Messages, Repair
from bide.ledger.replies import messages_of
from bide.ledger.tenants import TenantCount, counts_of, read_caps

#: How the sweeper ends a job whose worker died during its submit.
DIED_SUBMITTING = "the worker died while submitting; the provider may have accepted"

#: How the sweeper ends a job whose deadline passed in line, where it was not bought and where it may have been.
LATE_IN_LINE = "the deadline passed while the job waited in line; nothing was bought"
LATE_OVER_BUDGET = "the deadline passed while the job waited for a budget; nothing was bought"
LATE_BEFORE_RESUBMIT = "the deadline passed before it was submitted again; the first submit may have been accepted"


class AccountScripts:
    """Admits, sweeps, blocks and counts by account; each method raises `LedgerAwayError` when Redis stays away."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def names(self) -> list[AccountName]:
        """All accounts that ever had a job, in order."""
        return self._executor.accounts()

    def admit(self, account: AccountName, *, most: int = 200) -> Messages:
        """Let the head of the line in, as far as there is room; returns what to send."""
        script = scripts.account.Admit(most=most)
        return messages_of(account, self._executor.run(account, script))

    def count_clocks(self, account: AccountName) -> dict[str, int]:
        """The number of jobs on each clock and list, by its name."""
        names = ("queued", "lease", "due", "unconfirmed")
        pipeline = self._executor.pipeline()
        for name in names:
            pipeline.zcard(prefix(account) + name)
        pipeline.scard(prefix(account) + "inflight")
        return dict(zip((*names, "inflight"), self._executor.execute(pipeline), strict=True))

    def count_jobs(self, account: AccountName) -> dict[str, StateCount]:
        """The live jobs by state: their number, and the age of the oldest; at most 50,000 of each clock are read."""
        return count_jobs(self._executor, account)

    def count_tenants(self, account: AccountName, *, most: int = 1000) -> list[TenantCount]:
        """The tenants of an account and their jobs, `most` by name; [] where none of its jobs has a tenant."""
        reply = self._executor.run(account, scripts.account.Tenants(most=most))
        caps = self._executor.reach(lambda server: server.hget(f"{prefix(account)}account", "tenants"))
        return counts_of(reply, read_caps(caps or ""))

    # Sweeping

    def sweep(
        self, account: AccountName, *, backlog: Iterable[str] = (), page: int = 200
    ) -> tuple[Messages, list[Repair], bool]:
        """Mend one page of what ran out on the account's clocks. `backlog`: queues that have messages waiting.

        Returns what to send, what was mended, and whether the page was full, so that more may wait.
        """
        script = _sweep(account, self._executor.timing.most_crashes, backlog, page)
        hints, round_, repairs, full = self._executor.run(account, script)
        return messages_of(account, (hints, round_)), [Repair(*repair) for repair in repairs], bool(full)

    def watch(self, account: AccountName) -> None:
        """Note that a process is alive while another one sweeps the account: the sweeper's death is then no silence."""
        self._executor.run(account, scripts.account.Watch())

    # Breaker and pause

    def block_submits(self, account: AccountName, *, seconds: float, reason: str) -> bool:
        """Open the breaker for some time, as the provider refuses the account. False: it was open for that already."""
        return bool(self._executor.run(account, scripts.account.BlockSubmits(seconds=seconds, reason=reason)))

    def pause(self, account: AccountName, *, reason: str, by: Literal["bide", "operator"]) -> bool:
        """Stop the account's submits until it is resumed. False: it was paused already."""
        self._executor.reach(lambda server: server.sadd(ACCOUNTS_KEY, str(account)))
        return bool(self._executor.run(account, scripts.account.Pause(reason=reason[:300], by=by)))

    def resume(self, account: AccountName) -> bool:
        """End the pause and close the breakers. False: there was no pause, and they were closed."""
        return bool(self._executor.run(account, scripts.account.Resume()))

    def state(self, account: AccountName) -> AccountState:
        """The account's breakers and pause, as they are now."""
        pipeline = self._executor.pipeline()
        pipeline.hmget(f"{prefix(account)}account", FIELDS)
        pipeline.hgetall(f"{prefix(account)}lane_breakers")
        pipeline.time()
        values, lanes, (seconds, _) = self._executor.execute(pipeline)
        clock = self._executor.clock
        return account_state(account, values, now=clock() if clock else float(seconds), lanes=lanes)

    # Duration models

    def learn(self, account: AccountName, news: Sequence[tuple[str, str, str]]) -> list[str]:
        """Replace the duration models of some operations: (operation, the model it was made from, the new model).

        A lane is named as `OPERATION LANE`. Returns the model of each of them that counts now: another
        process's, where that one was faster.
        """
        script = scripts.account.Learn(news=[scripts.account.Model(*each) for each in news])
        return list(self._executor.run(account, script))

    def duration_models(self, account: AccountName) -> dict[str, str]:
        """The duration models of an account, by operation or lane, as `bide.polling.duration_model` writes them."""
        return dict(self._executor.reach(lambda server: server.hgetall(f"{prefix(account)}durations")))


def _sweep(account: AccountName, most_crashes: int, backlog: Iterable[str], page: int) -> scripts.account.Sweep:
    crashed = f"a step of this job killed its worker {most_crashes} times"
    died = error_of(account, FailureCode.SUBMISSION_UNKNOWN, DIED_SUBMITTING)
    return scripts.account.Sweep(
        page=page,
        backlog=" ".join(backlog),
        crashed_error=error_of(account, FailureCode.CRASHED, crashed),
        unconfirmed_error=died,
        canceled_error=canceled_meanwhile(died),
        deadline_error=error_of(account, FailureCode.DEADLINE, LATE_IN_LINE),
        over_budget_error=error_of(account, FailureCode.OVER_BUDGET, LATE_OVER_BUDGET, retryable=True),
        deadline_unconfirmed_error=error_of(account, FailureCode.SUBMISSION_UNKNOWN, LATE_BEFORE_RESUBMIT),
    )
