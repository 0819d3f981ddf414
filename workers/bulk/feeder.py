"""The feeder of bulk runs: it collects rows that ended, admits new ones, and says when the run is due again.

The feeder's process may be killed at any line.
"""

from __future__ import annotations

import math
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Sequence

from bide.bulk.copies import CopiesOfRuns
from bide.bulk.lease import keep_lease
from bide.bulk.names import job_id
from bide.bulk.record import LiveRow, Run
from bide.bulk.runs import Runs
from bide.contract import GenerateRequest
from bide.errors import StorageError
from bide.ledger import AccountName, Ledger, Messages
from bide.money.amounts import exact
from bide.printable import counted
from bide.storage import Storage
from workers.bulk.admission import Admission, Admitter
from workers.bulk.bought import BoughtRows
from workers.bulk.completion import Collector
from workers.bulk.finish import finish
from workers.bulk.snapshot import RunSnapshot, take_snapshot

#: Delay until a run is fed again [seconds]: the first after a change, then growing delays up to the second.
SOON_SECONDS, SELDOM_SECONDS = 0.5, 4.0

#: Delay of a run that is paused and has nothing under way, or that waits for its input [seconds].
IDLE_SECONDS = 300.0

#: Delay until object storage is tried again [seconds].
STORAGE_AGAIN_SECONDS = 2.0

#: The time over which the rate of a run is averaged [seconds].
RATE_SECONDS = 30.0


class Feeder:
    """Feeds runs, a page of work at a time; the feeder holds nothing that must survive its process.

    `lane` gives the lane of a request; `stop` cancels jobs of an account where their provider can stop jobs.
    """

    def __init__(
        self,
        runs: Runs,
        ledger: Ledger,
        storage: Storage,
        *,
        deadline_seconds: Callable[[AccountName, str], float],
        lane: Callable[[GenerateRequest], str],
        send: Callable[[Messages], None],
        stop: Callable[[AccountName, Sequence[str]], None],
        finish: Callable[[Runs, Storage, Run], str] = finish,
    ) -> None:
        copies = CopiesOfRuns(storage)
        self._finish, self._stop_jobs = finish, stop
        self._runs, self._ledger, self._storage, self._send = runs, ledger, storage, send
        self._bought = BoughtRows(runs, storage, copies)
        self._collector = Collector(runs, storage, copies)
        self._admitter = Admitter(
            runs, ledger, storage, copies, deadline_seconds=deadline_seconds, lane=lane, send=send
        )

    def feed(self, run_id: str) -> float | None:
        """Do a page of work for a run, under its lease. Returns the delay until the run is due again [seconds].

        None: another feeder has the run, or it is over.

        Raises `LedgerAwayError`.
        """
        token, lease_seconds = uuid.uuid4().hex, self._ledger.timing.lease_seconds
        if not self._runs.take(run_id, token, seconds=lease_seconds):
            return None
        with keep_lease(lambda: self._runs.keep(run_id, token, seconds=lease_seconds), seconds=lease_seconds):
            try:
                seconds = self._work(run_id, token)
            except StorageError as error:
                self._runs.note(run_id, trouble=f"object storage: {error}"[:300])
                seconds = STORAGE_AGAIN_SECONDS
        return self._runs.release(run_id, token, seconds=seconds)

    def _work(self, run_id: str, token: str) -> float:
        run = self._runs.read(run_id)
        if run is None or run.over or run.state == "starting":
            return IDLE_SECONDS
        compared = self._bought.settle(run, token)
        snapshot = self._snapshot(run)
        recalled = self._recall(snapshot) if run.state != "running" else 0
        if recalled:
            snapshot = self._snapshot(run)
        if run.state == "canceling":
            self._stop(snapshot)
        opened = (
            self._admitter.open_claimed(run, (each.live for each in snapshot.rows)) if run.state == "running" else 0
        )
        woken = self._wake(snapshot) if run.state == "running" else 0
        wrote = self._collector.collect(snapshot)
        run = self._judged(run_id)
        live = len(self._runs.live(run_id))
        try:
            admission = self._admitter.admit(run, token, live=live)
        except StorageError as error:
            if not (error.permanent and run.state == "canceling" and not live):
                raise
            return self._over(run_id, f"canceled without its input, so rows that had not begun have no line: {error}")
        if run.state == "running" and not (admission.rows or opened or woken) and self._is_held(run, admission, live):
            self._runs.pause(run_id, why=admission.why or _budget_used_up(self._known(run_id)))
        if self._is_over(run_id):
            return self._end(run_id)
        return self._seconds_until_next(
            run, admission, busy=bool(compared or recalled or opened or woken or wrote or admission.rows), live=live
        )

    def _snapshot(self, run: Run) -> RunSnapshot:
        return take_snapshot(self._ledger, run, self._runs.live(run.run_id))

    def _recall(self, snapshot: RunSnapshot) -> int:
        """Take rows back that wait in line; the number of them."""
        waiting: dict[AccountName, list[tuple[LiveRow, str]]] = defaultdict(list)
        for each in snapshot.rows:
            if each.live.kind == "o" and each.live.account and each.in_line:
                waiting[each.live.account].append((each.live, job_id(snapshot.run.run_id, each.live.row)))
        return sum(self._runs.recall(snapshot.run.run_id, account, rows) for account, rows in waiting.items())

    def _wake(self, snapshot: RunSnapshot) -> int:
        """Let rows go on that wait for the run's budget, as far as it has room by now; the number of them."""
        accounts = {each.live.account for each in snapshot.waiting_for_budget if each.live.account}
        total = 0
        for account in sorted(accounts):
            messages, woken = self._ledger.budgets.wake_run(account, snapshot.run.run_id)
            self._send(messages)
            total += woken
        return total

    def _is_held(self, run: Run, admission: Admission, live: int) -> bool:
        """Whether a running run can't go on by itself: its next row does not fit into its budget, nor one that waits.

        Nothing of it is under way then that could give anything back.
        """
        stopped = admission.stopped in ("budget", "price")
        if not (live and run.by_book):
            return stopped and not live
        if not (stopped or run.number("waiting_for_budget")):
            return False
        snapshot = self._snapshot(run)
        going_on, waiting = snapshot.going_on, len(snapshot.waiting_for_budget)
        return going_on == waiting and (stopped if not waiting else not self._wake(snapshot))

    def _stop(self, snapshot: RunSnapshot) -> None:
        """Cancel the rows under way, where their provider can stop jobs; their ends come as those of all rows do."""
        under_way: dict[AccountName, list[str]] = defaultdict(list)
        for each in snapshot.rows:
            if each.live.kind == "o" and each.live.account and each.goes_on:
                under_way[each.live.account].append(job_id(snapshot.run.run_id, each.live.row))
        for account, job_ids in under_way.items():
            self._stop_jobs(account, job_ids)

    def _judged(self, run_id: str) -> Run:
        """The run with its numbers brought up to date; it is paused where too many rows fail."""
        run = self._known(run_id)
        counts = self._snapshot(run).counts()
        run = Run(run_id, {**run.fields, **{name: str(value) for name, value in counts.items()}})
        self._runs.note(run_id, **counts, **_rate(run), trouble="")
        limit, ended = run.options.max_failures, run.ended
        failed = ended["failed"] + ended["unconfirmed"] - run.number("forgiven")
        goes_on = run.state == "running" and run.done < run.number("rows")
        if goes_on and limit and limit.passed_by(failed, run.done):
            why = f"{failed} of {counted(run.done, 'row')} failed, more than --max-failures {limit} allows"
            self._runs.pause(run_id, why=why)
            return self._known(run_id)
        return run

    def _known(self, run_id: str) -> Run:
        run = self._runs.read(run_id)
        if run is None:
            raise LookupError(f"the record of run {run_id} vanished under its feeder")
        return run

    def _is_over(self, run_id: str) -> bool:
        run = self._known(run_id)
        all_fed = run.number("row") > run.number("rows")
        return all_fed and not run.text("pending") and not self._runs.live(run_id)

    def _end(self, run_id: str) -> float:
        run = self._known(run_id)
        self._collector.end_with(run)
        return self._over(run_id, self._finish(self._runs, self._storage, run))

    def _over(self, run_id: str, note: str) -> float:
        self._runs.finish(run_id, note=note[:1000])
        for account in self._ledger.accounts.names():
            self._runs.leave(run_id, account)
        return IDLE_SECONDS

    def _seconds_until_next(self, run: Run, admission: Admission, *, busy: bool, live: int) -> float:
        if admission.rows and not admission.stopped and run.number("row") + admission.rows <= run.number("rows"):
            return 0.0
        if run.state == "paused" and not live:
            return IDLE_SECONDS
        seconds = SOON_SECONDS if busy else min(1.5 * float(run.text("beat") or SOON_SECONDS), SELDOM_SECONDS)
        self._runs.note(run.run_id, beat=seconds)
        return seconds


def _rate(run: Run) -> dict[str, float]:
    """The rate for the run's record [rows a second]: an average in which the latest rows count most."""
    now, begun = time.time(), float(run.fields["created"])
    at, done = float(run.text("rated_at") or begun), run.number("rated_done")
    seconds = max(now - at, 0.001)
    if seconds < SOON_SECONDS:
        return {}
    weight = 1 - math.exp(-seconds / min(RATE_SECONDS, max(now - begun, SOON_SECONDS)))
    rate = float(run.text("rate") or 0)
    rate += weight * ((run.done - done) / seconds - rate)
    return {"rate": round(rate, 3), "rated_at": now, "rated_done": run.done}


def _budget_used_up(run: Run) -> str:
    unit = f" {run.text('budget_currency')}" if run.by_book else ""
    spent, reserved = (f"{exact(max(run.number(name), 0))}{unit}" for name in ("spent", "reserved"))
    open_still = f", {reserved} reserved for rows in doubt" if run.by_book and run.number("reserved") > 0 else ""
    budget = f"{exact(run.options.budget or 0)}{unit}"
    covers = f"the budget of {budget} does not cover the next row: {spent} are spent{open_still}"
    return f"{covers}; resume with a larger --budget"
