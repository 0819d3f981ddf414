"""The ledger's contract about providers' calls: a job is polled sooner, seldom enough, and nothing else changes."""

from __future__ import annotations

from itertools import pairwise

import pytest

from bide.ledger import Limits, Polled
from bide.ledger.keys import prefix
from bide.ledger.poll_now import GAP_SECONDS, MOST_POLLS, PollNowOutcome
from bide.ledger.polls import PollScripts
from bide.ledger.snapshot import take_snapshot
from bide.ledger.timeline import events
from bide.polling.durations import Sketch
from tests.contract.ledger_stage import ACCOUNT, Clock, Stage


class PollNowContract:
    """`poll_now` in each state that a job can be in."""

    @pytest.fixture
    def calls(self, stage: Stage, clock: Clock) -> PollScripts:
        return stage.ledger.polls

    def due(self, stage: Stage, job_id: str) -> float:
        """How long until a job's next poll [seconds]."""
        score: float | None = stage.server.zscore(f"{prefix(ACCOUNT)}due", job_id)
        assert score is not None
        return score - stage.clock.now

    def poll(self, stage: Stage, *outcomes: Polled) -> list[str]:
        """Run the round that is scheduled: the jobs it claims, which come to `outcomes`."""
        claim = stage.ledger.polls.claim(ACCOUNT, int(stage.account("seq")), batch=50)
        stage.ledger.polls.record(ACCOUNT, outcomes)
        return [job.job_id for job in claim.jobs]

    def test_a_call_pulls_the_next_poll_forward(self, stage: Stage, calls: PollScripts) -> None:
        """A round runs now instead of in ten minutes, and finds the job due."""
        planned = stage.running("a", first_poll_seconds=600).round
        stage.clock.advance(20)

        outcome, messages = calls.poll_now(ACCOUNT, "a")

        assert outcome is PollNowOutcome.POLLED_NOW
        assert planned is not None
        assert messages.round is not None
        assert (messages.round.seq, messages.round.countdown_seconds) == (planned.seq + 1, 0.0)
        assert messages.hints == ()
        assert self.poll(stage, Polled("a", "ended", value="[]")) == ["a"]
        assert stage.state("a") == "storing"

    def test_a_call_stands_in_the_story(self, stage: Stage, calls: PollScripts) -> None:
        """The timeline shows why a poll came sooner than planned, after the job's end as well."""
        stage.running("a", first_poll_seconds=600)
        stage.clock.advance(20)
        calls.poll_now(ACCOUNT, "a")
        self.poll(stage, Polled("a", "ended", 0.0, note="done"))
        record = stage.ledger.jobs.read(ACCOUNT, "a")
        assert record is not None

        shown = [
            (event.at - record.number("created"), event.what, event.detail)
            for event in events(take_snapshot(stage.ledger, record))
        ]

        assert (20.0, "called", "the call that had the job looked at sooner") in shown

    def test_a_call_changes_no_other_job(self, stage: Stage, calls: PollScripts) -> None:
        """The account's other jobs are polled in their time."""
        stage.running("a", first_poll_seconds=600)
        stage.running("b", first_poll_seconds=600)
        calls.poll_now(ACCOUNT, "b")

        assert self.poll(stage) == ["b"]
        assert self.due(stage, "a") == pytest.approx(600, abs=0.01)

    def test_a_call_changes_nothing_that_is_known(self, stage: Stage, calls: PollScripts) -> None:
        """A forged call costs one poll; state, count of polls and deadline stay, and the job waits as before."""
        stage.running("a", first_poll_seconds=600)
        before = stage.server.hgetall(f"{prefix(ACCOUNT)}job:a")
        stage.clock.advance(30)
        calls.poll_now(ACCOUNT, "a")
        after = stage.server.hgetall(f"{prefix(ACCOUNT)}job:a")

        assert {name for name in after if after[name] != before.get(name)} == {"calls", "called_at", "ran"}
        assert self.poll(stage, Polled("a", "running", 300)) == ["a"]
        assert (stage.state("a"), stage.field("a", "polls"), self.due(stage, "a")) == ("running", "1", 300)

    def test_a_call_never_puts_a_poll_off(self, stage: Stage, calls: PollScripts) -> None:
        """A job that is due already stays as due as it is."""
        stage.running("a", first_poll_seconds=2)
        stage.clock.advance(3)

        assert calls.poll_now(ACCOUNT, "a")[0] is PollNowOutcome.NOTHING
        assert self.due(stage, "a") == pytest.approx(-1, abs=0.01)

    def test_calls_in_a_row_bring_about_one_poll(self, stage: Stage, calls: PollScripts) -> None:
        """Repeated calls bring about one poll; a script that ran twice, too."""
        stage.running("a", first_poll_seconds=600)
        outcomes = [calls.poll_now(ACCOUNT, "a") for _ in range(50)]

        assert [outcome for outcome, _ in outcomes] == [PollNowOutcome.POLLED_NOW] + 49 * [PollNowOutcome.REPEATED]
        assert [messages.round is None for _, messages in outcomes] == [False] + 49 * [True]

    def test_a_flood_brings_about_a_few_polls_in_all(self, stage: Stage, calls: PollScripts) -> None:
        """Calls without end bring about `MOST_POLLS` polls, each `GAP_SECONDS` or more after the one before."""
        stage.running("a", first_poll_seconds=600)
        polls = []
        for _ in range(200):
            calls.poll_now(ACCOUNT, "a")
            if self.poll(stage, Polled("a", "running", 600)):
                polls.append(stage.clock.now)
            stage.clock.advance(1)

        gaps = [later - sooner for sooner, later in pairwise(polls)]
        assert len(polls) == MOST_POLLS
        assert min(gaps) >= GAP_SECONDS

    def test_calls_for_many_jobs_schedule_one_round(self, stage: Stage, calls: PollScripts) -> None:
        """Calls for many jobs schedule one round, which polls them all."""
        names = [f"job-{number}" for number in range(20)]
        stage.limits[ACCOUNT] = Limits(max_in_flight=50)
        for name in names:
            stage.running(name, first_poll_seconds=600)
        rounds = [calls.poll_now(ACCOUNT, name)[1].round for name in names]

        assert [one for one in rounds if one] == rounds[:1]
        assert sorted(self.poll(stage)) == sorted(names)

    def test_the_accounts_poll_rate_is_kept(self, stage: Stage, calls: PollScripts) -> None:
        """A round that a call asks for comes no sooner than the rate allows the next poll."""
        stage.limits[ACCOUNT] = Limits(max_in_flight=50, polls_per_second=0.1)
        for name in ("a", "b"):
            stage.running(name, first_poll_seconds=600)
            calls.poll_now(ACCOUNT, name)
        assert len(self.poll(stage)) == 1
        stage.running("c", first_poll_seconds=600)

        assert calls.poll_now(ACCOUNT, "c")[0] is PollNowOutcome.POLLED_NOW
        scheduled = stage.account("round_at") - stage.clock.now
        assert scheduled == pytest.approx(10, abs=0.1)

    def test_a_call_during_a_poll_has_another_one_follow(self, stage: Stage, calls: PollScripts) -> None:
        """A call during a poll starts no second one beside it; a poll follows, as the answer may be the older."""
        stage.running("a", first_poll_seconds=2)
        stage.clock.advance(2)
        claim = stage.ledger.polls.claim(ACCOUNT, int(stage.account("seq")), batch=50)
        assert [job.job_id for job in claim.jobs] == ["a"]

        outcome, messages = calls.poll_now(ACCOUNT, "a")
        assert (outcome, messages.round) == (PollNowOutcome.NOTED, None)
        assert self.due(stage, "a") == pytest.approx(10, abs=0.01)  # the claim

        following = stage.ledger.polls.record(ACCOUNT, [Polled("a", "running", 300)]).round
        assert following is not None
        assert following.countdown_seconds <= 0.5
        stage.clock.advance(following.countdown_seconds)
        assert self.poll(stage, Polled("a", "running", 300)) == ["a"]
        assert self.due(stage, "a") == 300

    def test_a_poll_that_fails_uses_a_noted_call_up(self, stage: Stage, calls: PollScripts) -> None:
        """A provider's Retry-After outlasts a call that was noted: the poll after it comes later than the call."""
        stage.running("a", first_poll_seconds=2)
        stage.clock.advance(2)
        stage.ledger.polls.claim(ACCOUNT, int(stage.account("seq")), batch=50)
        calls.poll_now(ACCOUNT, "a")
        stage.ledger.polls.record(ACCOUNT, [Polled("a", "trouble", 60)])

        assert self.due(stage, "a") == 60
        assert stage.field("a", "called") == ""

    def test_a_pause_that_the_provider_asked_for_stands(self, stage: Stage, calls: PollScripts) -> None:
        """A call does not shorten a Retry-After; after the next good answer calls count again."""
        stage.running("a", first_poll_seconds=2)
        stage.clock.advance(2)
        self.poll(stage, Polled("a", "trouble", 60))
        assert calls.poll_now(ACCOUNT, "a")[0] is PollNowOutcome.NOTHING

        stage.clock.advance(60)
        self.poll(stage, Polled("a", "running", 60))
        assert calls.poll_now(ACCOUNT, "a")[0] is PollNowOutcome.POLLED_NOW

    def test_a_success_without_a_result_keeps_its_time(self, stage: Stage, calls: PollScripts) -> None:
        """A call hurries no poll of a success without a result: that poll decides that there is none."""
        stage.running("a", first_poll_seconds=2)
        stage.clock.advance(2)
        self.poll(stage, Polled("a", "running", 30, "empties", "1"))

        assert calls.poll_now(ACCOUNT, "a")[0] is PollNowOutcome.NOTHING
        assert self.due(stage, "a") == 30

    def test_nor_does_its_deadline_hurry_that(self, stage: Stage) -> None:
        """The looks at an empty success span a minute; any other poll comes at the deadline at the latest."""
        for job_id, key in (("a", "empties"), ("b", "")):
            stage.running(job_id, first_poll_seconds=2, deadline_seconds=10)
            stage.clock.advance(2)
            self.poll(stage, Polled(job_id, "running", 30, key, "1" if key else ""))
        assert (self.due(stage, "a"), self.due(stage, "b")) == (28, 8)

    def test_nor_does_a_noted_call_hurry_that(self, stage: Stage, calls: PollScripts) -> None:
        """A call that was noted during a poll without a result hurries no later poll."""
        stage.running("a", first_poll_seconds=2)
        stage.clock.advance(2)
        stage.ledger.polls.claim(ACCOUNT, int(stage.account("seq")), batch=50)
        assert calls.poll_now(ACCOUNT, "a")[0] is PollNowOutcome.NOTED
        stage.ledger.polls.record(ACCOUNT, [Polled("a", "running", 30, "empties", "1")])

        assert self.due(stage, "a") == 30

    def test_a_call_for_a_job_elsewhere_does_nothing(self, stage: Stage, calls: PollScripts) -> None:
        """A call for a job that is not at the provider makes no key and changes no clock."""
        stage.open("queued")
        stage.submitting("submitting")
        stage.storing("storing")
        stage.finished("finished")
        stage.unconfirmed("unconfirmed")
        names = ("queued", "submitting", "storing", "finished", "unconfirmed", "unknown")
        before = {key: stage.ttl_of(key) for key in stage.server.keys("*")}
        clocks = {name: stage.clocks(name) for name in names}

        assert {calls.poll_now(ACCOUNT, name)[0] for name in names} == {PollNowOutcome.NOTHING}
        assert {key: stage.ttl_of(key) for key in stage.server.keys("*")} == before
        assert {name: stage.clocks(name) for name in names} == clocks

    def test_a_call_leaves_a_record_of_another_version_alone(self, stage: Stage, calls: PollScripts) -> None:
        """A call leaves a record of another version alone."""
        stage.running("a", first_poll_seconds=600)
        stage.server.hset(f"{prefix(ACCOUNT)}job:a", "v", "99")

        assert calls.poll_now(ACCOUNT, "a")[0] is PollNowOutcome.NOTHING
        assert self.due(stage, "a") == pytest.approx(600, abs=0.01)

    def test_a_round_that_was_never_sent_is_found_by_the_sweeper(self, stage: Stage, calls: PollScripts) -> None:
        """The sweeper finds the round of a process that took a call and died before it published."""
        stage.running("a", first_poll_seconds=600)
        calls.poll_now(ACCOUNT, "a")
        stage.clock.advance(stage.ledger.timing.lease_seconds / 2 + 1)
        messages, _, _ = stage.ledger.accounts.sweep(ACCOUNT)

        assert messages.round is not None
        assert messages.round.countdown_seconds == 0

    def test_what_is_learned_stays_true(self, stage: Stage, calls: PollScripts) -> None:
        """A call bounds the job's duration from below, so that no model learns shorter jobs from it."""
        stage.running("a", first_poll_seconds=600)
        submitted = stage.clock.now
        stage.clock.advance(100)
        calls.poll_now(ACCOUNT, "a")
        stage.clock.advance(0.4)
        (job,) = stage.ledger.polls.claim(ACCOUNT, int(stage.account("seq")), batch=1).jobs

        assert job.ran - job.submitted == pytest.approx(100, abs=0.01)
        [half] = Sketch().observed(job.ran - submitted, stage.clock.now - submitted).quantiles_seconds(0.5)
        assert half == pytest.approx(100, rel=0.045)
