"""The thread that renews leases and claims outlives whatever happens to one account."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from bide.errors import LeaseLostError, LedgerAwayError
from bide.ledger import AccountName, Timing
from workers.services.lease_keeper import LeaseKeeper

BAD, GOOD = AccountName("photogpt", "bad"), AccountName("photogpt", "good")


class Ledger:
    """Stands for a ledger that fails for one account; says when it has renewed and reclaimed twice for the other."""

    timing = Timing(lease_seconds=0.03)

    def __init__(self, error: Exception) -> None:
        self._error = error
        self.jobs = self.polls = self
        self.renewed, self.reclaimed = threading.Semaphore(0), threading.Semaphore(0)

    def renew_leases(self, account: AccountName, leases: list[tuple[str, str]]) -> list[str]:
        self._fail(account)
        self.renewed.release()
        return [job_id for job_id, token in leases if token == "stale"]

    def reclaim(self, account: AccountName, job_ids: list[str]) -> None:
        self._fail(account)
        self.reclaimed.release()

    def _fail(self, account: AccountName) -> None:
        if account == BAD:
            raise self._error


@pytest.fixture(params=[LedgerAwayError("away"), RuntimeError("unforeseen")], ids=["away", "broken"])
def ledger(request: pytest.FixtureRequest) -> Ledger:
    """One that fails for the account BAD."""
    return Ledger(request.param)


@pytest.fixture
def keeper(ledger: Any) -> Iterator[LeaseKeeper]:
    """A keeper whose thread ends with the test."""
    made = LeaseKeeper(ledger)
    yield made
    made.stop()


def record(account: AccountName) -> Any:
    """As much of a record as a lease needs."""
    return SimpleNamespace(account=account, job_id=f"job of {account}")


def test_a_failing_account_stops_nothing(ledger: Ledger, keeper: LeaseKeeper) -> None:
    """The others' leases and claims are renewed in the same turn and in the next ones."""
    with (
        keeper.renewing(record(BAD), "t1") as bad,
        keeper.renewing(record(GOOD), "t2") as good,
        keeper.claiming(BAD, {"j1"}),
        keeper.claiming(GOOD, {"j2"}),
    ):
        assert all(ledger.renewed.acquire(timeout=5) for _ in range(3))
        assert all(ledger.reclaimed.acquire(timeout=5) for _ in range(3))
        bad.check()
        good.check()


def test_a_lost_lease_is_reported(ledger: Ledger, keeper: LeaseKeeper) -> None:
    """The step that holds it must stop."""
    with keeper.renewing(record(GOOD), "stale") as lease:
        assert all(ledger.renewed.acquire(timeout=5) for _ in range(2))
        with pytest.raises(LeaseLostError):
            lease.check()
