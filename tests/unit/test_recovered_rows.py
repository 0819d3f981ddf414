"""Rows of a bulk run were bought, and its ledger went back or was lost: each is counted once, and none bought again."""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import fakeredis
import pytest

from bide.contract import JobResult, JobState
from bide.ledger import AccountName, Verb
from bide.ledger.keys import prefix
from bide.ledger.recovery import TakenUp
from bide.money.book import Sums
from bide.purchases import lost_job
from bide.receipted import by_job
from bide.receipts import LEFT_OUT, Accepted, Intent, Receipt
from tests.unit.bulk_world import ACCOUNT
from tests.unit.paid_run import ROW, WHOLE, PaidRun, pictures

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


@pytest.fixture
def world() -> LostRun:
    """Twenty rows, eight of them alive at once."""
    world = LostRun()
    world.begin_with(pictures(20), budget=2 * WHOLE)
    return world


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


@pytest.mark.parametrize("first", ["nothing", "rows in line", "rows bought", "rows collected"])
def test_the_ledger_went_back(world: LostRun, first: str) -> None:
    """The backup has the run where it was; since then it has fed and bought further rows."""
    if first != "nothing":
        world.feed()
    if first in ("rows bought", "rows collected"):
        world.begin_purchases()
    if first == "rows collected":
        world.come_home()
        world.feed()
        world.feed()
    backup = world.back_up()
    for _ in range(4):
        world.feed()
        world.begin_purchases()
        world.come_home()
    world.feed()
    bought = set(world.begin_purchases()) | set(world.submits)
    assert len(bought) > 8
    world.go_back(backup)
    taken = {job_id for job_id, one in world.recover().items() if one.what == "taken"}
    assert taken
    ends_well(world)


def test_a_statement_had_the_purchases(world: LostRun) -> None:
    """The book has them by that; the budget of the run that went back has them as well, each once."""
    world.feed()
    world.begin_purchases()
    backup = world.back_up()
    world.come_home()
    world.feed()
    world.begin_purchases()
    world.go_back(backup)
    world.recover(reaches=time.time() + 60)
    assert (world.run.number("spent"), world.run.number("reserved")) == (len(world.submits) * ROW, 0)
    ends_well(world)


def test_rows_that_were_claimed_and_not_opened(world: LostRun) -> None:
    """A feeder had died in between when the backup was made."""
    assert world.die_at(2, after=False)
    assert {live.kind for live in world.runs.live("r")} == {"c"}
    backup = world.back_up()
    world.feed()
    world.begin_purchases()
    world.go_back(backup)
    assert {one.what for one in world.recover().values()} == {"taken"}
    assert "o" in {live.kind for live in world.runs.live("r")}
    ends_well(world)


@pytest.mark.parametrize("fed", [False, True])
def test_rows_that_were_bought_at_their_fallback(fed: bool) -> None:
    """The run finds them there, also the rows that it had not come to."""
    world = LostRun()
    fallback = {**SECOND._asdict(), "operation": "images.generation"}
    rows = [{**each, "fallbacks": [{**fallback, "params": each["params"]}]} for each in pictures(6)]
    world.begin_with(rows, budget=WHOLE)
    world.ledger.accounts.pause(ACCOUNT, reason="no credit", by="bide")
    if fed:
        world.feed()
    backup = world.back_up()
    world.feed()
    world.ledger.accounts.sweep(ACCOUNT)
    bought = world.begin_purchases(SECOND)
    assert len(bought) == 6
    world.go_back(backup)
    assert {one.what for one in world.recover().values()} == {"taken"}
    world.ledger.accounts.resume(ACCOUNT)
    ends_well(world, rows=6)


def test_a_run_that_was_canceled_meanwhile(world: LostRun) -> None:
    """An operator canceled the run that went back: what was bought is brought home as jobs of their own."""
    backup = world.back_up()
    world.feed()
    bought = world.begin_purchases()
    world.go_back(backup)
    world.runs.cancel("r")
    for _ in range(5):
        world.feed()
    assert world.run.over
    assert {one.what for one in world.recover().values()} == {"taken"}
    for job_id in bought:
        record = world.ledger.jobs.read(ACCOUNT, job_id)
        assert record
        assert (record.state, record.text("run"), record.text("pid")) == (JobState.RUNNING, "", f"p-{job_id}")
        assert "run:" not in record.text("booked")
    assert world.run.number("spent") == 0
    assert {one.what for one in world.recover().values()} == {"known"}


def test_the_run_is_lost_too(world: LostRun) -> None:
    """Its rows are jobs of their own, and give nothing back to a run of its name that begins later."""
    world.feed()
    bought = world.begin_purchases()
    world.go_back({})
    assert {one.what for one in world.recover().values()} == {"taken"}
    forget_objects(world)
    world.begin_with(pictures(2, metadata={"again": 1}), budget=WHOLE)
    for job_id in bought:
        record = world.ledger.jobs.read(ACCOUNT, job_id)
        assert record
        assert record.text("run") == ""
        assert "run:" not in record.text("booked")
    world.come_home()
    assert (world.run.number("spent"), world.run.number("reserved")) == (0, 0)
    assert sum(world.ledger.books.day(ACCOUNT, datetime.now(UTC).date()).values(), Sums()).spent == len(bought) * ROW


def test_the_run_was_begun_again_before_the_recovery(world: LostRun) -> None:
    """Its caller came again after the loss: the rows that were bought leave the line, and are the run's."""
    world.feed()
    world.begin_purchases()
    world.go_back({})
    forget_objects(world)
    world.begin_with(pictures(20), budget=2 * WHOLE)
    world.feed()
    assert {one.what for one in world.recover().values()} == {"taken"}
    ends_well(world)


def forget_objects(world: LostRun) -> None:
    """The objects of the run are gone, so that another one may have its name."""
    client: Any = world.storage.client
    client.objects.clear()
