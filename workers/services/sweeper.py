"""Mends what was lost: a timer in every worker process, of which one at a time works and another watches.

It repairs after a killed worker, a restarted Redis, a flushed broker queue or a dead beat, and needs none of them.
"""

from __future__ import annotations

import threading
import uuid
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import redis
import structlog
from celery import Celery
from kombu.exceptions import OperationalError

from bide.bulk.runs import Runs
from bide.contract import CONTROL_QUEUE, QUEUES, STORE_QUEUE, SUBMIT_QUEUE
from bide.errors import LedgerAwayError
from bide.ledger import AccountName, Ledger, Messages, Repair
from bide.money.budgets import Budget
from bide.pricing import Quotes
from bide.redis_errors import AWAY, is_away
from workers.metrics.counted import FAILED_JOBS, REPAIRS, repaired
from workers.metrics.tally import Tally
from workers.metrics.tally import tally as process_tally
from workers.services.dispatcher import Dispatcher

log = structlog.get_logger()

#: Locks of the process that sweeps, and of the one that watches. They end by themselves: a dead process is replaced.
LOCK_KEY, DEPUTY_KEY = "bide:sweeper", "bide:sweeper:deputy"

#: Jobs of one account that are read together, and how often that is repeated where more of them wait.
PAGE, MOST_PAGES = 200, 20

#: The most jobs that one line names of each kind of repair.
MOST_NAMED = 50

#: How long the lock outlives its owner, in sweeps: with a look at it every half, a dead one is replaced within 1.7.
LOCK_SWEEPS = 1.2

#: A queue of steps with no more messages than these is empty again within seconds.
BACKLOG = {SUBMIT_QUEUE: 50, STORE_QUEUE: 50}


class Sweeper:
    """Looks at every account twice within `sweep_seconds`: one process sweeps, a second watches, the others rest."""

    def __init__(
        self,
        app: Celery,
        ledger: Ledger,
        runs: Runs,
        dispatcher: Dispatcher,
        *,
        sweep_seconds: float,
        budgets: Callable[[], Sequence[Budget]] = tuple,
        quotes: Quotes | None = None,
        tally: Tally = process_tally,
    ) -> None:
        self._app, self._ledger, self._runs = app, ledger, runs
        self._dispatcher, self._budgets, self._tally = dispatcher, budgets, tally
        self._prices = (quotes or Quotes()).to_json()
        self._name = uuid.uuid4().hex
        self._seconds = sweep_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)

    def start(self) -> None:
        """Start the timer."""
        self._thread.start()

    def stop(self) -> None:
        """End the timer; a sweep under way finishes."""
        self._stop.set()
        self._thread.join(timeout=2 * self._seconds)

    def take_turn(self) -> None:
        """Do this process's part: sweep, watch, or rest."""
        if self._has(LOCK_KEY):
            self.sweep()
        elif self._has(DEPUTY_KEY):
            self.watch()

    def sweep(self) -> int:
        """Sweep all accounts once; how many things were mended. One that breaks does not stop the others."""
        backlog, mended, budgets = self._backlog(), 0, self._budgets()
        for account in self._ledger.accounts.names():
            try:
                mended += self._sweep_account(account, backlog)
                self._dispatcher.send(self._ledger.budgets.wake(account, budgets))
            except LedgerAwayError:
                raise
            except Exception:
                log.exception("sweeper.account_broke", account=str(account))
        self._ledger.prices.publish(self._prices)
        self._look_at_budgets(budgets)
        return mended + self._resend_overdue_runs()

    def _look_at_budgets(self, budgets: Sequence[Budget]) -> None:
        """Note what the file of budgets says, and raise an alarm of each that is nearly used up, once in its period."""
        self._ledger.budgets.publish(budgets)
        for stand in self._ledger.budgets.stands(budgets):
            if stand.alarm and self._ledger.budgets.first_alarm(stand):
                log.warning(
                    "budget.alarm",
                    budget=stand.budget.name,
                    period=stand.period,
                    percent=round(stand.percent, 1),
                    waiting=stand.waiting,
                    remedy=f"`bide budgets` shows it; raise {stand.budget.name} in the file of budgets, or let it be",
                )

    def watch(self) -> None:
        """See that no account is left to itself, should the sweeping process be slow, or gone."""
        for account in self._ledger.accounts.names():
            self._ledger.accounts.watch(account)

    def _resend_overdue_runs(self) -> int:
        """Bulk runs whose next look is overdue: its message was lost, or its feeder."""
        overdue = self._runs.overdue(late_seconds=self._seconds)
        for run_id in overdue:
            self._dispatcher.look_at_run(run_id)
        return len(overdue)

    def _sweep_account(self, account: AccountName, backlog: list[str]) -> int:
        mended: dict[str, list[str]] = defaultdict(list)
        for _ in range(MOST_PAGES):
            messages, repairs, full = self._ledger.accounts.sweep(account, backlog=backlog, page=PAGE)
            self._dispatcher.send(messages)
            for repair in repairs:
                self._count(account, repair)
                mended[repair.what].append(repair.job_id)
            if not full:
                break
        self._dispatcher.send(self._ledger.accounts.admit(account))
        if CONTROL_QUEUE not in backlog and self._ledger.callbacks.due(account):
            self._dispatcher.send(Messages(callbacks=account))
        return _say(account, mended)

    def _run(self) -> None:
        while not self._stop.wait(self._seconds / 2):
            try:
                self.take_turn()
            except Exception as error:  # the next sweep tries again: nothing else repairs
                if is_away(error):
                    log.warning("sweeper.ledger_away", reason=str(error))
                else:
                    log.exception("sweeper.broke")
            self._keep_counts()
        self._keep_counts()

    def _keep_counts(self) -> None:
        """Write down what this process has counted; every process does."""
        try:
            self._tally.flush(self._ledger.server)
        except redis.RedisError as error:
            log.warning("sweeper.counts_not_kept", reason=type(error).__name__)

    def _count(self, account: AccountName, repair: Repair) -> None:
        kind = repaired(repair.what)
        self._tally.count(account, REPAIRS, kind)
        if kind in ("crashed", "deadline"):
            self._tally.count(account, FAILED_JOBS, kind)

    def _has(self, key: str) -> bool:
        """Take or keep a part; it outlives this turn, so that the same process goes on."""
        server, milliseconds = self._ledger.server, int(LOCK_SWEEPS * self._seconds * 1000)
        if server.set(key, self._name, nx=True, px=milliseconds):
            return True
        return bool(server.get(key) == self._name and server.pexpire(key, milliseconds))

    def _backlog(self) -> list[str]:
        """The queues that have so many messages waiting that a hint in them may be late, and not lost."""
        try:
            with self._app.connection_for_read() as connection:
                return [queue for queue in QUEUES if waiting(connection, queue) > BACKLOG.get(queue, 0)]
        except (OperationalError, OSError, *AWAY) as error:
            log.warning("sweeper.broker_away", reason=type(error).__name__)
            return []


def _say(account: AccountName, mended: Mapping[str, Sequence[str]]) -> int:
    """How many things were mended on an account; one line says which, and names the jobs, some of them at least."""
    if mended:
        repairs = {what: len(job_ids) for what, job_ids in mended.items()}
        jobs = {what: named for what, job_ids in mended.items() if (named := [*filter(None, job_ids)][:MOST_NAMED])}
        log.info("sweeper.repaired", account=str(account), repairs=repairs, jobs=jobs)
    return sum(map(len, mended.values()))


def waiting(connection: Any, queue: str) -> int:
    """How many messages wait in a queue; an undeclared one (on Redis also an empty one) has none."""
    with connection.channel() as channel:
        try:
            return int(channel.queue_declare(queue, passive=True).message_count)
        except connection.channel_errors:
            return 0
