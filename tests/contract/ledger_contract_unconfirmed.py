"""The ledger's contract about unconfirmed jobs that the provider's own answer settles: it comes late."""

from __future__ import annotations

import pytest

from bide.contract import FailureCode, JobState
from bide.ledger import Concluded, Polled, Record, Verb
from bide.ledger.keys import prefix
from bide.ledger.unconfirmed import remarks
from tests.contract.ledger_contract_submits import intended_again, waiting_again
from tests.contract.ledger_stage import ACCOUNT, ERROR, Crew, Stage, taken


class UnconfirmedContract:
    """An answer that comes after its lease was judged counts as long as the job is still unconfirmed."""

    # Refused late

    def test_a_late_refusal_brings_a_job_back_in_line(self, stage: Stage) -> None:
        """A job refused late, whose caller has no answer yet, stands in line with its deadline; the breaker is open."""
        record, token, attempt = stage.submitting("a")
        stage.ledger.jobs.conclude(record, token, JobState.UNCONFIRMED, error=ERROR)
        deadline = stage.field("a", "deadline")
        stage.clock.advance(100)
        for _ in range(2):
            refuse_late(stage, record, token, attempt)
            assert (stage.state("a"), stage.clocks("a")) == ("queued", {"queued"})
        assert (stage.field("a", "error"), stage.field("a", "deadline")) == ("", deadline)
        assert stage.account("strikes") == 1
        stage.clock.advance(1)
        intended_again(stage, "a", "t2")
        assert stage.field("a", "submits") == "2"

    def test_a_late_refusal_ends_a_job_whose_caller_knows(self, stage: Stage) -> None:
        """A late refusal ends a job whose caller has `submission_unknown`, since that may have ordered anew."""
        record, token, attempt = stage.unconfirmed("a", callback_url="https://example.com/")
        messages = stage.ledger.submits.refused(record, token, attempt=attempt, reason="429", after_seconds=None)
        assert [(hint.job_id, hint.queue) for hint in messages.hints] == [("a", "bide.store")]
        assert not stage.ledger.submits.refused(record, token, attempt=attempt, reason="429", after_seconds=None).hints
        assert (stage.state("a"), stage.clocks("a")) == ("failed", {"lease"})
        assert (stage.account("strikes"), stage.field("a", "callback")) == (1, "2")
        failure = taken(stage.resume("a"), Verb.ANSWER).failure
        assert (failure.code, failure.job_id) == (FailureCode.REJECTED, "a")
        assert failure.message == "the provider did not accept it, as its late answer says: 429"
        stage.ledger.jobs.answered(ACCOUNT, "a")
        assert (stage.clocks("a"), stage.ttl("job", "a")) == (set(), 604800)

    def test_a_late_refusal_leaves_a_job_whose_first_submit_is_unconfirmed(self, stage: Stage) -> None:
        """A late refusal of the second submit leaves the job to an operator: the first may have been accepted."""
        record, token, _ = stage.submitting("a", on_unknown="resubmit")
        stage.ledger.jobs.conclude(record, token, JobState.UNCONFIRMED, error=ERROR)
        second = intended_again(stage, "a", "t2")
        stage.ledger.jobs.conclude(second, "t2", JobState.UNCONFIRMED, error=ERROR)
        stage.ledger.jobs.answered(ACCOUNT, "a")
        for _ in range(2):
            refuse_late(stage, second, "t2", 2)
            assert (stage.clocks("a"), stage.field("a", "error")) == ({"unconfirmed"}, ERROR)
            assert (stage.field("a", "again"), stage.field("a", "answered")) == ("1", "1")

    def test_a_late_refusal_for_good_ends_a_job(self, stage: Stage) -> None:
        """A late refusal for good ends the job with the provider's reason; after the answer its record rests."""
        record, token, attempt = stage.unconfirmed("a")
        for _ in range(2):
            assert stage.ledger.jobs.conclude(record, token, JobState.FAILED, error=ERROR, attempt=attempt)
        assert (stage.state("a"), stage.field("a", "error"), stage.clocks("a")) == ("failed", ERROR, {"lease"})
        stage.ledger.jobs.answered(ACCOUNT, "a")
        assert (stage.clocks("a"), stage.ttl("job", "a")) == (set(), 604800)

    def test_a_late_refusal_overtakes_the_news_that_it_is_unconfirmed(self, stage: Stage) -> None:
        """The hint that would have brought `unconfirmed` to the caller finds the job in line."""
        record, token, attempt = stage.submitting("a")
        stage.ledger.jobs.conclude(record, token, JobState.UNCONFIRMED, error=ERROR)
        refuse_late(stage, record, token, attempt)
        assert stage.resume("a").verb is Verb.WAIT

    @pytest.mark.parametrize("settled", ["attached", "submitting again", "running again", "given up", "canceled"])
    def test_what_was_settled_meanwhile_stays(self, stage: Stage, settled: str) -> None:
        """A late refusal says nothing of a job that an operator, its caller or another submit has settled."""
        record, token, attempt = stage.unconfirmed("a")
        if settled == "attached":
            stage.ledger.unconfirmed.attach(ACCOUNT, "a", "p-9")
        elif settled == "given up":
            stage.ledger.unconfirmed.give_up(ACCOUNT, "a")
        elif settled == "canceled":
            stage.ledger.jobs.cancel(ACCOUNT, "a")
        else:
            stage.ledger.unconfirmed.resubmit(ACCOUNT, "a")
            again = intended_again(stage, "a", "t2")
            if settled == "running again":
                stage.ledger.submits.submitted(again, "t2", attempt=2, provider_job_id="p")
        before = stage.server.hgetall(f"{prefix(ACCOUNT)}job:a")
        clocks = stage.clocks("a")
        refuse_late(stage, record, token, attempt)
        assert not stage.ledger.jobs.conclude(record, token, JobState.FAILED, error=ERROR, attempt=attempt)
        assert (stage.server.hgetall(f"{prefix(ACCOUNT)}job:a"), stage.clocks("a")) == (before, clocks)

    @pytest.mark.parametrize("by", ["request", "operator"])
    def test_a_late_refusal_before_the_second_submit_leaves_nothing_unconfirmed(self, stage: Stage, by: str) -> None:
        """A late refusal leaves a job in line for its second submit as if the first had been refused in time."""
        record, token, attempt = waiting_again(stage, by)
        for _ in range(2):
            refuse_late(stage, record, token, attempt)
            found = stage.ledger.jobs.read(ACCOUNT, "a")
            assert found is not None
            assert remarks(found) == []
        stage.clock.advance(10_000)
        stage.ledger.accounts.sweep(ACCOUNT)
        assert stage.state("a") == "failed", "its deadline passed, and nothing was bought"

    def test_a_late_refusal_keeps_the_unconfirmed_submit_before_it(self, stage: Stage) -> None:
        """A late refusal of the second submit leaves the first one unconfirmed."""
        record, token, _ = stage.submitting("a", on_unknown="resubmit")
        stage.ledger.jobs.conclude(record, token, JobState.UNCONFIRMED, error=ERROR)
        second = intended_again(stage, "a", "t2")
        stage.ledger.jobs.conclude(second, "t2", JobState.UNCONFIRMED, error=ERROR)
        refuse_late(stage, second, "t2", 2)
        assert (stage.clocks("a"), stage.field("a", "again")) == ({"queued"}, "1")

    def test_an_operators_resubmit_of_a_counted_submit_counts_once(self, stage: Stage) -> None:
        """A repeat that the request allowed, and an operator took up after the deadline, counts once."""
        record, token, attempt = stage.submitting("a", on_unknown="resubmit")
        stage.ledger.jobs.conclude(record, token, JobState.UNCONFIRMED, error=ERROR)
        stage.clock.advance(10_000)
        stage.ledger.accounts.sweep(ACCOUNT)
        stage.ledger.jobs.answered(ACCOUNT, "a")
        assert stage.ledger.unconfirmed.resubmit(ACCOUNT, "a")[0]
        refuse_late(stage, record, token, attempt)
        found = stage.ledger.jobs.read(ACCOUNT, "a")
        assert found is not None
        assert (stage.clocks("a"), remarks(found)) == ({"queued"}, [])

    def test_a_mark_that_an_older_release_left_over_takes_nothing_back(self, stage: Stage) -> None:
        """A mark that an older release did not clear lets a late refusal settle no other submit."""
        record, token, _ = stage.submitting("a", on_unknown="resubmit")
        stage.ledger.jobs.conclude(record, token, JobState.UNCONFIRMED, error=ERROR)
        second = intended_again(stage, "a", "t2")
        stage.server.hset(f"{prefix(ACCOUNT)}job:a", "doubt", 1)
        stage.ledger.jobs.conclude(second, "t2", JobState.UNCONFIRMED, error=ERROR)
        refuse_late(stage, second, "t2", 2)
        assert (stage.clocks("a"), stage.field("a", "again")) == ({"queued"}, "1")

    def test_a_refusal_without_its_attempt_is_no_news(self, stage: Stage) -> None:
        """A worker that lost its lease before it sent anything settles no submit of another worker."""
        record, _, _ = stage.unconfirmed("a")
        assert not stage.ledger.jobs.conclude(record, "stranger", JobState.FAILED, error=ERROR)
        assert stage.clocks("a") == {"unconfirmed"}

    # Unconfirmed before the last submit

    @pytest.mark.parametrize("sent", [True, False])
    def test_a_second_submit_that_is_refused_leaves_the_first_unconfirmed(self, stage: Stage, sent: bool) -> None:
        """The job is unconfirmed for operator and caller: its first submit may have used the credit up."""
        record, token, _ = stage.submitting("a", on_unknown="resubmit", callback_url="https://example.com/")
        stage.ledger.jobs.conclude(record, token, JobState.UNCONFIRMED, error=ERROR)
        second = intended_again(stage, "a", "t2") if sent else taken(stage.resume("a", token="t2"), Verb.SUBMIT)
        for _ in range(2):  # its answer was lost on the way
            ended = stage.ledger.jobs.conclude(second, "t2", JobState.FAILED, error=ERROR, attempt=2 * sent)
            assert ended is Concluded.UNCONFIRMED
        assert stage.field("a", "callback") == "1"
        assert stage.clocks("a") == {"lease", "unconfirmed"}
        failure = taken(stage.resume("a"), Verb.ANSWER).failure
        assert (failure.code, failure.message) == (
            FailureCode.SUBMISSION_UNKNOWN,
            "an earlier submit of it may have been accepted; this one was not: no",
        )

    def test_workers_that_die_leave_the_first_submit_unconfirmed(self, stage: Stage) -> None:
        """A resubmitted job whose workers die before its intent is unconfirmed, by its first submit."""
        stage.unconfirmed("a")
        stage.ledger.unconfirmed.resubmit(ACCOUNT, "a")
        for number in range(3):
            taken(stage.resume("a", token=f"t{number}"), Verb.SUBMIT)
            for _ in range(3):
                stage.clock.advance(9)
                stage.ledger.accounts.sweep(ACCOUNT)
        assert stage.state("a") == "unconfirmed"

    # Accepted late

    @pytest.mark.parametrize("state", ["unconfirmed", "queued"])
    def test_an_earlier_submit_that_was_accepted_settles_the_job(self, stage: Stage, state: str) -> None:
        """The id of the first submit lets the job go on, and nothing more is bought."""
        record, token, _ = stage.submitting("a", on_unknown="resubmit")
        stage.ledger.jobs.conclude(record, token, JobState.UNCONFIRMED, error=ERROR)
        second = intended_again(stage, "a", "t2")
        if state == "unconfirmed":
            stage.ledger.jobs.conclude(second, "t2", JobState.UNCONFIRMED, error=ERROR)
        else:
            refuse_late(stage, second, "t2", 2)
        assert stage.state("a") == state
        for _ in range(2):
            stage.ledger.submits.submitted(record, token, attempt=1, provider_job_id="p1")
            assert (stage.field("a", "pid"), stage.field("a", "other_pid")) == ("p1", "")
            assert stage.clocks("a") == {"due", "inflight"}

    # Followers

    @pytest.mark.parametrize("how", ["attach", "late answer", "late refusal", "resubmit", "cancel"])
    def test_followers_of_an_unconfirmed_job_hear_the_end(self, stage: Stage, how: str) -> None:
        """Each caller of an unconfirmed job gets its end once, in place of `submission_unknown`."""
        record, token, attempt = stage.submitting("a", idempotency_key="k")
        for name in "bc":
            stage.arrive(name, idempotency_key="k", signature=f"of {name}")
        crew = Crew(stage.ledger, stage.clock)
        stage.ledger.jobs.conclude(record, token, JobState.UNCONFIRMED, error=ERROR)
        crew.send(stage.ledger.jobs.answered(ACCOUNT, "a"))
        crew.work()
        assert (crew.answers, stage.clocks("a")) == ({"b": "unconfirmed", "c": "unconfirmed"}, {"unconfirmed"})
        assert stage.ttl("doubters", "a") == 604800

        crew.answers.clear()
        match how:
            case "attach":
                crew.send(stage.ledger.unconfirmed.attach(ACCOUNT, "a", "p-9")[1])
            case "late answer":
                crew.send(stage.ledger.submits.submitted(record, token, attempt=attempt, provider_job_id="p"))
            case "late refusal":
                refuse_late(stage, record, token, attempt)
            case "resubmit":
                crew.send(stage.ledger.unconfirmed.resubmit(ACCOUNT, "a")[1])
            case _:
                crew.send(stage.ledger.jobs.cancel(ACCOUNT, "a")[1])
        for _ in range(4):
            stage.clock.advance(9)
            crew.sweep()
            crew.work()
        end = {"cancel": "canceled", "late refusal": "failed"}.get(how, "succeeded")
        assert crew.answers == dict.fromkeys("abc", end)
        assert (stage.ttl("followers", "a"), stage.ttl("doubters", "a")) == (-2, -2)
        assert (stage.clocks("a"), stage.ttl("job", "a")) == (set(), 604800)

    def test_a_follower_that_hears_unconfirmed_too_late_waits_on(self, stage: Stage) -> None:
        """A follower waits on where the job went on between its answer and the report of it."""
        stage.unconfirmed("a", idempotency_key="k")
        stage.arrive("b", idempotency_key="k")
        stage.ledger.unconfirmed.attach(ACCOUNT, "a", "p-9")
        stage.ledger.jobs.answered(ACCOUNT, "b", leader="a")
        assert stage.ledger.jobs.followers(ACCOUNT, "a").keys() == {"b"}

    @pytest.mark.parametrize("known_state", ["unconfirmed", "succeeded"])
    def test_a_follower_of_a_job_that_was_settled_meanwhile_waits_on(self, stage: Stage, known_state: str) -> None:
        """A follower gets the end that came between its answer and the report of it."""
        stage.unconfirmed("a", idempotency_key="k")
        stage.arrive("b", idempotency_key="k")
        stage.ledger.unconfirmed.attach(ACCOUNT, "a", "p-9")
        stage.ledger.polls.record(ACCOUNT, [Polled("a", "ended", seen=True)])
        record = taken(stage.resume("a", token="t"), Verb.STORE)
        stage.ledger.jobs.conclude(record, "t", JobState.SUCCEEDED, result="{}")
        stage.ledger.jobs.answered(ACCOUNT, "b", leader="a", known_state=known_state)
        hints = stage.ledger.jobs.answered(ACCOUNT, "a").hints
        assert [hint.job_id for hint in hints] == (["b"] if known_state == "unconfirmed" else [])

    def test_giving_up_is_no_news_for_followers_who_know(self, stage: Stage) -> None:
        """Giving up answers only those callers that have no `submission_unknown` yet."""
        stage.unconfirmed("a", idempotency_key="k")
        for name in "bc":
            stage.arrive(name, idempotency_key="k")
        stage.ledger.jobs.answered(ACCOUNT, "b", leader="a")
        hints = stage.ledger.unconfirmed.give_up(ACCOUNT, "a")[1].hints
        assert [hint.job_id for hint in hints] == ["c"]
        assert stage.ttl("doubters", "a") == -2

    def test_a_follower_of_an_unconfirmed_job_may_cancel(self, stage: Stage) -> None:
        """A follower's cancel answers it by its own signature, and it hears no more of the job."""
        stage.unconfirmed("a", idempotency_key="k")
        stage.arrive("b", idempotency_key="k", signature="mine")
        stage.ledger.jobs.answered(ACCOUNT, "b", leader="a")
        [hint] = stage.ledger.jobs.cancel(ACCOUNT, "b")[1].hints
        assert (hint.signature, stage.ttl("doubters", "a")) == ("mine", -2)


def refuse_late(stage: Stage, record: Record, token: str, attempt: int) -> None:
    """Have that submit refused, as the provider has no time now."""
    stage.ledger.submits.refused(record, token, attempt=attempt, reason="429", after_seconds=None)
