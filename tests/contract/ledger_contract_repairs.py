"""The ledger's contract about sweeps: dead workers, lost messages, deadlines, and times without a sweeper."""

from __future__ import annotations

import pytest

from bide.contract import Failure, FailureCode, JobState
from bide.ledger import Limits, Verb
from bide.ledger.keys import prefix
from tests.contract.ledger_stage import ACCOUNT, Stage


class RepairsContract:
    """A sweep mends all that ran out, and never takes a living worker for dead."""

    def test_a_renewed_lease_stays(self, stage: Stage) -> None:
        """A worker that renews in time keeps its lease; a renewal of a lost lease says so."""
        watched(stage)
        stage.arrive("a", token="t")
        for _ in range(4):
            stage.clock.advance(6)
            assert stage.ledger.jobs.renew_leases(ACCOUNT, [("a", "t"), ("a", "stranger"), ("nobody", "t")]) == [
                "a",
                "nobody",
            ]
            assert repairs(stage) == []

    def test_a_dead_submitter_leaves_the_job_unconfirmed(self, stage: Stage) -> None:
        """A worker's death during a submit leaves the job unconfirmed: its caller gets that, no worker repeats it."""
        watched(stage)
        stage.submitting("a")
        wait(stage, 11)
        assert repairs(stage) == ["worker died while submitting: unconfirmed", "told again"]
        assert stage.clocks("a") == {"lease", "unconfirmed"}
        assert Failure.model_validate_json(stage.field("a", "error")).code is FailureCode.SUBMISSION_UNKNOWN
        assert stage.resume("a").verb is Verb.ANSWER

    def test_a_dead_submitter_may_be_replaced_once(self, stage: Stage) -> None:
        """A request with `on_unknown: resubmit` is submitted again once after a worker's death."""
        watched(stage)
        stage.submitting("a", on_unknown="resubmit")
        wait(stage, 11)
        assert repairs(stage)[0] == "worker died while submitting; submitted again as its request allows"
        record = stage.resume("a", token="t2").record
        assert record is not None
        assert stage.ledger.submits.intend(record, "t2") == 2
        wait(stage, 11)
        assert repairs(stage)[0] == "worker died while submitting: unconfirmed"

    @pytest.mark.parametrize("state", ["queued", "storing"])
    def test_a_step_that_kills_three_workers_ends_the_job(self, stage: Stage, state: str) -> None:
        """A step that kills a worker is tried again twice; the third death ends the job."""
        watched(stage)
        if state == "queued":
            stage.arrive("a")
        else:
            stage.storing("a")
        for _ in range(2):
            wait(stage, 11)
            assert repairs(stage) == [f"worker died: {state}", "told again"]
            assert stage.resume("a").verb in (Verb.SUBMIT, Verb.STORE)
        wait(stage, 11)
        assert repairs(stage)[0] == "crashed"
        assert Failure.model_validate_json(stage.field("a", "error")).code is FailureCode.CRASHED
        assert (stage.state("a"), stage.clocks("a")) == ("failed", {"lease"})

    def test_a_caller_that_can_not_be_answered_does_not_keep_the_others_waiting(self, stage: Stage) -> None:
        """An answer that kills three workers is given up; the job's followers get theirs, and it rests."""
        watched(stage)
        record, token = stage.storing("a", idempotency_key="k")
        stage.arrive("b", idempotency_key="k")
        stage.ledger.jobs.conclude(record, token, JobState.SUCCEEDED, result="{}")
        for _ in range(2):
            wait(stage, 11)
            stage.ledger.accounts.sweep(ACCOUNT)
            assert stage.resume("a").verb is Verb.ANSWER
        wait(stage, 11)
        messages, mended, _ = stage.ledger.accounts.sweep(ACCOUNT)
        assert mended[0].what == "caller could not be told"
        assert [hint.job_id for hint in messages.hints] == ["b"]
        stage.ledger.jobs.answered(ACCOUNT, "b", leader="a")
        assert (stage.clocks("a"), stage.ttl("job", "a")) == (set(), 604800)

    def test_after_a_silence_the_living_may_speak_first(self, stage: Stage) -> None:
        """A sweep after an outage of Redis leaves living workers one lease's time to renew."""
        watched(stage)
        stage.arrive("a", token="living")
        stage.arrive("b", token="dead")
        stage.clock.advance(60)
        assert repairs(stage) == []
        stage.clock.advance(3)
        assert stage.ledger.jobs.renew_leases(ACCOUNT, [("a", "living")]) == []
        stage.clock.advance(3)
        assert repairs(stage) == []
        stage.clock.advance(5)
        assert [repair.job_id for repair in stage.ledger.accounts.sweep(ACCOUNT)[1]] == ["b", "b"]

    def test_a_change_of_sweeper_is_no_silence(self, stage: Stage) -> None:
        """A sweep of an account that others watched judges the dead at once, however long none swept."""
        watched(stage)
        stage.arrive("a")
        for _ in range(4):
            stage.clock.advance(4)
            stage.ledger.accounts.watch(ACCOUNT)
        assert repairs(stage) == ["worker died: queued", "told again"]

    def test_watching_an_account_ends_no_silence(self, stage: Stage) -> None:
        """The first process after a silence, sweeper or not, leaves the living their time to renew."""
        watched(stage)
        stage.arrive("a")
        stage.clock.advance(11)
        stage.ledger.accounts.watch(ACCOUNT)
        assert repairs(stage) == []
        for _ in range(2):
            stage.clock.advance(5)
            stage.ledger.accounts.watch(ACCOUNT)
        assert repairs(stage) == ["worker died: queued", "told again"]

    def test_sweeps_rarer_than_leases_still_judge(self, stage: Stage) -> None:
        """A lease that has run out at two sweeps in a row is a dead worker's, however far they lie apart."""
        watched(stage)
        stage.arrive("a")
        stage.clock.advance(15)
        assert repairs(stage) == []
        stage.clock.advance(15)
        assert repairs(stage) == ["worker died: queued", "told again"]

    def test_a_lost_hint_is_sent_again(self, stage: Stage) -> None:
        """The sweeper sends a lost hint again, soon at first, then at growing intervals."""
        watched(stage)
        stage.open("a")
        stage.ledger.accounts.admit(ACCOUNT)
        waits = []
        for _ in range(6):
            before = stage.clock.now
            while not stage.ledger.accounts.sweep(ACCOUNT)[0].hints:
                stage.clock.advance(5)
            waits.append(stage.clock.now - before)
        assert waits == [15, 15, 30, 60, 120, 240]

    def test_a_hint_that_waits_in_a_queue_is_not_lost(self, stage: Stage) -> None:
        """A queue with a backlog gets no second hints until much later."""
        watched(stage)
        stage.open("a")
        stage.ledger.accounts.admit(ACCOUNT)
        stage.clock.advance(15)
        assert stage.ledger.accounts.sweep(ACCOUNT, backlog=["bide.submit"])[0].hints == ()
        stage.clock.advance(15)
        assert stage.ledger.accounts.sweep(ACCOUNT, backlog=["bide.poll"])[0].hints != ()

    def test_a_backlog_keeps_no_dead_workers_job_back(self, stage: Stage) -> None:
        """A dead worker's job gets its hint despite a backlog: its message was taken out of the queue."""
        watched(stage)
        stage.storing("a")
        wait(stage, 11)
        [hint] = stage.ledger.accounts.sweep(ACCOUNT, backlog=["bide.store"])[0].hints
        assert (hint.job_id, hint.queue) == ("a", "bide.store")

    def test_a_client_that_died_before_its_message_is_no_loss(self, stage: Stage) -> None:
        """A round lets a job in that a client opened and sent no message for."""
        stage.open("a")
        messages, mended, _ = stage.ledger.accounts.sweep(ACCOUNT)
        assert messages.round is not None
        assert [repair.what for repair in mended] == ["round scheduled"]

    def test_the_deadline_ends_waiting_in_line(self, stage: Stage) -> None:
        """A deadline ends a job's wait also behind more jobs than a page has; nothing was bought."""
        stage.limits[ACCOUNT] = Limits(max_in_flight=0)
        for number in range(5):
            stage.open(f"long{number}", deadline_seconds=9000)
        stage.open("short", deadline_seconds=60)
        stage.clock.advance(61)
        hinted = [hint.job_id for _ in range(3) for hint in stage.ledger.accounts.sweep(ACCOUNT, page=2)[0].hints]
        assert hinted == ["short"]
        assert Failure.model_validate_json(stage.field("short", "error")).code is FailureCode.DEADLINE
        assert stage.clocks("short") == {"lease"}

    def test_a_lost_round_is_scheduled_again(self, stage: Stage) -> None:
        """A round that is a few seconds late is scheduled again; a poller with a backlog gets a minute."""
        stage.running("a", first_poll_seconds=2)
        stage.clock.advance(4)
        assert stage.ledger.accounts.sweep(ACCOUNT)[0].round is None
        stage.clock.advance(4)
        assert stage.ledger.accounts.sweep(ACCOUNT, backlog=["bide.poll"])[0].round is None
        again = stage.ledger.accounts.sweep(ACCOUNT)[0].round
        assert again is not None
        assert again.countdown_seconds == 0

    def test_what_was_deleted_by_hand_leaves_the_clocks(self, stage: Stage) -> None:
        """A sweep takes jobs without a record off the clocks, and sends no hints for them."""
        watched(stage)
        stage.open("a")
        stage.ledger.accounts.admit(ACCOUNT)
        stage.limits[ACCOUNT] = Limits(max_in_flight=0)
        stage.open("b")
        stage.server.delete(*(f"{prefix(ACCOUNT)}job:{name}" for name in "ab"))
        stage.clock.advance(15)
        assert stage.ledger.accounts.sweep(ACCOUNT)[0].hints == ()
        assert sum(stage.ledger.accounts.count_clocks(ACCOUNT).values()) == 0

    def test_a_page_is_a_page(self, stage: Stage) -> None:
        """A sweep mends one page, and says whether more may wait."""
        watched(stage)
        for number in range(5):
            stage.open(f"j{number}")
        stage.ledger.accounts.admit(ACCOUNT)
        stage.clock.advance(15)
        pages = [stage.ledger.accounts.sweep(ACCOUNT, page=2) for _ in range(4)]
        assert [len(messages.hints) for messages, _, _ in pages] == [2, 2, 1, 0]
        assert [full for _, _, full in pages] == [True, True, False, False]


def watched(stage: Stage) -> None:
    """Mark the account as swept all along: there is no silence to make up for."""
    stage.server.hset(f"{prefix(ACCOUNT)}account", mapping={"swept_at": stage.clock.now, "judge_from": 1})


def wait(stage: Stage, seconds: int) -> None:
    """Let time pass with a sweeper at work."""
    stage.clock.advance(seconds)
    watched(stage)


def repairs(stage: Stage) -> list[str]:
    """What one sweep mends of jobs."""
    return [repair.what for repair in stage.ledger.accounts.sweep(ACCOUNT)[1] if repair.job_id]
