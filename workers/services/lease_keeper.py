"""Keeps the leases and claims of a process alive while it works on them, from a thread that no step can delay."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from bide.errors import LeaseLostError, LedgerAwayError
from bide.ledger import AccountName, Ledger, Record

log = structlog.get_logger()


class Lease:
    """One step's right to its job."""

    def __init__(self, account: AccountName, job_id: str, token: str) -> None:
        self.account, self.job_id, self.token = account, job_id, token
        self.lost = False

    def check(self) -> None:
        """Raise `LeaseLostError` if another worker has the job by now."""
        if self.lost:
            raise LeaseLostError(f"job {self.job_id}: the lease passed on")


class LeaseKeeper:
    """Renews each lease and claim three times within a lease's length."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._leases: dict[str, Lease] = {}
        self._claims: list[tuple[AccountName, set[str]]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="leases", daemon=True)
        self._thread.start()

    @contextmanager
    def renewing(self, record: Record, token: str) -> Iterator[Lease]:
        """Renew the lease that `jobs.step` gave, for as long as the block runs."""
        lease = self._leases[token] = Lease(record.account, record.job_id, token)
        try:
            yield lease
        finally:
            del self._leases[token]

    @contextmanager
    def claiming(self, account: AccountName, job_ids: set[str]) -> Iterator[None]:
        """Renew the claims that `polls.claim` gave; an id is taken out of the set before its poll is recorded."""
        self._claims.append((account, job_ids))
        try:
            yield
        finally:
            self._claims.remove((account, job_ids))

    def stop(self) -> None:
        """End the thread; leases and claims run out by themselves."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(self._ledger.timing.lease_seconds / 3):
            self._renew()

    def _renew(self) -> None:
        by_account: dict[AccountName, list[Lease]] = defaultdict(list)
        for lease in list(self._leases.values()):
            by_account[lease.account].append(lease)
        for account, leases in by_account.items():
            with _going_on(account):
                lost = set(self._ledger.jobs.renew_leases(account, [(lease.job_id, lease.token) for lease in leases]))
                for lease in leases:
                    lease.lost = lease.job_id in lost
        for account, job_ids in list(self._claims):
            with _going_on(account):
                if waiting := list(job_ids):
                    self._ledger.polls.reclaim(account, waiting)


@contextmanager
def _going_on(account: AccountName) -> Iterator[None]:
    """Whatever happens to one account, the thread lives and renews the others."""
    try:
        yield
    except LedgerAwayError as error:
        log.warning("leases.renewal_failed", account=str(account), reason=str(error))
    except Exception:
        log.exception("leases.broke", account=str(account))
