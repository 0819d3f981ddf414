"""The ledger of one Redis, by parts: each part runs the scripts of one subject."""

from __future__ import annotations

from collections.abc import Callable

import redis

from bide.ledger.accounts import AccountScripts
from bide.ledger.book import Books
from bide.ledger.budgets import BudgetScripts
from bide.ledger.callbacks import CallbackScripts
from bide.ledger.executor import Executor
from bide.ledger.jobs import JobScripts
from bide.ledger.packing import Packer
from bide.ledger.polls import PollScripts
from bide.ledger.prices import PublishedPrices
from bide.ledger.recent import RecentJobs
from bide.ledger.records import AccountName, Limits, Timing
from bide.ledger.recovery import Recovery
from bide.ledger.safety import Safety
from bide.ledger.submits import SubmitScripts
from bide.ledger.unconfirmed import UnconfirmedScripts


class Ledger:
    """All scripts of all accounts on one Redis; each method of a part raises `LedgerAwayError` when it stays away.

    `limits` says what an account may do; `safety` how safe a write has to be before it counts, None for what workers
    announce; `clock` replaces Redis's own time in tests [seconds since the epoch].
    """

    def __init__(
        self,
        server: redis.Redis,
        *,
        limits: Callable[[AccountName], Limits] = lambda _: Limits(),
        timing: Timing | None = None,
        safety: Safety | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.executor = Executor(server, limits=limits, timing=timing, safety=safety, clock=clock)
        self.server, self.timing, self.identity = server, self.executor.timing, self.executor.identity
        self.packer = Packer(self.executor)
        self.jobs = JobScripts(self.executor, self.packer)
        self.submits = SubmitScripts(self.executor)
        self.polls = PollScripts(self.executor)
        self.accounts = AccountScripts(self.executor)
        self.books = Books(self.executor)
        self.budgets = BudgetScripts(self.executor)
        self.prices = PublishedPrices(self.executor)
        self.callbacks = CallbackScripts(self.executor, self.packer)
        self.recent = RecentJobs(self.executor)
        self.unconfirmed = UnconfirmedScripts(self.executor, self.jobs)
        self.recovery = Recovery(self.executor)
