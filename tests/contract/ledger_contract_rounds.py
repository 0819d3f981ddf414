"""The ledger's contract about polling: rounds, claims and what the provider answers."""

from __future__ import annotations

import pytest

from bide.ledger import Limits, Polled, Timing
from bide.ledger.keys import prefix
from tests.contract.ledger_stage import ACCOUNT, Crew, Stage


class RoundsContract:
    """One round claims each due job, and there is always another round."""

    def test_a_round_runs_once(self, stage: Stage) -> None:
        """The second message of a round finds it begun, and schedules nothing."""
        stage.running("a")
        stage.clock.advance(2)
        assert len(stage.ledger.polls.claim(ACCOUNT, 1, batch=10).jobs) == 1
        again = stage.ledger.polls.claim(ACCOUNT, 1, batch=10)
        assert (again.current, again.jobs, again.round) == (False, (), None)

    def test_a_superseded_round_does_nothing(self, stage: Stage) -> None:
        """A round that an earlier one replaced neither polls nor schedules while that one is still to come."""
        stage.running("a", first_poll_seconds=40)
        messages = stage.running("b", first_poll_seconds=5)
        assert messages.round is not None
        assert messages.round.seq == 2
        assert stage.ledger.polls.claim(ACCOUNT, 1, batch=10).current is False
        stage.clock.advance(5)
        assert [job.job_id for job in stage.ledger.polls.claim(ACCOUNT, 2, batch=10).jobs] == ["b"]

    def test_a_superseded_round_stands_in_for_a_late_one(self, stage: Stage) -> None:
        """A poller so busy that the sweeper replaces its rounds still polls; the replacement finds the work done."""
        stage.running("a")
        stage.clock.advance(30)
        messages, _, _ = stage.ledger.accounts.sweep(ACCOUNT)
        assert messages.round is not None
        stage.clock.advance(1)
        assert len(stage.ledger.polls.claim(ACCOUNT, 1, batch=10).jobs) == 1
        assert stage.ledger.polls.claim(ACCOUNT, messages.round.seq, batch=10).current is False

    def test_later_polls_ride_with_the_scheduled_round(self, stage: Stage) -> None:
        """A poll that is due later than the scheduled round schedules no other."""
        rounds = [stage.running(name, first_poll_seconds=9 + number).round for number, name in enumerate("abc")]
        assert [one is not None for one in rounds] == [True, False, False]

    def test_more_than_a_batch_runs_side_by_side(self, stage: Stage) -> None:
        """The round after a full batch comes at once, before the first answers are in, and takes the rest."""
        for number in range(5):
            stage.running(f"j{number}")
        stage.clock.advance(3)
        first = stage.ledger.polls.claim(ACCOUNT, 1, batch=3)
        assert first.round is not None
        assert (len(first.jobs), first.round.countdown_seconds) == (3, 0)
        assert len(stage.ledger.polls.claim(ACCOUNT, first.round.seq, batch=3).jobs) == 2

    def test_a_poller_with_its_hands_full_leaves_the_jobs(self, stage: Stage) -> None:
        """A batch of 0 claims nothing: the jobs stay due, and another round comes for them a moment later."""
        stage.running("a")
        stage.clock.advance(3)
        full = stage.ledger.polls.claim(ACCOUNT, 1, batch=0)
        assert (full.current, full.jobs) == (True, ())
        assert full.round is not None
        assert 0.2 < full.round.countdown_seconds < 0.5
        stage.clock.advance(full.round.countdown_seconds)
        assert len(stage.ledger.polls.claim(ACCOUNT, full.round.seq, batch=1).jobs) == 1

    def test_a_far_poll_takes_several_hops(self, stage: Stage) -> None:
        """A countdown stays under a minute; a round that finds nothing due schedules the next."""
        messages = stage.running("a", first_poll_seconds=250)
        hops, one = 0, messages.round
        while one is not None:
            assert one.countdown_seconds < 60
            stage.clock.advance(one.countdown_seconds)
            claim = stage.ledger.polls.claim(ACCOUNT, one.seq, batch=10)
            hops, one = hops + 1, claim.round
        assert hops == 5
        assert len(claim.jobs) == 1

    def test_a_claim_runs_out(self, stage: Stage) -> None:
        """A dead poller's claims run out, and the next round claims its jobs."""
        stage.running("a")
        stage.clock.advance(2)
        stage.ledger.polls.claim(ACCOUNT, 1, batch=10)
        messages, _, _ = stage.ledger.accounts.sweep(ACCOUNT)
        assert messages.round is not None
        assert messages.round.countdown_seconds == Timing().claim_seconds
        stage.clock.advance(Timing().claim_seconds)
        assert len(stage.ledger.polls.claim(ACCOUNT, messages.round.seq, batch=10).jobs) == 1

    def test_a_living_poller_keeps_its_claims(self, stage: Stage) -> None:
        """A poller that renews its claims is the only one to poll those jobs; an ended job stays ended."""
        stage.running("a")
        stage.clock.advance(2)
        stage.ledger.polls.claim(ACCOUNT, 1, batch=10)
        stage.clock.advance(Timing().claim_seconds - 1)
        stage.ledger.polls.reclaim(ACCOUNT, ["a", "nobody"])
        stage.clock.advance(Timing().claim_seconds - 1)
        messages, _, _ = stage.ledger.accounts.sweep(ACCOUNT)
        assert messages.round is not None
        assert messages.round.countdown_seconds == 1
        stage.ledger.polls.record(ACCOUNT, [Polled("a", "ended")])
        stage.ledger.polls.reclaim(ACCOUNT, ["a"])
        assert stage.ledger.accounts.count_clocks(ACCOUNT)["due"] == 0

    def test_polls_keep_to_their_rate(self, stage: Stage) -> None:
        """The rate bounds polls and rounds alike, and each job is polled."""
        stage.limits[ACCOUNT] = Limits(polls_per_second=2)
        crew = Crew(stage.ledger, stage.clock)
        for number in range(10):
            crew.send(stage.running(f"j{number}"))
        for _ in range(80):
            stage.clock.advance(0.1)
            crew.work()
        assert sorted(crew.answers) == sorted(f"j{number}" for number in range(10))
        assert crew.rounds_run <= 12

    def test_doubled_messages_multiply_nothing(self, stage: Stage) -> None:
        """Rounds whose messages all arrive three times are hardly more than with one message each."""
        ran = []
        for copies in (1, 3):
            stage.server.flushall()
            crew = Crew(stage.ledger, stage.clock, copies=copies)
            for number in range(8):
                crew.send(stage.running(f"j{number}", first_poll_seconds=2 + 3 * number))
            for _ in range(60):
                stage.clock.advance(0.5)
                crew.work()
            assert len(crew.answers) == 8
            ran.append(crew.rounds_run)
        assert ran[1] <= ran[0] + 2

    def test_a_deleted_record_is_not_polled(self, stage: Stage) -> None:
        """A claim takes a job without a record off the clock, and frees its place."""
        stage.running("a")
        stage.server.delete(f"{prefix(ACCOUNT)}job:a")
        stage.clock.advance(2)
        assert stage.ledger.polls.claim(ACCOUNT, 1, batch=10).jobs == ()
        assert stage.clocks("a") == set()

    # What the provider answered

    def test_a_running_job_comes_up_again(self, stage: Stage) -> None:
        """A running job is due after the time given, with what was learnt; past its deadline it is due at once."""
        stage.running("a")
        polled = Polled("a", "running", 8, key="cursor", value="c1", note="60 %", seen=True, unknown_for=5.0)
        messages = stage.ledger.polls.record(ACCOUNT, [polled])
        assert messages.hints == ()
        stage.clock.advance(8)
        (job,) = stage.ledger.polls.claim(ACCOUNT, int(stage.account("seq")), batch=10).jobs
        assert (job.cursor, job.seen, job.polls, job.unknown_for, job.late_seconds) == ("c1", True, 1, 5.0, 0.0)
        stage.clock.advance(1800)
        stage.ledger.polls.record(ACCOUNT, [Polled("a", "trouble", 300, note="502")])
        assert stage.server.zscore(prefix(ACCOUNT) + "due", "a") == pytest.approx(stage.clock.now)

    def test_an_ended_job_goes_to_the_store_queue(self, stage: Stage) -> None:
        """The end of a job at the provider frees its place and sends a hint; a second report of it does nothing."""
        stage.running("a")
        (hint,) = stage.ledger.polls.record(ACCOUNT, [Polled("a", "ended", value="[]")]).hints
        assert (hint.queue, hint.signature) == ("bide.store", '{"root_id":"r"}')
        assert stage.ledger.polls.record(ACCOUNT, [Polled("a", "ended", value="[]")]).hints == ()
        assert (stage.state("a"), stage.clocks("a")) == ("storing", {"lease"})

    def test_a_failed_job_ends(self, stage: Stage) -> None:
        """A failed job keeps its error, and a hint brings its caller the answer."""
        stage.running("a")
        (hint,) = stage.ledger.polls.record(ACCOUNT, [Polled("a", "failed", value='{"code":"lost"}')]).hints
        assert hint.job_id == "a"
        assert (stage.state("a"), stage.field("a", "error")) == ("failed", '{"code":"lost"}')

    @pytest.mark.parametrize("kind", ["running", "trouble", "ended", "failed"])
    def test_what_does_not_run_is_not_polled(self, stage: Stage, kind: str) -> None:
        """The ledger ignores polls of jobs that were canceled, stand in line or do not exist."""
        stage.running("a")
        stage.ledger.jobs.cancel(ACCOUNT, "a")
        stage.open("b")
        polls = [Polled(name, kind, 5, value="x") for name in ("a", "b", "nobody")]  # type: ignore[arg-type]  # of a list
        assert stage.ledger.polls.record(ACCOUNT, polls).hints == ()
        assert (stage.state("a"), stage.clocks("a"), stage.clocks("b")) == ("canceled", {"lease"}, {"queued"})
        assert stage.ttl("job", "nobody") == -2
