"""The ledger's contract about callbacks: each end of a job is owed until its callback is delivered or given up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bide.contract import JobState
from bide.ledger import Polled
from bide.ledger.callbacks import CallbackScripts, Outcome, Owed, webhook_id
from bide.ledger.keys import prefix
from tests.contract.ledger_stage import ACCOUNT, ERROR, Stage

CALLED: dict[str, Any] = {"callback_url": "https://example.com/hook"}

#: How long the tests claim a callback for [seconds].
CLAIM_SECONDS = 30


class CallbacksContract:
    """The script that ends a job owes the callback; only a delivery, a new end or giving up takes it away."""

    @pytest.fixture
    def callbacks(self, stage: Stage) -> CallbackScripts:
        return stage.ledger.callbacks

    @pytest.mark.parametrize(
        "ending", ["succeeded", "failed", "canceled", "unconfirmed", "polled", "deadline", "buried"]
    )
    def test_every_end_owes_one(self, stage: Stage, callbacks: CallbackScripts, ending: str) -> None:
        """A job's end owes one callback, whether a worker, a poll, a cancel or the sweeper ended it."""
        end(stage, ending)
        assert [(owed.job_id, owed.number, owed.tries) for owed in claim(callbacks)] == [("a", 1, 0)]
        assert stage.state("a") in ("succeeded", "failed", "canceled", "unconfirmed")

    def test_a_caller_that_did_not_ask_is_not_called(self, stage: Stage, callbacks: CallbackScripts) -> None:
        """A job without `callback_url` owes none; a parameter of that name asks for nothing."""
        stage.finished("a")
        stage.running("b", **CALLED)
        stage.storing("c", params={"prompt": 'x","callback_url":"https://example.com', "callback_url": 1})
        assert not callbacks.due(ACCOUNT)
        assert claim(callbacks) == []

    def test_a_job_canceled_before_it_came_owes_one(self, stage: Stage, callbacks: CallbackScripts) -> None:
        """The marker of an early cancel ends the job as it is opened, and owes its callback."""
        stage.ledger.jobs.cancel_unknown("a")
        stage.arrive("a", **CALLED)
        assert [owed.job_id for owed in claim(callbacks)] == ["a"]

    def test_the_answer_tells_that_callbacks_are_due(self, stage: Stage, callbacks: CallbackScripts) -> None:
        """A script's reply says that callbacks are due, so that they go out at once; claimed ones do not count."""
        record, token = stage.storing("a", **CALLED)
        stage.ledger.jobs.conclude(record, token, JobState.SUCCEEDED, result="{}")
        assert stage.ledger.jobs.answered(ACCOUNT, "a").callbacks == ACCOUNT
        claim(callbacks)
        assert stage.ledger.jobs.answered(ACCOUNT, "a").callbacks is None

    def test_a_claimed_callback_comes_again(self, stage: Stage, callbacks: CallbackScripts) -> None:
        """The callback of a killed sender is sent again, under the same id; until then no other sender claims it."""
        stage.finished("a", **CALLED)
        first = claim(callbacks)
        assert (claim(callbacks), callbacks.due(ACCOUNT)) == ([], False)
        stage.clock.advance(CLAIM_SECONDS)
        again = claim(callbacks)
        assert [named(stage, owed) for owed in again] == [named(stage, owed) for owed in first]
        assert again[0].age_seconds == CLAIM_SECONDS

    def test_a_delivered_one_is_gone(self, stage: Stage, callbacks: CallbackScripts) -> None:
        """A delivered callback is owed no more, and a second report of it changes nothing."""
        stage.finished("a", **CALLED)
        (owed,) = claim(callbacks)
        for _ in range(2):
            callbacks.tried(owed, Outcome.DELIVERED)
        stage.clock.advance(3600)
        assert (claim(callbacks), callbacks.unfinished(ACCOUNT)) == ([], [])

    def test_a_failed_attempt_comes_again(self, stage: Stage, callbacks: CallbackScripts) -> None:
        """A callback that failed comes again after its pause, its attempts counted; the record stays until then."""
        stage.finished("a", **CALLED)
        (owed,) = claim(callbacks)
        stage.server.expire(f"{prefix(ACCOUNT)}job:a", 60)
        callbacks.tried(owed, Outcome.AGAIN, seconds=10, note="HTTP 503")
        assert stage.ttl("job", "a") == stage.ttl("body", "a") == 604800
        stage.clock.advance(9)
        assert not callbacks.due(ACCOUNT)
        (listed,) = callbacks.unfinished(ACCOUNT)
        assert (listed.failed, listed.tries, listed.note) == (False, 1, "HTTP 503")
        stage.clock.advance(1)
        assert [owed.tries for owed in claim(callbacks)] == [1]

    def test_what_is_put_off_was_not_tried(self, stage: Stage, callbacks: CallbackScripts) -> None:
        """A postponed callback comes again with its host and with as many attempts as before."""
        stage.finished("a", **CALLED)
        (owed,) = claim(callbacks)
        assert owed.host == ""
        callbacks.postpone(ACCOUNT, [(replace(owed, host="example.com:443"), 5)])
        assert (callbacks.due(ACCOUNT), callbacks.due_in(ACCOUNT)) == (False, 5)
        stage.clock.advance(5)
        assert callbacks.due(ACCOUNT)
        assert claim(callbacks) == [replace(owed, host="example.com:443", age_seconds=5)]

    def test_what_was_delivered_meanwhile_is_not_put_off(self, stage: Stage, callbacks: CallbackScripts) -> None:
        """A callback that another sender has delivered is not postponed, and no record comes of it."""
        stage.finished("a", **CALLED)
        (owed,) = claim(callbacks)
        callbacks.tried(owed, Outcome.DELIVERED)
        stage.server.delete(f"{prefix(ACCOUNT)}job:a")
        callbacks.postpone(ACCOUNT, [(owed, 5)])
        assert callbacks.due_in(ACCOUNT) is None
        assert not stage.server.exists(f"{prefix(ACCOUNT)}job:a")

    def test_a_given_up_one_stays_on_the_list(self, stage: Stage, callbacks: CallbackScripts) -> None:
        """A callback that was given up is listed as long as records are kept; replayed it has the same id."""
        stage.finished("a", **CALLED)
        (owed,) = claim(callbacks)
        callbacks.tried(owed, Outcome.FAILED, note="HTTP 410")
        (listed,) = callbacks.unfinished(ACCOUNT)
        assert (listed.failed, listed.job_id, listed.note) == (True, "a", "HTTP 410")
        assert stage.ttl_of(prefix(ACCOUNT) + "undelivered") == 604800
        assert claim(callbacks) == []
        stage.clock.advance(1000)
        assert callbacks.replay(ACCOUNT, "a")
        (again,) = claim(callbacks)
        assert (named(stage, again), again.tries, again.age_seconds) == (named(stage, owed), 0, 0)
        assert [one.failed for one in callbacks.unfinished(ACCOUNT)] == [False]

    def test_what_can_not_be_replayed(self, stage: Stage, callbacks: CallbackScripts) -> None:
        """A job that asked for no callback, that goes on, or that does not exist has none to replay."""
        stage.finished("a")
        stage.running("b", **CALLED)
        assert not any(callbacks.replay(ACCOUNT, job_id) for job_id in ("a", "b", "nobody"))
        assert stage.server.exists(prefix(ACCOUNT) + "callbacks") == 0

    def test_a_settled_job_is_called_about_again(self, stage: Stage, callbacks: CallbackScripts) -> None:
        """The end of a settled job owes a callback beside that of `unconfirmed`, with an id of its own."""
        stage.unconfirmed("a", **CALLED)
        (unconfirmed,) = claim(callbacks)
        stage.ledger.unconfirmed.resubmit(ACCOUNT, "a")
        callbacks.tried(unconfirmed, Outcome.AGAIN, seconds=1)
        stage.clock.advance(3600)
        assert (claim(callbacks), stage.server.exists(prefix(ACCOUNT) + "callbacks")) == ([], 0)
        stage.ledger.jobs.cancel(ACCOUNT, "a")
        (settled,) = claim(callbacks)
        assert (unconfirmed.number, settled.number) == (1, 2)
        assert named(stage, unconfirmed) != named(stage, settled)

    def test_an_end_settled_before_its_callback_is_not_called_about(
        self, stage: Stage, callbacks: CallbackScripts
    ) -> None:
        """A job that goes on owes no callback for `unconfirmed`; its later end owes one."""
        stage.unconfirmed("a", **CALLED)
        stage.ledger.unconfirmed.resubmit(ACCOUNT, "a")
        assert claim(callbacks) == []
        assert not stage.server.exists(prefix(ACCOUNT) + "callbacks")

    def test_an_old_attempt_does_not_settle_a_new_end(self, stage: Stage, callbacks: CallbackScripts) -> None:
        """The delivery of the first end's callback leaves that of the second owed."""
        stage.unconfirmed("a", **CALLED)
        (unconfirmed,) = claim(callbacks)
        stage.ledger.jobs.cancel(ACCOUNT, "a")
        callbacks.tried(unconfirmed, Outcome.DELIVERED)
        assert [owed.number for owed in claim(callbacks)] == [2]

    def test_one_job_for_two_callers_is_called_about_once(self, stage: Stage, callbacks: CallbackScripts) -> None:
        """A job and its follower owe one callback; a follower that leaves early owes none."""
        record, token = stage.storing("a", idempotency_key="k", **CALLED)
        stage.arrive("b", idempotency_key="k", **CALLED)
        stage.arrive("c", idempotency_key="k", **CALLED)
        stage.ledger.jobs.cancel(ACCOUNT, "c")
        assert claim(callbacks) == []
        stage.ledger.jobs.conclude(record, token, JobState.SUCCEEDED, result="{}")
        assert [owed.job_id for owed in claim(callbacks)] == ["a"]

    def test_an_expired_job_owes_nothing(self, stage: Stage, callbacks: CallbackScripts) -> None:
        """A claim takes a callback without a record off the clock."""
        stage.finished("a", **CALLED)
        stage.server.delete(f"{prefix(ACCOUNT)}job:a")
        assert claim(callbacks) == []
        assert not stage.server.exists(prefix(ACCOUNT) + "callbacks")


def end(stage: Stage, ending: str) -> None:
    """End job `a` in one of all ways."""
    if ending == "polled":
        stage.running("a", **CALLED)
        stage.ledger.polls.record(ACCOUNT, [Polled("a", "failed", value=ERROR)])
    elif ending == "canceled":
        stage.running("a", **CALLED)
        stage.ledger.jobs.cancel(ACCOUNT, "a")
    elif ending == "deadline":
        stage.open("a", deadline_seconds=5.0, **CALLED)
        stage.clock.advance(6)
        stage.ledger.accounts.sweep(ACCOUNT)
    elif ending == "buried":
        stage.submitting("a", **CALLED)
        stage.ledger.accounts.sweep(ACCOUNT)
        for _ in range(3):
            stage.clock.advance(11)
            stage.ledger.accounts.sweep(ACCOUNT)
    elif ending == "succeeded":
        stage.finished("a", **CALLED)
    else:
        record, token, _ = stage.submitting("a", **CALLED)
        assert stage.ledger.jobs.conclude(record, token, JobState(ending), error=ERROR)


def claim(callbacks: CallbackScripts) -> list[Owed]:
    """Claim all callbacks that are due."""
    return callbacks.claim(ACCOUNT, most=100, seconds=CLAIM_SECONDS)


def named(stage: Stage, owed: Owed) -> str:
    """The webhook id of a callback."""
    record = stage.ledger.jobs.read(ACCOUNT, owed.job_id)
    assert record is not None
    return webhook_id(record, owed.number)
