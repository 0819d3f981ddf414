"""When the jobs of each account are polled: by its plan, and by how long its earlier jobs took."""

from __future__ import annotations

from collections.abc import Iterable

from bide.ledger import AccountName, Claimed
from bide.polling.timing import PollTiming
from workers.accounts import Accounts
from workers.services.learner import Learner


class PollTimings:
    """Shared by all threads of a process."""

    def __init__(self, accounts: Accounts, learner: Learner) -> None:
        self._accounts, self._learner = accounts, learner

    def get(self, name: AccountName, operation: str, lane: str = "") -> PollTiming:
        """The poll timing of an operation, or of a lane of it. May ask the ledger.

        By the plan alone where the account is not to learn.
        """
        plan = self._accounts.poll_plan(name, operation)
        if not self._learns(name):
            return PollTiming(plan)
        self._learner.refresh(name)
        return self._learner.poll_timing(name, operation, plan, lane=lane)

    def learn(self, name: AccountName, ended: Iterable[Claimed], now: float) -> None:
        """Jobs that a poll at `now` found to have ended teach how long such jobs take."""
        if self._learns(name):
            self._learner.learn(name, ended, now)

    def _learns(self, name: AccountName) -> bool:
        context = self._accounts.find(name)
        return context is not None and context.learns
