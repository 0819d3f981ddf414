"""The ledger's contract about unconfirmed jobs that an operator settles: attach, resubmit, give up."""

from __future__ import annotations

import pytest

from bide.contract import FailureCode, JobState
from bide.ledger import Messages, Polled, Verb
from bide.ledger.keys import prefix
from bide.ledger.snapshot import take_snapshot
from bide.ledger.timeline import Event, events
from bide.ledger.unconfirmed import remarks
from tests.contract.ledger_stage import ACCOUNT, ERROR, Stage, taken

#: What a poll of an id that the provider does not know comes to.
LOST = '{"code":"lost","message":"not found","job_id":""}'


class OperatorsContract:
    """An unconfirmed job waits for an operator, however long; nothing else of it is lost meanwhile."""

    def test_an_unconfirmed_job_waits_for_ever(self, stage: Stage) -> None:
        """An unconfirmed job stands on the list, on no clock, and its record and request have no TTL."""
        stage.unconfirmed("a")
        stage.clock.advance(100 * 24 * 3600)
        stage.ledger.accounts.sweep(ACCOUNT)
        assert stage.clocks("a") == {"unconfirmed"}
        assert (stage.ttl("job", "a"), stage.ttl("body", "a")) == (-1, -1)
        [record] = stage.ledger.unconfirmed.records(ACCOUNT)
        assert (record.job_id, record.request.params["prompt"]) == ("a", "a red fox")

    def test_the_list_begins_with_the_oldest(self, stage: Stage) -> None:
        """The list is in the order in which jobs became unconfirmed."""
        for job_id in ("c", "a", "b"):
            stage.unconfirmed(job_id)
            stage.clock.advance(1)
        assert [record.job_id for record in stage.ledger.unconfirmed.records(ACCOUNT)] == ["c", "a", "b"]

    def test_the_record_keeps_who_settled_it(self, stage: Stage) -> None:
        """Each time, in the note and in the timeline; a name breaks no line. Without a name the record keeps none."""
        for job_id in ("a", "b"):
            stage.unconfirmed(job_id)
        unconfirmed = stage.ledger.unconfirmed
        for _ in range(2):
            unconfirmed.resubmit(ACCOUNT, "a", by="anna\n0 forged by bob")
        assert stage.field("a", "note") == "submitted again by anna\\n0 forged by bob"
        stage.clock.advance(5)
        record = taken(stage.resume("a", token="t"), Verb.SUBMIT)
        stage.ledger.submits.intend(record, "t")
        stage.ledger.jobs.conclude(record, "t", JobState.UNCONFIRMED, error=ERROR)
        unconfirmed.attach(ACCOUNT, "a", "p-9", by="bert")
        unconfirmed.give_up(ACCOUNT, "b", by="c" * 1000)

        settled = [(event.at, event.detail) for event in _timeline(stage, "a") if event.what == "settled"]
        now = stage.clock.now
        assert settled == [(now - 5, "submitted again by anna\\n0 forged by bob"), (now, "attached as p-9 by bert")]
        assert [event.detail for event in _timeline(stage, "b") if event.what == "settled"] == [
            f"given up by {'c' * 64}"
        ]
        stage.unconfirmed("d")
        unconfirmed.give_up(ACCOUNT, "d")
        assert (stage.field("d", "settled"), stage.field("d", "note")) == ("", "given up by an operator")

    # In line on an old backup

    @pytest.mark.parametrize("taken_up", [False, True])
    def test_a_job_in_line_may_have_been_bought(self, stage: Stage, taken_up: bool) -> None:
        """It stands on the list, on no clock; its caller gets an answer, and a worker that has it buys nothing."""
        step = stage.arrive("a", token="t" if taken_up else "")
        done, messages = stage.ledger.unconfirmed.doubt(ACCOUNT, "a", by="anna")

        assert done
        assert [(hint.job_id, hint.queue) for hint in messages.hints] == [("a", "bide.store")]
        if taken_up:
            assert stage.ledger.submits.intend(taken(step, Verb.SUBMIT), "t") == 0
        stage.clock.advance(100)
        stage.ledger.accounts.sweep(ACCOUNT)
        assert stage.state("a") == "unconfirmed"
        [record] = stage.ledger.unconfirmed.records(ACCOUNT)
        assert record.failure.code == FailureCode.SUBMISSION_UNKNOWN
        assert [event.detail for event in _timeline(stage, "a") if event.what == "settled"] == [
            "put on the list by anna"
        ]

    def test_it_is_settled_as_any_other(self, stage: Stage) -> None:
        """Attached it goes on, submitted again it is in line."""
        for job_id in ("a", "b", "c"):
            stage.arrive(job_id)
            assert stage.ledger.unconfirmed.doubt(ACCOUNT, job_id)[0]
        assert stage.ledger.unconfirmed.attach(ACCOUNT, "a", "p-9")[0]
        assert stage.ledger.unconfirmed.resubmit(ACCOUNT, "b")[0]
        assert stage.ledger.unconfirmed.give_up(ACCOUNT, "c")[0]

        assert [stage.state(job_id) for job_id in ("a", "b", "c")] == ["running", "queued", "failed"]
        assert stage.field("a", "pid") == "p-9"

    def test_only_a_job_in_line_is_put_on_the_list(self, stage: Stage) -> None:
        """Any other goes its way."""
        stage.running("a")
        stage.submitting("b")
        stage.finished("c")
        for job_id in ("a", "b", "c", "unknown"):
            before = stage.state(job_id)
            assert stage.ledger.unconfirmed.doubt(ACCOUNT, job_id) == (False, Messages())
            assert stage.state(job_id) == before

    # Attach

    def test_an_attached_job_goes_on_to_its_result(self, stage: Stage) -> None:
        """An attached job is polled at once by the provider's id, with a new deadline, and answers its caller anew."""
        stage.unconfirmed("a")
        stage.clock.advance(10_000)
        done, messages = stage.ledger.unconfirmed.attach(ACCOUNT, "a", "p-9")
        assert done
        assert messages.round is not None
        assert stage.clocks("a") == {"due", "inflight"}
        assert float(stage.field("a", "deadline")) == stage.clock.now + 1800
        [job] = stage.ledger.polls.claim(ACCOUNT, messages.round.seq, batch=5).jobs
        assert job.provider_job_id == "p-9"
        [hint] = stage.ledger.polls.record(ACCOUNT, [Polled("a", "ended", seen=True)]).hints
        record = taken(stage.resume("a", token="t"), Verb.STORE)
        assert (hint.signature, record.moment("submitted")) == ('{"root_id":"r"}', record.moment("intended"))
        assert stage.ledger.jobs.conclude(record, "t", JobState.SUCCEEDED, result="{}")
        stage.ledger.jobs.answered(ACCOUNT, "a")
        assert (stage.state("a"), stage.clocks("a")) == ("succeeded", set())
        assert stage.ttl("job", "a") > 0

    def test_attaching_twice_is_attaching_once(self, stage: Stage) -> None:
        """The id of a settled job may be attached again, since an answer may be lost; another id is refused."""
        stage.unconfirmed("a")
        assert stage.ledger.unconfirmed.attach(ACCOUNT, "a", "p-9")[0]
        assert stage.ledger.unconfirmed.attach(ACCOUNT, "a", "p-9") == (
            True,
            stage.ledger.unconfirmed.attach(ACCOUNT, "a", "p-8")[1],
        )
        assert not stage.ledger.unconfirmed.attach(ACCOUNT, "a", "p-8")[0]
        assert stage.field("a", "pid") == "p-9"

    def test_a_job_with_a_mistyped_id_is_unconfirmed_again(self, stage: Stage) -> None:
        """A job attached to an id that the provider does not know is unconfirmed again, and can be settled again."""
        stage.unconfirmed("a")
        stage.ledger.unconfirmed.attach(ACCOUNT, "a", "p-mistyped")
        [hint] = stage.ledger.polls.record(
            ACCOUNT, [Polled("a", "failed", value=LOST, note=FailureCode.LOST.value)]
        ).hints
        assert (hint.job_id, stage.state("a"), stage.field("a", "error")) == ("a", "unconfirmed", ERROR)
        assert stage.clocks("a") == {"lease", "unconfirmed"}
        assert stage.field("a", "pid") == ""
        taken(stage.resume("a", token="t"), Verb.ANSWER)
        stage.ledger.jobs.answered(ACCOUNT, "a")
        assert stage.clocks("a") == {"unconfirmed"}
        assert stage.ledger.unconfirmed.attach(ACCOUNT, "a", "p-9")[0]

    def test_a_job_whose_attached_id_could_not_be_polled_is_unconfirmed_again(self, stage: Stage) -> None:
        """An attached job is unconfirmed again where the provider was away until its deadline."""
        stage.unconfirmed("a")
        stage.ledger.unconfirmed.attach(ACCOUNT, "a", "p-9")
        late = LOST.replace("lost", "deadline")
        stage.ledger.polls.record(ACCOUNT, [Polled("a", "failed", value=late, note=FailureCode.DEADLINE.value)])
        assert (stage.state("a"), stage.field("a", "error")) == ("unconfirmed", ERROR)

    def test_a_job_stays_unconfirmed_after_a_deadline_in_line(self, stage: Stage) -> None:
        """A resubmitted job whose deadline passes in line is unconfirmed: its first submit may have been accepted."""
        stage.unconfirmed("a")
        stage.ledger.accounts.pause(ACCOUNT, reason="no credit", by="operator")
        assert stage.ledger.unconfirmed.resubmit(ACCOUNT, "a")[0]
        stage.clock.advance(10_000)
        stage.ledger.accounts.sweep(ACCOUNT)
        assert stage.state("a") == "unconfirmed"
        assert "unconfirmed" in stage.clocks("a")
        assert FailureCode.SUBMISSION_UNKNOWN.value in stage.field("a", "error")

    def test_an_attached_job_that_was_seen_can_be_lost(self, stage: Stage) -> None:
        """An attached job that the provider knew and forgot has failed like any other."""
        stage.unconfirmed("a")
        stage.ledger.unconfirmed.attach(ACCOUNT, "a", "p-9")
        stage.ledger.polls.record(ACCOUNT, [Polled("a", "running", 1.0, seen=True)])
        stage.ledger.polls.record(ACCOUNT, [Polled("a", "failed", value=LOST, note=FailureCode.LOST.value)])
        assert stage.state("a") == "failed"

    def test_a_late_answer_beside_an_attached_id_is_kept(self, stage: Stage) -> None:
        """The id of a late answer is kept beside the id that an operator attached."""
        record, token, attempt = stage.unconfirmed("a")
        stage.ledger.unconfirmed.attach(ACCOUNT, "a", "p-9")
        stage.ledger.submits.submitted(record, token, attempt=attempt, provider_job_id="p-true")
        assert (stage.field("a", "pid"), stage.field("a", "other_pid")) == ("p-9", "p-true")
        assert stage.ledger.unconfirmed.holders(ACCOUNT, ["p-9", "p-true"]) == {"p-9": "a", "p-true": "a"}

    # Resubmit

    def test_an_operator_has_it_submitted_again(self, stage: Stage) -> None:
        """A resubmitted job stands in line with a new deadline, and its record counts both submits."""
        stage.unconfirmed("a")
        stage.clock.advance(10_000)
        done, messages = stage.ledger.unconfirmed.resubmit(ACCOUNT, "a")
        assert done
        assert messages.round is not None
        assert stage.clocks("a") == {"queued"}
        assert stage.ledger.accounts.sweep(ACCOUNT)[0].hints == ()
        assert stage.ledger.unconfirmed.resubmit(ACCOUNT, "a")[0], "its answer was lost on the way"
        record = taken(stage.resume("a", token="t"), Verb.SUBMIT)
        assert stage.ledger.submits.intend(record, "t") == 2
        assert stage.ledger.unconfirmed.resubmit(ACCOUNT, "a")[0] is False
        assert remarks(record) == ["submitted 2 times: each may have been bought"]

    def test_a_request_that_allows_it_says_so_too(self, stage: Stage) -> None:
        """A repeat by `on_unknown: resubmit` stays in the record after later polls."""
        record, token, _ = stage.submitting("a", on_unknown="resubmit")
        stage.ledger.jobs.conclude(record, token, JobState.UNCONFIRMED, error=ERROR)
        again = taken(stage.resume("a", token="t"), Verb.SUBMIT)
        stage.ledger.submits.submitted(again, "t", attempt=stage.ledger.submits.intend(again, "t"), provider_job_id="p")
        stage.ledger.polls.record(ACCOUNT, [Polled("a", "running", 1.0, note="rendering")])
        found = stage.ledger.jobs.read(ACCOUNT, "a")
        assert found is not None
        assert remarks(found) == ["submitted 2 times: each may have been bought"]

    # Give up

    def test_what_is_given_up_has_failed(self, stage: Stage) -> None:
        """A job that is given up leaves the list, has failed as `submission_unknown`, and gets its TTL."""
        stage.unconfirmed("a")
        assert stage.ledger.unconfirmed.give_up(ACCOUNT, "a") == (
            True,
            stage.ledger.unconfirmed.give_up(ACCOUNT, "a")[1],
        )
        assert (stage.state("a"), stage.clocks("a")) == ("failed", set())
        assert "submission_unknown" in stage.field("a", "error")
        assert stage.ttl("job", "a") > 0
        assert not stage.ledger.unconfirmed.attach(ACCOUNT, "a", "p")[0]

    def test_giving_up_answers_a_caller_that_has_no_answer(self, stage: Stage) -> None:
        """Giving up answers a caller whose worker died before the answer."""
        record, token, _ = stage.submitting("a")
        stage.ledger.jobs.conclude(record, token, JobState.UNCONFIRMED, error=ERROR)
        [hint] = stage.ledger.unconfirmed.give_up(ACCOUNT, "a")[1].hints
        assert (hint.job_id, hint.queue, stage.clocks("a")) == ("a", "bide.store", {"lease"})
        assert stage.resume("a").verb is Verb.ANSWER
        stage.ledger.jobs.answered(ACCOUNT, "a")
        assert stage.ttl("job", "a") > 0

    def test_canceling_settles_too(self, stage: Stage) -> None:
        """A cancel takes an unconfirmed job off the list, and its record gets a TTL."""
        stage.unconfirmed("a")
        assert stage.ledger.jobs.cancel(ACCOUNT, "a")[0] == "unconfirmed"
        assert stage.resume("a").verb is Verb.ANSWER
        stage.ledger.jobs.answered(ACCOUNT, "a")
        assert stage.clocks("a") == set()
        assert stage.ttl("job", "a") > 0

    # All of them

    @pytest.mark.parametrize("state", ["", "queued", "submitting", "running", "storing", "succeeded"])
    def test_only_an_unconfirmed_job_is_settled(self, stage: Stage, state: str) -> None:
        """Attach, resubmit and give up leave a job in any other state as it is."""
        if state == "queued":
            stage.open("a")
        elif state == "succeeded":
            stage.finished("a")
        elif state:
            getattr(stage, state)("a")
        before = stage.clocks("a")
        assert not stage.ledger.unconfirmed.attach(ACCOUNT, "a", "p")[0]
        assert not stage.ledger.unconfirmed.resubmit(ACCOUNT, "a")[0]
        assert not stage.ledger.unconfirmed.give_up(ACCOUNT, "a")[0]
        assert (stage.state("a"), stage.clocks("a")) == (state, before)
        assert state or not stage.server.exists(f"{prefix(ACCOUNT)}job:a")

    def test_followers_hear_of_the_settled_end(self, stage: Stage) -> None:
        """A follower of an unconfirmed job gets the end that it comes to."""
        stage.unconfirmed("a", idempotency_key="k")
        assert stage.arrive("b", idempotency_key="k").verb is Verb.FOLLOW
        stage.ledger.unconfirmed.attach(ACCOUNT, "a", "p-9")
        stage.ledger.polls.record(ACCOUNT, [Polled("a", "ended", seen=True)])
        record = taken(stage.resume("a", token="t"), Verb.STORE)
        stage.ledger.jobs.conclude(record, "t", JobState.SUCCEEDED, result="{}")
        assert [hint.job_id for hint in stage.ledger.jobs.answered(ACCOUNT, "a").hints] == ["b"]


def _timeline(stage: Stage, job_id: str) -> list[Event]:
    record = stage.ledger.jobs.read(ACCOUNT, job_id)
    assert record is not None
    return events(take_snapshot(stage.ledger, record))
