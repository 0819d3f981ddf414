"""What a submit step returns, and says, of a job that does not end as it was to: canceled, taken over, unconfirmed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from bide.contract import FailureCode, JobState
from bide.errors import SubmissionUnknownError
from bide.ledger import Messages, Verb
from config.settings import load
from tasks.steps.fail import OTHERWISE, fail
from tasks.steps.outcome import Caller, Fail, Ignore, Outcome, Suspend
from tasks.steps.submit import submit
from tests.contract.ledger_contract_submits import intended_again
from tests.contract.ledger_stage import ACCOUNT, CREATED, ERROR, Stage, taken
from workers.accounts import Accounts
from workers.services.budgets import Budgets
from workers.services.learner import Learner
from workers.services.poll_timings import PollTimings
from workers.services.receipt_writer import NoReceipts
from workers.telemetry.step_log import StepLog


class Tools:
    """As much of a toolbox as a submit takes; its provider never answers, and `meanwhile` happens instead."""

    def __init__(self, stage: Stage, meanwhile: Callable[[], object] = lambda: None) -> None:
        self.settings = load({"BIDE_S3__BUCKET": "results", "BIDE_PROVIDERS__PHOTOGPT__API_KEY": "key"}, env_file=None)
        self.ledger, self.accounts = stage.ledger, Accounts(self.settings)
        self.poll_timings = PollTimings(self.accounts, Learner(stage.ledger))
        self.budgets = Budgets(self.settings)
        self.http, self.event_loop, self.leases, self.dispatcher = self, self, self, self
        self.receipts = NoReceipts()
        self.store_check = SimpleNamespace(wait=lambda: "")
        self.meanwhile = meanwhile
        self.sent: list[Messages] = []

    @contextmanager
    def renewing(self, *_: Any) -> Iterator[Any]:
        yield SimpleNamespace(check=lambda: None)

    def call(self, call: object, *, buys: bool) -> bool:
        return buys

    def run(self, buys: bool) -> None:
        assert buys
        self.meanwhile()
        raise SubmissionUnknownError("no answer")

    def send(self, messages: Messages) -> None:
        self.sent.append(messages)


def unanswered(stage: Stage, meanwhile: Callable[[], object] = lambda: None, **request: Any) -> tuple[Outcome, StepLog]:
    """The outcome of a submit whose answer is lost, and its line."""
    step = stage.arrive("a", token="t", **request)
    tools: Any = Tools(stage, meanwhile)
    with StepLog("job.step") as line:
        outcome = submit(tools, taken(step, Verb.SUBMIT), "t", now=step.now)
    return outcome, line


def test_a_job_that_is_submitted_again_says_so(stage: Stage) -> None:
    """As its request allows."""
    outcome, line = unanswered(stage, on_unknown="resubmit")
    assert isinstance(outcome, Suspend)
    assert line.facts["outcome"] == "submit_again"


def test_a_job_that_was_canceled_meanwhile_is_not_submitted_again(stage: Stage) -> None:
    """An operator who reads the log would look for a submit that never comes."""
    outcome, line = unanswered(stage, lambda: stage.ledger.jobs.cancel(ACCOUNT, "a"), on_unknown="resubmit")
    assert isinstance(outcome, Suspend)
    assert line.facts["outcome"] == "lease_lost"


def test_an_unconfirmed_job_is_answered(stage: Stage) -> None:
    """The caller's task fails with what happened."""
    outcome, _ = unanswered(stage)
    assert isinstance(outcome, Fail)
    assert outcome.failure.code is FailureCode.SUBMISSION_UNKNOWN
    assert outcome.caller == Caller(ACCOUNT, "a", created=CREATED)


def test_a_failure_after_an_unconfirmed_submit_is_unconfirmed(stage: Stage) -> None:
    """With code and reason; its caller hears of it by the message that the ledger has under way."""
    record, token, _ = stage.submitting("a", on_unknown="resubmit")
    stage.ledger.jobs.conclude(record, token, JobState.UNCONFIRMED, error=ERROR)
    second = intended_again(stage, "a", "t2")
    tools: Any = Tools(stage)

    with StepLog("job.step") as line:
        outcome = fail(tools, second, "t2", FailureCode.REJECTED, "no credit", attempt=2)

    assert outcome == Ignore("unconfirmed")
    assert line.level == "warning"
    assert line.facts == {"outcome": "unconfirmed", "code": "submission_unknown", "reason": "no credit"}
    assert stage.state("a") == "unconfirmed"


def test_a_failure_of_another_workers_job_is_a_lost_lease(stage: Stage) -> None:
    """Its line says `lease_lost`, and nothing is sent for it."""
    record, _, _ = stage.submitting("a")
    doubles = Tools(stage)
    tools: Any = doubles
    with StepLog("job.step") as line:
        outcome = fail(tools, record, "stranger", FailureCode.REJECTED, "no")
    assert outcome == Ignore("lease_lost")
    assert (line.level, line.facts) == ("warning", {"outcome": "lease_lost"})
    assert doubles.sent == []


def test_each_way_to_end_otherwise_has_a_word() -> None:
    """All but the one that is true."""
    assert all(not concluded for concluded in OTHERWISE)
    assert len(OTHERWISE) == len(type(next(iter(OTHERWISE)))) - 1
