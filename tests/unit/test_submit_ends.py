"""What a submit's line says of a job that does not end as it was to: canceled, taken over, or in doubt from before."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import fakeredis
import pytest
from celery.exceptions import Ignore

from bide.contract import FailureCode, JobState
from bide.errors import JobFailed, LeaseLostError
from bide.ledger import Record
from tasks.steps.submit import OTHERWISE, _Purchase, end
from tests.contract.ledger_contract_submits import intended_again
from tests.contract.ledger_stage import ACCOUNT, ERROR, Clock, Stage
from workers.telemetry.step_log import StepLog


@pytest.fixture
def stage() -> Stage:
    """A ledger in memory."""
    return Stage(fakeredis.FakeRedis(decode_responses=True, version=(7,)), Clock())


def tools_of(stage: Stage) -> Any:
    """As much of a worker's toolbox as an end needs."""
    return SimpleNamespace(ledger=stage.ledger, dispatcher=SimpleNamespace(send=lambda _: None))


def unanswered(stage: Stage, record: Record, token: str) -> StepLog:
    """A submit whose answer was lost; its line."""
    purchase = _Purchase.__new__(_Purchase)  # without what it would send: it has been sent
    purchase._tools, purchase._record, purchase._token = tools_of(stage), record, token
    with StepLog("job.step") as line:
        purchase._unknown("no answer")
    return line


def test_a_job_that_is_submitted_again_says_so(stage: Stage) -> None:
    """As its request allows."""
    record, token, _ = stage.submitting("a", on_unknown="resubmit")
    assert unanswered(stage, record, token).facts["outcome"] == "submit_again"


def test_a_job_that_was_canceled_meanwhile_is_not_submitted_again(stage: Stage) -> None:
    """Whoever reads the log would look for a submit that never comes."""
    record, token, _ = stage.submitting("a", on_unknown="resubmit")
    stage.ledger.cancel(ACCOUNT, "a")
    assert unanswered(stage, record, token).facts["outcome"] == "lease_lost"


def test_a_job_in_doubt_is_told(stage: Stage) -> None:
    """The caller's task fails with what happened."""
    record, token, _ = stage.submitting("a")
    with pytest.raises(JobFailed, match="submission_unknown"):
        unanswered(stage, record, token)


def test_a_failure_after_a_doubt_is_unconfirmed(stage: Stage) -> None:
    """With code and reason; its caller hears of it by the message that the ledger has under way."""
    record, token, _ = stage.submitting("a", on_unknown="resubmit")
    stage.ledger.conclude(record, token, JobState.UNCONFIRMED, error=ERROR)
    second = intended_again(stage, "a", "t2")

    with StepLog("job.step") as line:
        error = end(tools_of(stage), second, "t2", FailureCode.REJECTED, "no credit", 2)

    assert isinstance(error, Ignore)
    assert line.level == "warning"
    assert line.facts == {"outcome": "unconfirmed", "code": "submission_unknown", "reason": "no credit"}
    assert stage.state("a") == "unconfirmed"


def test_a_failure_of_somebody_elses_job_is_a_lost_lease(stage: Stage) -> None:
    """Its line says `lease_lost`, by whoever catches this."""
    record, _, _ = stage.submitting("a")
    assert isinstance(end(tools_of(stage), record, "stranger", FailureCode.REJECTED, "no"), LeaseLostError)


def test_each_way_to_end_otherwise_has_a_word() -> None:
    """All but the one that is true."""
    assert all(not came for came in OTHERWISE)
    assert len(OTHERWISE) == len(type(next(iter(OTHERWISE)))) - 1
