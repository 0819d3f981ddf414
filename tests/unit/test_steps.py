"""Steps are functions from a record or a message to an outcome: followers, messages without a step, lost leases."""

from __future__ import annotations

from typing import Any, NoReturn

import pytest

from bide.contract import FailureCode, JobState
from bide.errors import LedgerAwayError
from bide.ledger import Messages, Record, Step, Verb
from tasks.steps.answer import answer, follow
from tasks.steps.enter import Message
from tasks.steps.no_step import no_step
from tasks.steps.outcome import Answer, Caller, Fail, Ignore, Suspend
from tests.contract.ledger_stage import ACCOUNT, CREATED, ERROR, Stage
from workers.services.dispatcher import ACCOUNT_HEADER
from workers.telemetry.step_log import StepLog


class Tools:
    """A toolbox with a ledger alone."""

    def __init__(self, stage: Stage) -> None:
        self.ledger = stage.ledger


def read(stage: Stage, job_id: str) -> Record:
    """The job's record."""
    record = stage.ledger.jobs.read(ACCOUNT, job_id)
    assert record is not None
    return record


def test_a_job_that_succeeded_is_answered_with_its_result(stage: Stage) -> None:
    """As it stands in the record, to the job's own caller."""
    stage.finished("a")
    assert answer(read(stage, "a")) == Answer({}, Caller(ACCOUNT, "a", created=CREATED))


def test_a_job_that_failed_fails_its_caller(stage: Stage) -> None:
    """With the failure of the record; the step's line has its code."""
    record, token, _ = stage.submitting("a")
    assert stage.ledger.jobs.conclude(record, token, JobState.FAILED, error=ERROR)
    with StepLog("job.step") as line:
        outcome = answer(read(stage, "a"))
    assert isinstance(outcome, Fail)
    assert (outcome.failure.code, outcome.caller) == (FailureCode.REJECTED, Caller(ACCOUNT, "a", created=CREATED))
    assert (line.facts["outcome"], line.facts["code"]) == ("answered", "rejected")


def test_a_follower_waits_for_its_leader(stage: Stage) -> None:
    """No message is sent for it: the leader's end sends one."""
    stage.running("leader")
    tools: Any = Tools(stage)
    assert follow(tools, Message("follower"), ACCOUNT, "leader") == Suspend(Messages())


def test_a_follower_gets_its_leaders_result(stage: Stage) -> None:
    """The ledger is to note which state of the leader the follower heard of."""
    stage.finished("leader")
    tools: Any = Tools(stage)
    outcome = follow(tools, Message("follower"), ACCOUNT, "leader")
    assert outcome == Answer({}, Caller(ACCOUNT, "follower", "leader", "succeeded"))


@pytest.mark.parametrize(("state", "code"), [("RETRY", FailureCode.SUBMISSION_UNKNOWN), ("SUCCESS", None)])
def test_a_follower_whose_leader_is_gone_hears_what_is_known(stage: Stage, state: str, code: str | None) -> None:
    """A caller that waits hears that the record is lost; the result of one that has its answer stays."""
    tools: Any = Tools(stage)
    outcome = follow(tools, Message("follower", result_state=lambda: state), ACCOUNT, "leader")
    assert getattr(getattr(outcome, "failure", None), "code", None) == code


def test_another_request_with_the_same_key_fails() -> None:
    """Its own result says so; no job of the ledger is concerned."""
    outcome = no_step(Message("b"), Step(Verb.CONFLICT, other="a"))
    assert isinstance(outcome, Fail)
    assert (outcome.failure.code, outcome.caller) == (FailureCode.INVALID_REQUEST, None)
    assert outcome.failure.message.startswith("idempotency_key")


def test_another_request_with_the_same_id_changes_no_result() -> None:
    """The result belongs to the known job; the message's own error callbacks hear of the refusal."""
    outcome = no_step(Message("a"), Step(Verb.CONFLICT, other="a"))
    assert isinstance(outcome, Ignore)
    assert outcome.refusal is not None
    assert outcome.refusal.message.startswith("id: belongs to another job")


@pytest.mark.parametrize(
    ("state", "headers", "code"),
    [
        ("PENDING", {}, FailureCode.INVALID_REQUEST),
        ("PENDING", {ACCOUNT_HEADER: "photogpt/default"}, None),
        ("RETRY", {}, FailureCode.SUBMISSION_UNKNOWN),
        ("SUCCESS", {}, None),
    ],
)
def test_a_message_without_request_and_record(state: str, headers: dict[str, str], code: FailureCode | None) -> None:
    """Only a job that never began is surely not bought; a caller in RETRY has lost its record."""
    message = Message("a", headers=headers, result_state=lambda: state)
    outcome = no_step(message, Step(Verb.MISSING))
    if code is None:
        assert outcome == Ignore("no_record")
    else:
        assert isinstance(outcome, Fail)
        assert (outcome.failure.code, outcome.caller) == (code, None)


def test_a_result_backend_that_is_away_is_waited_for() -> None:
    """Whether a job of that id ever began is not known: the message comes again."""

    def away() -> NoReturn:
        raise ConnectionError("away")

    with pytest.raises(LedgerAwayError):
        no_step(Message("a", result_state=away), Step(Verb.MISSING))


def test_a_late_message_is_ignored_with_the_state_of_its_job() -> None:
    """Another message came before: the line says where the job stands."""
    with StepLog("job.step") as line:
        assert no_step(Message("a"), Step(Verb.STALE, other="running")) == Ignore("stale")
    assert (line.level, line.facts) == ("info", {"outcome": "ignored", "state": "running"})
