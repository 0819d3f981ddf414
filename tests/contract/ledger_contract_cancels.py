"""The ledger's contract about cancels of jobs whose provider can stop them: they go on until that says how they end."""

from __future__ import annotations

import pytest

from bide.contract import FailureCode, JobState
from bide.errors import InvalidRequestError
from bide.ledger.keys import prefix
from tests.contract.ledger_stage import ACCOUNT, ERROR, Crew, Stage

#: How long a job would wait for its first poll [seconds].
FIRST_POLL_SECONDS = 60.0


def cancel(stage: Stage, job_id: str = "a") -> str:
    """The state in which a cancel found the job."""
    return stage.ledger.jobs.cancel(ACCOUNT, job_id, at_provider=True)[0]


def due_seconds(stage: Stage, job_id: str = "a") -> float:
    """In how many seconds the job is polled."""
    return float(stage.server.zscore(f"{prefix(ACCOUNT)}due", job_id) or -1) - stage.clock.now


class CancelsContract:
    """A purchase is stopped, or its result stored; none is made after a cancel."""

    @pytest.mark.parametrize("times", [1, 2])
    def test_a_canceled_submit_is_stopped_by_its_first_poll(self, stage: Stage, times: int) -> None:
        """Which comes at once, and not when the job would be polled first."""
        record, token, attempt = stage.submitting("a")
        assert [cancel(stage) for _ in range(times)] == ["submitting"] * times
        stage.ledger.submits.submitted(
            record, token, attempt=attempt, provider_job_id="p", first_poll_seconds=FIRST_POLL_SECONDS
        )
        assert (stage.state("a"), stage.field("a", "cancel")) == ("running", "canceled")
        assert due_seconds(stage) == pytest.approx(0, abs=0.01)

    def test_a_running_job_is_polled_at_once(self, stage: Stage) -> None:
        """It keeps its state and its place at the provider; a second cancel moves nothing."""
        stage.running("a", first_poll_seconds=FIRST_POLL_SECONDS)
        assert cancel(stage) == "running"
        assert stage.clocks("a") == {"due", "inflight"}
        assert due_seconds(stage) == pytest.approx(0, abs=0.01)
        stage.clock.advance(5)
        assert cancel(stage) == "running"
        assert due_seconds(stage) == pytest.approx(-5, abs=0.01)

    def test_a_result_that_is_stored_stays(self, stage: Stage) -> None:
        """The worker that has it ends the job well."""
        record, token = stage.storing("a")
        assert cancel(stage) == "storing"
        assert stage.ledger.jobs.conclude(record, token, JobState.SUCCEEDED, result="{}")
        assert stage.state("a") == "succeeded"

    def test_a_refused_submit_ends_as_canceled(self, stage: Stage) -> None:
        """For all callers; it takes no place, and stands on no clock once they know."""
        record, token, attempt = stage.submitting("a", idempotency_key="k")
        stage.arrive("b", idempotency_key="k")
        cancel(stage)
        crew = Crew(stage.ledger, stage.clock)
        crew.send(stage.ledger.submits.refused(record, token, attempt=attempt, reason="busy", after_seconds=None))
        assert stage.clocks("a") == {"lease"}
        crew.work()
        assert crew.answers == {"a": "canceled", "b": "canceled"}
        assert (stage.clocks("a"), stage.field("a", "submits")) == (set(), "1")
        found = stage.ledger.jobs.read(ACCOUNT, "a")
        assert found is not None
        assert found.failure.code is FailureCode.CANCELED

    @pytest.mark.parametrize("on_unknown", ["hold", "resubmit"])
    @pytest.mark.parametrize("dies", [False, True])
    def test_a_submit_in_doubt_is_unconfirmed(self, stage: Stage, on_unknown: str, dies: bool) -> None:
        """It is bought no second time, neither by itself nor by an operator; attached, it is stopped."""
        record, token, _ = stage.submitting("a", on_unknown=on_unknown)
        cancel(stage)
        if dies:
            for _ in range(5):
                stage.clock.advance(8)
                stage.ledger.accounts.sweep(ACCOUNT)
        else:
            stage.ledger.jobs.conclude(record, token, JobState.UNCONFIRMED, error=ERROR)
        assert stage.state("a") == "unconfirmed"
        assert cancel(stage) == "unconfirmed"
        with pytest.raises(InvalidRequestError, match="was canceled"):
            stage.ledger.unconfirmed.resubmit(ACCOUNT, "a")
        assert stage.ledger.unconfirmed.attach(ACCOUNT, "a", "p")[0]
        assert (stage.state("a"), stage.field("a", "cancel"), stage.field("a", "submits")) == (
            "running",
            "canceled",
            "1",
        )

    def test_a_job_that_was_never_sent_is_canceled_at_once(self, stage: Stage) -> None:
        """In line, and in the hands of a worker that has not written its intent."""
        stage.open("a")
        record_b = stage.arrive("b", token="t").record
        assert record_b is not None
        assert [cancel(stage, "a"), cancel(stage, "b")] == ["queued", "queued"]
        assert (stage.state("a"), stage.state("b")) == ("canceled", "canceled")
        assert stage.ledger.submits.intend(record_b, "t") == 0
