"""A bulk run whose submits leave receipts, and whose ledger goes back to a backup, or is lost."""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import fakeredis

from bide.contract import JobResult
from bide.ledger import AccountName, Verb
from bide.ledger.keys import prefix
from bide.ledger.recovery import TakenUp
from bide.purchases import lost_job
from bide.receipted import by_job
from bide.receipts import LEFT_OUT, Accepted, Intent, Receipt
from tests.unit.bulk_world import ACCOUNT
from tests.unit.paid_run import ROW, PaidRun

SECOND = AccountName("photogpt", "second")


class LostRun(PaidRun):
    """Its submits leave receipts, and its ledger may go back, or be lost."""

    def __init__(self) -> None:
        self.receipts: list[Receipt] = []
        self.stored: dict[str, JobResult] = {}
        self.submits: Counter[str] = Counter()
        super().__init__(fakeredis.FakeRedis(decode_responses=True, version=(7,)))

    def intend(self, record: Any, token: str) -> bool:
        if not super().intend(record, token):
            return False
        kept = self.ledger.jobs.copy_of(record)
        fields = {name: value for name, value in kept.fields.items() if name not in LEFT_OUT}
        attempt = self._attempt(record.job_id)
        self.receipts.append(Intent(**attempt, record=fields, request=kept.request_json, signature=kept.signature))
        self.submits[record.job_id] += 1
        return True

    def begin_purchases(self, account: AccountName = ACCOUNT) -> list[str]:
        """Workers submit what is let in, and the provider accepts; the jobs are under way there."""
        begun = set(self.held)
        self.ledger.accounts.admit(account)
        for job_id in map(str, self.server.zrange(f"{prefix(account)}lease", 0, -1)):
            token = f"t-{job_id}-{sum(self.submits.values())}"
            step = self.ledger.jobs.step(job_id, account, token=token)
            if step.verb is Verb.SUBMIT and step.record:
                self.intend(step.record, token)
            elif step.verb is Verb.ANSWER:
                self.ledger.jobs.answered(account, job_id)
        new = sorted(self.held.keys() - begun)
        for job_id in new:
            record, token, attempt = self.held[job_id]
            pid = f"p-{job_id}"
            self.receipts.append(Accepted(**self._attempt(job_id), provider_job_id=pid))
            self.ledger.submits.submitted(record, token, attempt=attempt, provider_job_id=pid)
        return new

    def _attempt(self, job_id: str) -> dict[str, Any]:
        record, _, attempt = self.held[job_id]
        return {
            "ledger": "l",
            "job_id": job_id,
            "account": str(record.account),
            "attempt": attempt,
            "at": time.time(),
        }

    def back_up(self) -> dict[str, Any]:
        """All that the ledger has."""
        return {str(key): (max(self.server.pttl(key), 0), self.server.dump(key)) for key in self.server.scan_iter()}

    def go_back(self, backup: dict[str, Any]) -> None:
        """The ledger is lost, and has what a backup had."""
        self.server.flushall()
        self.held.clear()
        for key, (kept, value) in backup.items():
            if not key.endswith(":feeder"):
                self.server.restore(key, kept, value)

    def recover(self, *, reaches: float = 0.0) -> dict[str, TakenUp]:
        """What becomes of each job that a receipt names. `reaches`: when the last statement was written."""
        jobs = by_job(self.receipts)
        day = datetime.now(UTC).date().isoformat()
        written = {(day, str(each)): str(reaches) for each in (ACCOUNT, SECOND)}
        return {
            job_id: self.ledger.recovery.take_up(lost_job(found, self.stored.get(job_id), reaches=written))
            for job_id, found in jobs.items()
        }

    def come_home(self) -> None:
        """The provider is done with all that is under way, and its results are stored."""
        for account in (ACCOUNT, SECOND):
            for job_id in map(str, self.server.zrange(f"{prefix(account)}due", 0, -1)):
                self.stored[job_id] = JobResult(
                    job_id=job_id,
                    provider=account.provider,
                    operation="images.generation",
                    provider_job_id=f"p-{job_id}",
                    polls=1,
                    finished_at=datetime.now(UTC),
                    outputs=(),
                )
                self._finish(prefix(account), "due", job_id, "")

    def to_its_end(self) -> None:
        """Feeder and workers do all that there is to do."""
        for _ in range(100):
            if self.run.over:
                return
            self.feed()
            for account in (ACCOUNT, SECOND):
                self.ledger.accounts.admit(account)
                self.begin_purchases(account)
            self.come_home()
        raise AssertionError(self.run.fields)


def ends_well(world: LostRun, rows: int = 20) -> None:
    """Each row was bought once, and is counted once; the budget has each purchase."""
    assert {one.what for one in world.recover().values()} <= {"known", "run"}
    world.to_its_end()
    assert world.states() == ["succeeded"] * rows
    assert set(world.submits.values()) == {1}
    assert len(world.submits) == rows
    assert (world.run.number("spent"), world.run.number("reserved")) == (rows * ROW, 0)
    assert world.run.number("succeeded") == rows
    assert {one.what for one in world.recover().values()} <= {"known", "run"}


def forget_objects(world: LostRun) -> None:
    """The objects of the run are gone, so that another one may have its name."""
    client: Any = world.storage.client
    client.objects.clear()
