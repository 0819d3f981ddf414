"""A canceled run has its rows under way stopped where the provider can; what is made all the same comes home."""

from __future__ import annotations

import time

import pytest

from bide.bulk.names import job_id
from bide.bulk.record import Options
from bide.contract import JobState
from bide.errors import SubmissionUnknownError
from bide.ledger import Verb
from bide.ledger.keys import prefix
from bide.providers import installed
from tests.unit.atelier import ACCOUNT, BASE, Atelier, Killed, PlainAtelierAdapter, atelier
from tests.unit.bulk_world import World

__all__ = ["atelier"]

WORKS = f"{BASE}/works"


class Run(World):
    """A run of six rows, each of which the provider knows by its number."""

    def __init__(self, atelier: Atelier) -> None:
        super().__init__(atelier.server)
        self.atelier, self.ledger = atelier, atelier.ledger
        atelier.clock.now = time.time()
        self.stop = atelier.canceler.stop
        self.feeder = self.new_feeder()
        paint = {"provider": "atelier", "operation": "paint"}
        self.begin([{**paint, "params": {"motif": f"fox {row}"}} for row in range(1, 7)], Options(window=6))
        self.feed()

    def buy(self, row: int) -> None:
        """A worker submits a row."""
        self.atelier.reply("POST", WORKS, {"id": str(row)})
        self.atelier.reply("GET", f"{WORKS}/{row}", {"state": "painting"})
        self.atelier.again(job_id("r", row))

    def answer(self, row: int) -> None:
        """A worker stores the result of a row, or finds its end; it has no caller of its own."""
        step = self.ledger.jobs.step(job_id("r", row), ACCOUNT, token=f"t3-{row}")
        if step.verb is Verb.STORE:
            assert step.record
            self.ledger.jobs.conclude(step.record, f"t3-{row}", JobState.SUCCEEDED, result='{"outputs": []}')
        self.ledger.jobs.answered(ACCOUNT, job_id("r", row))

    def state(self, row: int) -> str:
        return self.atelier.record(job_id("r", row)).text("state")

    def asked_to_stop(self) -> list[str]:
        return [url for method, url in self.atelier.calls if method == "PUT"]


@pytest.fixture
def run(atelier: Atelier) -> Run:
    """The run before its first purchase."""
    return Run(atelier)


def test_rows_under_way_are_stopped(run: Run) -> None:
    """One is stopped, one is made all the same, one was made already; the others, let in by now, are never bought."""
    world = run.atelier
    for row in (1, 2, 3):
        run.buy(row)
    world.reply("PUT", f"{WORKS}/1/cancel", {"canceled": "stopped"})
    world.reply("PUT", f"{WORKS}/2/cancel", {"canceled": "requested"})
    world.reply("GET", f"{WORKS}/3", {"state": "done", "pictures": ["https://cdn.example/3.png"]})
    world.replies["GET", f"{WORKS}/3"].pop(0)
    world.poll()
    assert [run.state(row) for row in (1, 2, 3)] == ["running", "running", "storing"]
    assert run.runs.cancel("r")
    run.feed()
    run.feed()
    world.poll(after_seconds=0)
    assert run.asked_to_stop() == [f"{WORKS}/{row}/cancel" for row in (1, 2)]
    world.reply("GET", f"{WORKS}/2", {"state": "done", "pictures": ["https://cdn.example/2.png"]})
    world.poll()
    for row in range(1, 7):
        run.answer(row)
    for _ in range(5):
        run.feed()
    assert run.states() == ["canceled", "succeeded", "succeeded", "canceled", "canceled", "canceled"]
    assert (run.summary()["state"], world.purchases()) == ("canceled", 3)


def test_a_feeder_that_dies_is_followed(run: Run) -> None:
    """Half of the rows are canceled when it dies: another feeder cancels the others, and none twice."""
    named: list[list[str]] = []

    def mortal(_: object, job_ids: list[str]) -> None:
        named.append(job_ids)
        run.atelier.canceler.stop(ACCOUNT, job_ids[: len(job_ids) // 2])
        raise Killed

    for row in (1, 2):
        run.buy(row)
    run.runs.cancel("r")
    run.stop = mortal
    run.feeder = run.new_feeder()
    with pytest.raises(Killed):
        run.feed()
    run.server.delete("bide:run:r:feeder")  # its lease has run out
    run.stop = lambda _, job_ids: named.append(job_ids)
    run.feeder = run.new_feeder()
    run.feed()
    assert named == [[f"r.{row}" for row in range(1, 7)], [f"r.{row}" for row in range(4, 7)]]


def test_a_row_whose_purchase_is_in_doubt_stays_unconfirmed(run: Run) -> None:
    """It is on the operators' list, and nothing says that it was not bought."""
    run.atelier.fail("POST", WORKS, SubmissionUnknownError("no answer"))
    run.atelier.again("r.1")
    run.runs.cancel("r")
    run.feed()
    assert (run.state(1), run.atelier.purchases()) == ("unconfirmed", 1)


def test_rows_of_a_provider_that_can_stop_nothing_come_home(run: Run) -> None:
    """They are charged in any case."""
    installed()["atelier"] = PlainAtelierAdapter()
    run.atelier.configure()
    run.buy(1)
    run.runs.cancel("r")
    run.feed()
    assert (run.state(1), run.atelier.record("r.1").text("cancel")) == ("running", "")
    run.atelier.reply("GET", f"{WORKS}/1", {"state": "done", "pictures": ["https://cdn.example/1.png"]})
    run.atelier.replies["GET", f"{WORKS}/1"].pop(0)
    run.atelier.poll()
    assert (run.state(1), run.asked_to_stop()) == ("storing", [])


def test_a_row_whose_record_another_version_wrote_is_left_alone(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """It goes on, and the log says why it was not canceled."""
    run.buy(1)
    run.atelier.server.hset(f"{prefix(ACCOUNT)}job:{job_id('r', 1)}", "v", "9")
    run.atelier.canceler.stop(ACCOUNT, [job_id("r", 1)])
    assert run.state(1) == "running"
    printed = capsys.readouterr().out
    assert ("cancel.other_version" in printed, "job.canceled" in printed) == (True, False)
