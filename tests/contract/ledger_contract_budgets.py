"""The ledger's contract about budgets: who is let through, who fails, and who waits until when."""

from __future__ import annotations

from typing import Any

import pytest

from bide.contract import FailureCode, JobState
from bide.errors import OverBudgetError
from bide.ledger import AccountName, Limits, Record, Verb
from bide.money.budgets import Budget
from tests.contract.ledger_contract_money import FREE_OF_CHARGE, PRICE, book
from tests.contract.ledger_stage import ACCOUNT, ERROR, Stage, taken

#: Room for two purchases in a day.
DAY = Budget("day", 80_000, "USD", per="day", over="wait")
REFUSES = Budget("month", 80_000, "USD", per="month")
DAY_SECONDS = 24 * 3600


def let_in(stage: Stage, job_id: str, **changes: Any) -> tuple[Record, str]:
    """A new job that a worker is about to buy."""
    token = stage.token()
    return taken(stage.arrive(job_id, token=token, **changes), Verb.SUBMIT), token


def buy(stage: Stage, job_id: str, *budgets: Budget, **changes: Any) -> int:
    """The attempt of a new job; raises `OverBudgetError`."""
    record, token = let_in(stage, job_id, **changes)
    return stage.ledger.submits.intend(record, token, quote=PRICE, budgets=budgets)


def wait(stage: Stage, job_id: str, *budgets: Budget, **changes: Any) -> None:
    """A new job that waits for a budget."""
    with pytest.raises(OverBudgetError) as caught:
        buy(stage, job_id, *budgets, **changes)
    assert caught.value.waits


class BudgetsContract:
    """The part of `LedgerContract` about budgets."""

    def test_what_fits_is_let_through_and_what_does_not_is_refused(self, stage: Stage) -> None:
        """Nothing is written but the refusal; the job is its worker's to end."""
        for job_id in ("a", "b"):
            assert buy(stage, job_id, REFUSES) == 1
        record, token = let_in(stage, "c")
        with pytest.raises(OverBudgetError, match="month") as caught:
            stage.ledger.submits.intend(record, token, quote=PRICE, budgets=[REFUSES])
        assert not caught.value.waits
        assert book(stage).reserved == 80_000
        assert stage.ledger.jobs.conclude(record, token, JobState.FAILED, error=ERROR)
        [stand] = stage.ledger.budgets.stands([REFUSES])
        assert (stand.reserved, stand.spent, stand.percent, stand.alarm) == (80_000, 0, 100.0, True)

    def test_a_refusal_of_the_provider_makes_room(self, stage: Stage) -> None:
        """So does a failure that was not charged."""
        record, token = let_in(stage, "a")
        attempt = stage.ledger.submits.intend(record, token, quote=PRICE, budgets=[REFUSES])
        buy(stage, "b", REFUSES)
        stage.ledger.jobs.conclude(record, token, JobState.FAILED, error=FREE_OF_CHARGE, attempt=attempt)
        assert buy(stage, "c", REFUSES) == 1

    def test_a_job_waits_out_of_line_until_the_period_ends(self, stage: Stage) -> None:
        """Others go on meanwhile; it is taken up within a sweep, and keeps its place."""
        stage.limits[ACCOUNT] = Limits(max_in_flight=3)
        for job_id in ("a", "b"):
            buy(stage, job_id, DAY, deadline_seconds=3.0 * DAY_SECONDS)
        wait(stage, "c", DAY, deadline_seconds=3.0 * DAY_SECONDS)
        assert stage.clocks("c") == {"lease"}
        assert buy(stage, "free", Budget("other", 10**6, "USD")) == 1
        assert [each.waiting for each in stage.ledger.budgets.stands([DAY])] == [1]
        stage.ledger.budgets.wake(ACCOUNT, [DAY])
        assert stage.field("c", "over_budget") == "day"
        stage.limits[ACCOUNT] = Limits(max_in_flight=10)
        stage.clock.advance(DAY_SECONDS)
        messages = stage.ledger.budgets.wake(ACCOUNT, [DAY])
        assert [hint.job_id for hint in messages.hints] == ["c"]
        token = stage.token()
        record = taken(stage.resume("c", token=token), Verb.SUBMIT)
        assert stage.ledger.submits.intend(record, token, quote=PRICE, budgets=[DAY]) == 1
        assert not stage.server.keys("*over_budget*")

    @pytest.mark.parametrize("now", [[Budget("day", 120_000, "USD", per="day", over="wait")], []])
    def test_a_raised_budget_lets_as_many_go_on_as_fit(self, stage: Stage, now: list[Budget]) -> None:
        """All of them where it is no budget any more; the first in line is the first."""
        for job_id in ("a", "b"):
            buy(stage, job_id, DAY)
        for job_id in ("c", "d"):
            wait(stage, job_id, DAY)
        stage.ledger.budgets.wake(ACCOUNT, [DAY])
        assert stage.clocks("c") == {"lease"}
        woken = stage.ledger.budgets.wake(ACCOUNT, now)
        assert [hint.job_id for hint in woken.hints] == (["c"] if now else ["c", "d"])

    def test_a_deadline_ends_the_wait(self, stage: Stage) -> None:
        """The job fails as over_budget, and was not bought."""
        for job_id in ("a", "b"):
            buy(stage, job_id, DAY)
        wait(stage, "c", DAY, deadline_seconds=60.0)
        stage.clock.advance(61)
        stage.ledger.accounts.sweep(ACCOUNT)
        record = stage.ledger.jobs.read(ACCOUNT, "c")
        assert record is not None
        assert record.failure.code is FailureCode.OVER_BUDGET
        assert record.failure.retryable
        stage.ledger.budgets.wake(ACCOUNT, [DAY])
        assert not stage.server.keys("*over_budget*")

    def test_a_waiting_job_may_be_canceled(self, stage: Stage) -> None:
        """It waits no more."""
        for job_id in ("a", "b"):
            buy(stage, job_id, DAY)
        wait(stage, "c", DAY)
        stage.ledger.jobs.cancel(ACCOUNT, "c")
        assert stage.state("c") == "canceled"
        assert stage.ledger.budgets.stands([DAY])[0].waiting == 0

    def test_the_rate_of_an_account_is_not_used_up_by_what_waits(self, stage: Stage) -> None:
        """Jobs without room take no start from others."""
        stage.limits[ACCOUNT] = Limits(max_in_flight=10, submits_per_second=1)
        none = Budget("none", 0, "USD", over="wait")
        for number in range(5):
            wait(stage, f"w{number}", none)
        assert buy(stage, "free") == 1

    def test_entries_stay_in_the_period_of_the_intent(self, stage: Stage) -> None:
        """A job that is settled in the next month frees nothing of that."""
        record, token = let_in(stage, "a", deadline_seconds=7.0 * DAY_SECONDS)
        attempt = stage.ledger.submits.intend(record, token, quote=PRICE, budgets=[REFUSES, DAY])
        before = stage.ledger.budgets.stands([REFUSES, DAY])
        stage.clock.advance(31 * DAY_SECONDS)
        buy(stage, "b", REFUSES, DAY)
        stage.ledger.submits.submitted(record, token, attempt=attempt, provider_job_id="p")
        assert [each.reserved for each in stage.ledger.budgets.stands([REFUSES, DAY])] == [40_000, 40_000]
        for stand in before:
            stood = stage.server.hgetall(f"bide:budget:{stand.budget.name}:{stand.period}")
            assert (stood["reserved"], stood["spent"]) == ("0", "40000")

    def test_a_budget_of_two_accounts_is_one(self, stage: Stage) -> None:
        """Their scripts see the same sums."""
        buy(stage, "a", REFUSES)
        other = AccountName("dreambooth", "second")
        buy(stage, "b", REFUSES, account=other, operation="text2img")
        with pytest.raises(OverBudgetError):
            buy(stage, "c", REFUSES)
        assert stage.ledger.accounts.count_clocks(other)["inflight"] == 1

    def test_an_alarm_is_noted_once_in_a_period(self, stage: Stage) -> None:
        """Whichever process looks."""
        for job_id in ("a", "b"):
            buy(stage, job_id, DAY)
        [stand] = stage.ledger.budgets.stands([DAY])
        assert [stage.ledger.budgets.first_alarm(stand) for _ in range(2)] == [True, False]
        stage.clock.advance(DAY_SECONDS)
        [stand] = stage.ledger.budgets.stands([DAY])
        assert not stand.alarm

    def test_budgets_are_published(self, stage: Stage) -> None:
        """For the command and the metrics, which have no file."""
        stage.ledger.budgets.publish([DAY, REFUSES])
        stage.ledger.budgets.publish([DAY, REFUSES])
        assert stage.ledger.budgets.published() == [DAY, REFUSES]
        stage.ledger.budgets.publish([])
        assert stage.ledger.budgets.published() == []
