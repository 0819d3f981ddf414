"""The ledger's contract about an account's circuit breaker and pause: which jobs wait, and which one finds out."""

from __future__ import annotations

import pytest

from bide.contract import JobState
from bide.ledger import Limits, Verb
from bide.ledger.keys import ACCOUNTS_KEY
from bide.ledger.submits import HELD_BACK
from tests.contract.ledger_contract_submits import intended_again, refuse
from tests.contract.ledger_stage import ACCOUNT, ERROR, Crew, Stage, taken

#: How many submits in a row may get no answer before the others wait.
MOST_UNCONFIRMED = 5


class BreakerContract:
    """Jobs of an account that is paused, or whose breaker is open, wait; no job fails by waiting."""

    # Pauses

    def test_a_paused_account_submits_nothing(self, stage: Stage) -> None:
        """A job of a paused account waits for as long as it takes, and is let in once the account is resumed."""
        assert stage.ledger.accounts.pause(ACCOUNT, reason="no credit", by="bide")
        assert stage.arrive("a").verb is Verb.WAIT
        stage.clock.advance(1000)
        assert not stage.ledger.accounts.admit(ACCOUNT).hints
        assert not stage.ledger.accounts.sweep(ACCOUNT)[0].hints
        assert stage.ledger.accounts.resume(ACCOUNT)
        assert [hint.job_id for hint in stage.ledger.accounts.admit(ACCOUNT).hints] == ["a"]

    def test_a_pause_asks_for_no_rounds(self, stage: Stage) -> None:
        """The ledger schedules no round for a paused account: only an operator can set its line going."""
        stage.ledger.accounts.pause(ACCOUNT, reason="no credit", by="bide")
        step = stage.arrive("a")
        assert step.round is None
        assert stage.ledger.accounts.sweep(ACCOUNT)[0].round is None

    def test_a_job_let_in_before_the_pause_goes_back_to_its_place(self, stage: Stage) -> None:
        """A job that was let in before a pause buys nothing, and no other job overtakes it meanwhile."""
        for name in "abc":
            stage.open(name)
        (first, _) = stage.ledger.accounts.admit(ACCOUNT, most=2).hints
        assert first.job_id == "a"
        stage.ledger.accounts.pause(ACCOUNT, reason="no credit", by="bide")
        assert [stage.resume(name).verb for name in "ba"] == [Verb.WAIT, Verb.WAIT]
        assert stage.clocks("a") == stage.clocks("b") == {"queued"}
        stage.ledger.accounts.resume(ACCOUNT)
        assert [hint.job_id for hint in stage.ledger.accounts.admit(ACCOUNT).hints] == ["a", "b", "c"]

    def test_jobs_let_in_before_a_failure_wait_with_the_others(self, stage: Stage) -> None:
        """Jobs that were let in before the breaker opened wait: one refusal is no reason to collect thirty."""
        for name in "abc":
            stage.open(name)
        assert len(stage.ledger.accounts.admit(ACCOUNT).hints) == 3
        record = taken(stage.resume("a", token="t"), Verb.SUBMIT)
        stage.ledger.submits.intend(record, "t")
        stage.ledger.submits.refused(record, "t", attempt=1, reason="HTTP 503", after_seconds=None)
        assert [stage.resume(name).verb for name in "bc"] == [Verb.WAIT, Verb.WAIT]
        assert stage.clocks("b") == {"queued"}

    @pytest.mark.parametrize("why", ["paused", "open"])
    def test_a_job_whose_inputs_came_too_late_waits(self, stage: Stage, why: str) -> None:
        """A job whose account was blocked while its inputs were fetched buys nothing, and goes back to its place."""
        stage.limits[ACCOUNT] = Limits(max_in_flight=2)
        record = taken(stage.arrive("a", token="t"), Verb.SUBMIT)
        if why == "paused":
            stage.ledger.accounts.pause(ACCOUNT, reason="no credit", by="bide")
        else:
            refuse(stage, "other", after_seconds=5)
        stage.open("b")
        assert stage.ledger.submits.intend(record, "t") == stage.ledger.submits.intend(record, "t") == HELD_BACK
        assert (stage.clocks("a"), stage.field("a", "submits")) == ({"queued"}, "")
        assert stage.ledger.accounts.admit(ACCOUNT).hints == ()
        stage.ledger.accounts.resume(ACCOUNT)
        assert [hint.job_id for hint in stage.ledger.accounts.admit(ACCOUNT).hints] == ["a", "b"]
        record = taken(stage.resume("a", token="t2"), Verb.SUBMIT)
        assert stage.ledger.submits.intend(record, "t2") == 1

    def test_what_was_bought_goes_on_in_a_pause(self, stage: Stage) -> None:
        """A pause stops submits only: jobs at the provider are polled on."""
        stage.running("a")
        stage.ledger.accounts.pause(ACCOUNT, reason="no credit", by="operator")
        stage.clock.advance(3)
        messages, _, _ = stage.ledger.accounts.sweep(ACCOUNT)
        seq = messages.round.seq if messages.round else 1
        assert [job.job_id for job in stage.ledger.polls.claim(ACCOUNT, seq, batch=10).jobs] == ["a"]

    def test_the_first_reason_stays(self, stage: Stage) -> None:
        """The first pause state: the account's state says why, since when and by whom."""
        assert stage.ledger.accounts.pause(ACCOUNT, reason="no credit", by="bide")
        assert not stage.ledger.accounts.pause(ACCOUNT, reason="lunch", by="operator")
        state = stage.ledger.accounts.state(ACCOUNT)
        assert (state.paused, state.paused_by) == ("no credit", "bide")
        assert state.trouble == "paused by bide since 2023-11-14 22:13:20 UTC: no credit"

    def test_an_account_can_be_paused_before_its_first_job(self, stage: Stage) -> None:
        """A pause puts the account into the registry, so that each process sees it."""
        stage.ledger.accounts.pause(ACCOUNT, reason="not yet", by="operator")
        assert stage.server.smembers(ACCOUNTS_KEY) == {str(ACCOUNT)}

    def test_a_pause_outlasts_an_accepted_submit(self, stage: Stage) -> None:
        """An accepted submit that was under way does not end the pause."""
        record, token, attempt = stage.submitting("a")
        stage.ledger.accounts.pause(ACCOUNT, reason="no credit", by="bide")
        stage.ledger.submits.submitted(record, token, attempt=attempt, provider_job_id="p", first_poll_seconds=2)
        assert stage.arrive("b").verb is Verb.WAIT

    def test_waiting_for_a_paused_account_ends_at_the_deadline(self, stage: Stage) -> None:
        """A job in a paused account's line fails at its deadline, and not before."""
        stage.ledger.accounts.pause(ACCOUNT, reason="no credit", by="bide")
        stage.arrive("a")
        stage.clock.advance(1799)
        stage.ledger.accounts.sweep(ACCOUNT)
        assert stage.state("a") == "queued"
        stage.clock.advance(2)
        stage.ledger.accounts.sweep(ACCOUNT)
        assert stage.state("a") == "failed"

    def test_resuming_closes_the_breaker_too(self, stage: Stage) -> None:
        """An operator's `resume` closes the breaker, whatever the Retry-After; a well account stays as it is."""
        assert not stage.ledger.accounts.resume(ACCOUNT)
        refuse(stage, "a", after_seconds=300)
        assert stage.ledger.accounts.resume(ACCOUNT)
        assert [hint.job_id for hint in stage.ledger.accounts.admit(ACCOUNT).hints] == ["a"]
        assert stage.ledger.accounts.state(ACCOUNT).trouble == ""

    def test_an_open_breaker_is_news_once(self, stage: Stage) -> None:
        """A refusal that prolongs an open breaker is no news; another reason, or a breaker that had closed, is."""
        assert stage.ledger.accounts.block_submits(ACCOUNT, seconds=60, reason="HTTP 401")
        stage.clock.advance(30)
        assert not stage.ledger.accounts.block_submits(ACCOUNT, seconds=60, reason="HTTP 401")
        assert stage.ledger.accounts.block_submits(ACCOUNT, seconds=60, reason="HTTP 403")
        stage.clock.advance(61)
        assert stage.ledger.accounts.block_submits(ACCOUNT, seconds=60, reason="HTTP 403")

    # One job ahead

    def test_a_lost_message_of_the_one_ahead_keeps_nobody_back(self, stage: Stage) -> None:
        """All others wait for it, so it comes again despite a backlog, and as soon each time."""
        refuse(stage, "a")
        stage.arrive("b")
        stage.ledger.accounts.sweep(ACCOUNT)
        stage.clock.advance(2)
        (ahead,) = stage.ledger.accounts.admit(ACCOUNT).hints
        for _ in range(4):
            stage.clock.advance(15)
            [again] = stage.ledger.accounts.sweep(ACCOUNT, backlog=["bide.submit"])[0].hints
            assert again.job_id == ahead.job_id

    def test_one_job_at_a_time_finds_out(self, stage: Stage) -> None:
        """Half-open, the breaker lets one job go ahead; no other follows until its submit has come to something."""
        refuse(stage, "a")
        for name in "bcd":
            stage.arrive(name)
        stage.clock.advance(2)
        (ahead,) = stage.ledger.accounts.admit(ACCOUNT).hints
        stage.clock.advance(5)
        assert not stage.ledger.accounts.admit(ACCOUNT).hints
        record = intended_again(stage, ahead.job_id, "t")
        stage.clock.advance(5)
        assert not stage.ledger.accounts.admit(ACCOUNT).hints
        assert stage.arrive("e").verb is Verb.WAIT
        assert stage.ledger.accounts.state(ACCOUNT).probe == ahead.job_id
        assert len(stage.ledger.submits.submitted(record, "t", attempt=1, provider_job_id="p").hints) == 4

    def test_a_line_goes_on_once_the_provider_is_well(self, stage: Stage) -> None:
        """Rounds that follow at once let the whole line in; no job waits for the accepted job's first poll."""
        refuse(stage, "a")
        for number in range(60):
            stage.arrive(f"j{number}")
        stage.clock.advance(2)
        (ahead,) = stage.ledger.accounts.admit(ACCOUNT).hints
        record = intended_again(stage, ahead.job_id, "t")
        stage.clock.advance(1)
        assert stage.ledger.polls.claim(ACCOUNT, int(stage.account("seq")), batch=10).round is None
        crew = Crew(stage.ledger, stage.clock)
        messages = stage.ledger.submits.submitted(record, "t", attempt=1, provider_job_id="p", first_poll_seconds=300)
        crew.send(messages)
        assert messages.round is not None
        assert messages.round.countdown_seconds < 1
        for _ in range(2):
            stage.clock.advance(0.5)
            crew.work()
        assert stage.ledger.accounts.count_clocks(ACCOUNT)["queued"] == 0

    @pytest.mark.parametrize("end", ["canceled", "failed", "put off"])
    def test_a_job_ahead_that_finds_out_nothing_leaves_its_turn(self, stage: Stage, end: str) -> None:
        """Another job goes ahead where the first ends, or is put off, before its submit."""
        refuse(stage, "a")
        stage.arrive("b")
        stage.clock.advance(2)
        (ahead,) = stage.ledger.accounts.admit(ACCOUNT).hints
        record = taken(stage.resume(ahead.job_id, token="t"), Verb.SUBMIT)
        if end == "canceled":
            stage.ledger.jobs.cancel(ACCOUNT, ahead.job_id)
        elif end == "failed":
            stage.ledger.jobs.conclude(record, "t", JobState.FAILED, error=ERROR)
        else:
            stage.ledger.jobs.postpone(record, "t", seconds=60, note="inputs")
        (other,) = stage.ledger.accounts.admit(ACCOUNT).hints
        assert other.job_id != ahead.job_id

    def test_a_job_ahead_whose_worker_died_leaves_its_turn(self, stage: Stage) -> None:
        """The job that went ahead is unconfirmed once its lease has run out, and the sweep lets another go ahead."""
        refuse(stage, "a")
        stage.arrive("b")
        stage.clock.advance(2)
        (ahead,) = stage.ledger.accounts.admit(ACCOUNT).hints
        intended_again(stage, ahead.job_id, "t")
        for _ in range(4):
            stage.clock.advance(9)
            stage.ledger.accounts.sweep(ACCOUNT)
        assert stage.state(ahead.job_id) == "unconfirmed"
        assert len(stage.ledger.accounts.admit(ACCOUNT).hints) == 1

    # Unconfirmed submits in a row

    def test_unconfirmed_submits_in_a_row_stop_the_others(self, stage: Stage) -> None:
        """A provider that answers nothing gets one submit at a time: each further one would be unconfirmed, too."""
        for number in range(MOST_UNCONFIRMED):
            assert stage.ledger.accounts.state(ACCOUNT).trouble == ""
            stage.unconfirmed(f"j{number}")
        state = stage.ledger.accounts.state(ACCOUNT)
        assert (state.open_seconds, state.failures) == (1, 1)
        assert "5 submits in a row" in state.open_reason
        stage.arrive("a")
        stage.arrive("b")
        stage.clock.advance(1)
        (ahead,) = stage.ledger.accounts.admit(ACCOUNT).hints
        record = intended_again(stage, ahead.job_id, "t")
        stage.clock.advance(0.1)
        assert stage.ledger.jobs.conclude(record, "t", JobState.UNCONFIRMED, error=ERROR)
        assert stage.ledger.accounts.state(ACCOUNT).open_seconds == pytest.approx(2)
        assert not stage.ledger.accounts.admit(ACCOUNT).hints
        assert stage.state("b") == "queued"

    def test_an_accepted_submit_ends_the_count_of_unconfirmed_ones(self, stage: Stage) -> None:
        """An accepted submit sets the count of unconfirmed submits back: only those in a row open the breaker."""
        for number in range(MOST_UNCONFIRMED + 2):
            stage.unconfirmed(f"j{number}")
            stage.running(f"ok{number}")
        assert stage.ledger.accounts.state(ACCOUNT).trouble == ""

    def test_an_unconfirmed_submit_that_is_reported_twice_counts_once(self, stage: Stage) -> None:
        """A `conclude` that runs twice, as a Redis client may have it, counts one unconfirmed submit."""
        for number in range(MOST_UNCONFIRMED - 1):
            record, token, _ = stage.submitting(f"j{number}")
            for _ in range(2):
                assert stage.ledger.jobs.conclude(record, token, JobState.UNCONFIRMED, error=ERROR)
        assert stage.ledger.accounts.state(ACCOUNT).trouble == ""

    def test_a_sweep_notes_what_the_settings_allow(self, stage: Stage) -> None:
        """A sweep writes the account's limits down, for the commands that do not know the settings."""
        stage.limits[ACCOUNT] = Limits(max_in_flight=7, submits_per_second=0.5)
        stage.arrive("a")
        stage.ledger.accounts.sweep(ACCOUNT)
        state = stage.ledger.accounts.state(ACCOUNT)
        assert (state.max_in_flight, state.submits_per_second) == (7, 0.5)
