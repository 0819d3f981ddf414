"""The ledger's contract about jobs of which an earlier submit turns out accepted: they are not bought once more."""

from __future__ import annotations

import pytest

from bide.contract import JobState
from bide.ledger import Concluded, Polled, Record
from bide.ledger.timeline import money
from bide.ledger.unconfirmed import remarks
from tests.contract.ledger_contract_submits import intended_again, waiting_again
from tests.contract.ledger_stage import ACCOUNT, ERROR, Crew, Stage

LOST = '{"code":"lost","message":"gone","job_id":""}'


class PurchasesContract:
    """Attempt 1 is unconfirmed, attempt 2 under way, and then comes the provider's id of attempt 1."""

    @pytest.mark.parametrize("end", ["refused", "failed", "unconfirmed", "died"])
    @pytest.mark.parametrize("by", ["request", "operator"])
    def test_a_known_purchase_is_not_made_again(self, stage: Stage, end: str, by: str) -> None:
        """A job whose second submit is not accepted is polled as the first purchase, to its end."""
        record, token, second = accepted_late(stage, by)
        if end == "refused":
            stage.ledger.submits.refused(second, "t2", attempt=2, reason="429", after_seconds=None)
        elif end == "died":
            stage.ledger.accounts.sweep(ACCOUNT)
            stage.clock.advance(60)
            stage.ledger.accounts.sweep(ACCOUNT)
            stage.clock.advance(9)
            stage.ledger.accounts.sweep(ACCOUNT)
            stage.clock.advance(9)
            stage.ledger.accounts.sweep(ACCOUNT)
        else:
            came_to = stage.ledger.jobs.conclude(second, "t2", JobState(end), error=ERROR, attempt=2)
            assert (came_to, bool(came_to)) == (Concluded.BOUGHT, False)
        assert (stage.state("a"), stage.field("a", "pid"), stage.field("a", "other_pid")) == ("running", "p1", "")
        assert stage.clocks("a") == {"due", "inflight"}
        stage.ledger.submits.submitted(record, token, attempt=1, provider_job_id="p1")
        assert stage.field("a", "other_pid") == "", "it is the same purchase"

        crew = Crew(stage.ledger, stage.clock)
        for _ in range(4):
            stage.clock.advance(5)
            crew.sweep()
            crew.work()
        assert (crew.answers, stage.field("a", "submits")) == ({"a": "succeeded"}, "2")

    def test_the_second_may_be_accepted_after_all(self, stage: Stage) -> None:
        """A second submit that turns out accepted has its id kept beside the first, even after the job's end."""
        _, _, second = accepted_late(stage, "request")
        stage.ledger.jobs.conclude(second, "t2", JobState.UNCONFIRMED, error=ERROR)
        stage.ledger.submits.submitted(second, "t2", attempt=2, provider_job_id="p2")
        assert (stage.field("a", "pid"), stage.field("a", "other_pid")) == ("p1", "p2")
        stage.ledger.jobs.cancel(ACCOUNT, "a")
        stage.ledger.submits.submitted(second, "t2", attempt=2, provider_job_id="p3")
        assert (stage.field("a", "pid"), stage.field("a", "other_pid")) == ("p1", "p2 p3")

    def test_every_id_is_kept(self, stage: Stage) -> None:
        """Three accepted submits of a job leave three ids, which operators see."""
        record, token, second = accepted_late(stage, "request", pid="")
        stage.ledger.jobs.conclude(second, "t2", JobState.UNCONFIRMED, error=ERROR)
        stage.ledger.jobs.answered(ACCOUNT, "a")
        stage.ledger.unconfirmed.resubmit(ACCOUNT, "a")
        third = intended_again(stage, "a", "t3")
        for _ in range(2):
            stage.ledger.submits.submitted(record, token, attempt=1, provider_job_id="p1")
            stage.ledger.submits.submitted(second, "t2", attempt=2, provider_job_id="p2")
        stage.ledger.submits.submitted(third, "t3", attempt=3, provider_job_id="p3")
        found = stage.ledger.jobs.read(ACCOUNT, "a")
        assert found is not None
        assert money(found) == "bought 3 times, as p3 and p1 and p2"
        assert "other purchases of it have the ids p1 and p2" in remarks(found)
        assert stage.ledger.unconfirmed.holders(ACCOUNT, ["p1", "p2", "p3", "p4"]) == {
            "p1": "a",
            "p2": "a",
            "p3": "a",
        }

    def test_of_several_known_purchases_one_goes_on(self, stage: Stage) -> None:
        """A job with two known purchases goes on as the first; the second's id is kept."""
        record, token, second = accepted_late(stage, "request", pid="")
        stage.ledger.jobs.conclude(second, "t2", JobState.UNCONFIRMED, error=ERROR)
        stage.ledger.unconfirmed.resubmit(ACCOUNT, "a")
        third = intended_again(stage, "a", "t3")
        stage.ledger.submits.submitted(record, token, attempt=1, provider_job_id="p1")
        stage.ledger.submits.submitted(second, "t2", attempt=2, provider_job_id="p2")
        stage.ledger.submits.refused(third, "t3", attempt=3, reason="429", after_seconds=None)
        assert (stage.field("a", "pid"), stage.field("a", "other_pid")) == ("p1", "p2")

    def test_an_attached_id_that_is_wrong_gives_way_to_one_that_is_known(self, stage: Stage) -> None:
        """An attached id that the provider does not know gives way to the id that came late."""
        record, token, attempt = stage.unconfirmed("a")
        stage.ledger.unconfirmed.attach(ACCOUNT, "a", "p-9")
        stage.ledger.submits.submitted(record, token, attempt=attempt, provider_job_id="p-true")
        hints = stage.ledger.polls.record(ACCOUNT, [Polled("a", "failed", value=LOST, note="lost")]).hints
        assert (hints, stage.clocks("a"), stage.field("a", "pid")) == ((), {"due", "inflight"}, "p-true")
        stage.ledger.polls.record(ACCOUNT, [Polled("a", "failed", value=LOST, note="lost")])
        assert stage.state("a") == "failed"


def accepted_late(stage: Stage, by: str, *, pid: str = "p1") -> tuple[Record, str, Record]:
    """A job whose second submit is under way; the first one's record and token, the second's record."""
    record, token, _ = waiting_again(stage, by)
    second = intended_again(stage, "a", "t2")
    if pid:
        stage.ledger.submits.submitted(record, token, attempt=1, provider_job_id=pid)
        assert stage.field("a", "other_pid") == pid
    return record, token, second
