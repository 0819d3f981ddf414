"""The ledger's contract about ends: who ends a job, who gets the answer, and what stays."""

from __future__ import annotations

import pytest

from bide.contract import Failure, FailureCode, JobState
from bide.ledger import Limits, Polled, Verb
from bide.ledger.keys import canceled_key, idempotency_key, prefix
from tests.contract.ledger_stage import ACCOUNT, ERROR, Crew, Stage, taken


class EndsContract:
    """Every caller of a job gets its end, followers too; then the record leaves its clock."""

    def test_only_the_worker_with_the_lease_ends_a_job(self, stage: Stage) -> None:
        """A worker whose lease passed on ends nothing; the same end twice is one end."""
        record, token = stage.storing("a")
        assert not stage.ledger.jobs.conclude(record, "stranger", JobState.SUCCEEDED, result="{}")
        assert stage.ledger.jobs.conclude(record, token, JobState.SUCCEEDED, result="{}")
        assert stage.ledger.jobs.conclude(record, token, JobState.SUCCEEDED, result="{}")
        assert not stage.ledger.jobs.conclude(record, token, JobState.FAILED, error=ERROR)
        assert (stage.state("a"), stage.clocks("a")) == ("succeeded", {"lease"})

    def test_a_put_off_step_comes_again(self, stage: Stage) -> None:
        """A postponed step comes again by a hint; where its addresses are out of date, they are asked for anew."""
        record, token, attempt = stage.submitting("a")
        stage.ledger.submits.submitted(record, token, attempt=attempt, provider_job_id="p", outputs="[]")
        assert stage.resume("a", token="t").verb is Verb.STORE
        (hint,) = stage.ledger.jobs.postpone(record, "t", seconds=4, note="S3 away", ask_again=True).hints
        assert (hint.queue, hint.countdown_seconds) == ("bide.store", 4)
        assert (stage.field("a", "outputs"), stage.field("a", "tries"), stage.field("a", "note")) == (
            "",
            "1",
            "S3 away",
        )
        assert stage.ledger.jobs.postpone(record, "t", seconds=4, note="").hints == ()
        stage.clock.advance(4)
        assert stage.resume("a").verb is Verb.STORE

    def test_a_result_that_was_put_off_is_not_fetched_before_its_time(self, stage: Stage) -> None:
        """A message that came twice, or by a clock that jumped, counts no further try; the sweeper's message does."""
        record, token = stage.storing("a")
        stage.ledger.jobs.postpone(record, token, seconds=8, note="no picture")
        for seconds in (0, 3, 3):
            stage.clock.advance(seconds)
            assert stage.resume("a").verb is Verb.STALE
        assert (stage.state("a"), stage.field("a", "tries"), stage.field("a", "token")) == ("storing", "1", "")
        stage.clock.advance(2)
        step = stage.resume("a", token="t")
        assert step.verb is Verb.STORE

        stage.ledger.jobs.postpone(taken(step, Verb.STORE), "t", seconds=8, note="no picture")
        stage.clock.advance(8 + stage.ledger.executor.timing.hint_seconds + 1)  # its message is lost
        messages, *_ = stage.ledger.accounts.sweep(ACCOUNT)
        assert [hint.job_id for hint in messages.hints] == ["a"]
        assert stage.resume("a").verb is Verb.STORE

    def test_an_end_makes_room(self, stage: Stage) -> None:
        """The answer to a caller lets the next job in, also where the worker that ended the job died before it."""
        stage.limits[ACCOUNT] = Limits(max_in_flight=1)
        record, token, _ = stage.submitting("a")
        stage.arrive("b")
        stage.ledger.jobs.conclude(record, token, JobState.FAILED, error=ERROR)
        assert [hint.job_id for hint in stage.ledger.jobs.answered(ACCOUNT, "a").hints] == ["b"]

    def test_a_live_job_can_not_be_answered(self, stage: Stage) -> None:
        """The ledger ignores a report that the caller of a live or unknown job has its answer."""
        stage.running("a")
        stage.ledger.jobs.answered(ACCOUNT, "a")
        stage.ledger.jobs.answered(ACCOUNT, "nobody")
        assert stage.clocks("a") == {"due", "inflight"}
        assert stage.ttl("job", "nobody") == -2

    def test_an_ended_record_keeps_what_is_asked_for(self, stage: Stage) -> None:
        """An ended record keeps its request, its end and its story, and drops what only served it on its way."""
        stage.running("a", idempotency_key="k", callback_url="https://example.com/hook")
        stage.ledger.polls.record(ACCOUNT, [Polled("a", "ended", value='[["image","http://x/1.png"]]', seen=True)])
        record = taken(stage.resume("a", token="t"), Verb.STORE)
        assert stage.ledger.jobs.conclude(record, "t", JobState.SUCCEEDED, result='{"n":1}')
        stage.ledger.jobs.answered(ACCOUNT, "a")
        at = prefix(ACCOUNT)
        assert sorted(stage.server.hkeys(f"{at}job:a")) == sorted(
            [
                *(
                    "v",
                    "op",
                    "created",
                    "deadline",
                    "allowed",
                    "fp",
                    "idem",
                    "callback",
                    "state",
                    "intended",
                    "submits",
                ),
                *("pid", "submitted", "polls", "note", "ended", "result", "finished", "callback_owed", "answered"),
            ]
        )
        assert set(stage.server.hkeys(f"{at}body:a")) == {"request", "polls"}
        stage.ledger.jobs.answered(ACCOUNT, "a")
        assert stage.ttl("job", "a") == stage.ttl("body", "a") == 604800

    # Followers

    @pytest.mark.parametrize("ending", ["succeeded", "failed", "canceled", "unconfirmed"])
    def test_followers_share_every_end(self, stage: Stage, ending: str) -> None:
        """Each caller of a job gets its end, whichever it is, and afterwards nothing is on a clock."""
        crew = Crew(stage.ledger, stage.clock)
        record, token, attempt = stage.submitting("a", idempotency_key="k")
        for name in "bc":
            stage.arrive(name, idempotency_key="k")
        if ending == "succeeded":
            crew.send(stage.ledger.submits.submitted(record, token, attempt=attempt, provider_job_id="p", outputs="[]"))
        elif ending == "canceled":
            crew.send(stage.ledger.jobs.cancel(ACCOUNT, "a")[1])
        else:
            stage.ledger.jobs.conclude(record, token, JobState(ending), error=ERROR)
            crew.send(stage.ledger.jobs.answered(ACCOUNT, "a"))
        crew.work()
        assert {name: crew.answers.get(name) for name in "bc"} == {"b": ending, "c": ending}
        assert stage.clocks("a") == ({"unconfirmed"} if ending == "unconfirmed" else set())
        assert stage.ttl("followers", "a") == -2

    def test_a_job_stays_live_until_its_followers_know(self, stage: Stage) -> None:
        """The sweeper sends a lost hint to a follower again."""
        record, token = stage.storing("a", idempotency_key="k")
        stage.arrive("b", idempotency_key="k")
        stage.ledger.jobs.conclude(record, token, JobState.SUCCEEDED, result="{}")
        assert [hint.job_id for hint in stage.ledger.jobs.answered(ACCOUNT, "a").hints] == ["b"]
        assert stage.clocks("a") == {"lease"}
        stage.clock.advance(15)
        assert [hint.job_id for hint in stage.ledger.accounts.sweep(ACCOUNT)[0].hints] == ["b"]
        stage.ledger.jobs.answered(ACCOUNT, "b", leader="a")
        assert (stage.clocks("a"), stage.ttl("job", "a")) == (set(), 604800)

    def test_a_late_message_of_a_follower_leaves_nothing_behind(self, stage: Stage) -> None:
        """A follower whose caller has the answer does not follow again."""
        record, token = stage.storing("a", idempotency_key="k")
        stage.arrive("b", idempotency_key="k")
        stage.ledger.jobs.conclude(record, token, JobState.SUCCEEDED, result="{}")
        stage.ledger.jobs.answered(ACCOUNT, "a")
        stage.ledger.jobs.answered(ACCOUNT, "b", leader="a")
        assert stage.arrive("b", idempotency_key="k").verb is Verb.FOLLOW
        assert stage.ttl("followers", "a") == -2

    def test_a_follower_of_an_unconfirmed_job_gets_its_answer(self, stage: Stage) -> None:
        """A follower gets `unconfirmed` even where its worker dies first: the job goes back on the clock for it."""
        stage.unconfirmed("a", idempotency_key="k")
        stage.arrive("b", idempotency_key="k")
        crew = Crew(stage.ledger, stage.clock)
        stage.clock.advance(20)
        crew.sweep()
        crew.work()
        assert crew.answers == {"b": "unconfirmed"}
        assert stage.clocks("a") == {"unconfirmed"}

    def test_an_expired_follower_waits_no_more(self, stage: Stage) -> None:
        """A follower whose record is gone keeps no job on a clock."""
        record, token = stage.storing("a", idempotency_key="k")
        stage.arrive("b", idempotency_key="k")
        stage.server.delete(f"{prefix(ACCOUNT)}job:b")
        stage.ledger.jobs.conclude(record, token, JobState.SUCCEEDED, result="{}")
        assert stage.ledger.jobs.answered(ACCOUNT, "a").hints == ()
        assert (stage.clocks("a"), stage.ttl("followers", "a")) == (set(), -2)

    # Cancelling

    def test_a_cancel_may_overtake_the_job(self, stage: Stage) -> None:
        """The first step of a job that was canceled early takes no place, buys nothing and keeps no key."""
        stage.ledger.jobs.cancel_unknown("a")
        first = stage.arrive("a", token="t", idempotency_key="k")
        assert stage.arrive("a", token="t", idempotency_key="k") == first
        record = taken(first, Verb.ANSWER)
        failure = Failure.model_validate_json(record.text("error"))
        assert (record.state, failure.code, failure.job_id) == (JobState.CANCELED, FailureCode.CANCELED, "a")
        assert stage.clocks("a") == {"lease"}
        assert stage.arrive("b", idempotency_key="k").verb is Verb.SUBMIT
        stage.ledger.jobs.answered(ACCOUNT, "a")
        assert stage.clocks("a") == set()
        assert stage.ttl("job", "a") > 0
        assert stage.server.ttl(idempotency_key("k")) == -1

    def test_a_cancel_may_overtake_a_client(self, stage: Stage) -> None:
        """A client opens a job that was canceled early as canceled; its caller gets that even without a message."""
        stage.ledger.jobs.cancel_unknown("a")
        assert stage.server.ttl(canceled_key("a")) > 0
        assert stage.open("a").verb is stage.open("a").verb is Verb.OPENED
        assert not stage.server.exists(canceled_key("a"))
        crew = Crew(stage.ledger, stage.clock)
        stage.clock.advance(11)
        crew.sweep()
        crew.work()
        assert crew.answers == {"a": "canceled"}

    @pytest.mark.parametrize("state", ["queued", "submitting", "running", "storing"])
    def test_a_cancel_works_at_once(self, stage: Stage, state: str) -> None:
        """A cancel frees the job's place, takes its worker's lease and answers its caller, in every state."""
        if state == "queued":
            stage.open("a")
        else:
            getattr(stage, state)("a")
        was, messages = stage.ledger.jobs.cancel(ACCOUNT, "a")
        assert (was, [hint.queue for hint in messages.hints]) == (state, ["bide.store"])
        assert stage.clocks("a") == {"lease"}
        failure = Failure.model_validate_json(stage.field("a", "error"))
        assert (failure.code, failure.job_id) == (FailureCode.CANCELED, "a")

    def test_a_repeated_cancel_answers_again(self, stage: Stage) -> None:
        """A second cancel sends the caller's answer again until it has arrived; an ended job ignores it."""
        stage.running("a")
        first = stage.ledger.jobs.cancel(ACCOUNT, "a")[1]
        assert stage.ledger.jobs.cancel(ACCOUNT, "a") == ("canceled", first)
        stage.ledger.jobs.answered(ACCOUNT, "a")
        assert stage.ledger.jobs.cancel(ACCOUNT, "a")[1].hints == ()
        stage.finished("b")
        state, messages = stage.ledger.jobs.cancel(ACCOUNT, "b")
        assert (state, messages.hints) == ("succeeded", ())
        assert stage.ledger.jobs.cancel(ACCOUNT, "nobody")[0] == ""

    def test_a_canceled_follower_leaves_the_job_running(self, stage: Stage) -> None:
        """A follower's cancel answers its own caller alone, by its own signature, and its keys keep their TTL."""
        stage.running("a", idempotency_key="k")
        stage.arrive("b", idempotency_key="k", signature="mine")
        state, messages = stage.ledger.jobs.cancel(ACCOUNT, "b")
        assert (state, messages.hints[0].signature) == ("following", "mine")
        assert (stage.state("a"), stage.ledger.jobs.followers(ACCOUNT, "a")) == ("running", {})
        assert stage.resume("b").verb is Verb.ANSWER
        stage.ledger.jobs.answered(ACCOUNT, "b")
        assert stage.clocks("b") == set()
        assert (stage.ttl("job", "b"), stage.ttl("body", "b")) == (604800, -2)

    def test_the_last_follower_to_leave_lets_the_job_rest(self, stage: Stage) -> None:
        """A follower that cancels before its answer keeps nothing on the clock."""
        record, token = stage.storing("a", idempotency_key="k")
        stage.arrive("b", idempotency_key="k")
        stage.ledger.jobs.conclude(record, token, JobState.SUCCEEDED, result="{}")
        stage.ledger.jobs.answered(ACCOUNT, "a")
        stage.ledger.jobs.cancel(ACCOUNT, "b")
        assert (stage.clocks("a"), stage.ttl("job", "a")) == (set(), 604800)
