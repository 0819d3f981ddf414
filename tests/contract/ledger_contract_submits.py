"""The ledger's contract about buying: intents, answers, refusals and unconfirmed submits."""

from __future__ import annotations

import pytest

from bide.contract import JobState
from bide.ledger import Limits, Record, Verb
from bide.ledger.keys import prefix
from bide.ledger.submits import TOO_LATE
from tests.contract.ledger_stage import ACCOUNT, ERROR, Stage, taken


class SubmitsContract:
    """A submit from the intent to buy to what its answer means."""

    def test_an_intent_counts_once(self, stage: Stage) -> None:
        """An intent that is written twice is one attempt; a worker without the lease gets none."""
        record, token, attempt = stage.submitting("a")
        assert attempt == stage.ledger.submits.intend(record, token) == 1
        assert stage.ledger.submits.intend(record, "stranger") == 0

    def test_no_intent_after_a_cancel(self, stage: Stage) -> None:
        """A cancel between a step's lease and its intent comes in time."""
        step = stage.arrive("a", token="t")
        assert step.record is not None
        stage.ledger.jobs.cancel(ACCOUNT, "a")
        assert stage.ledger.submits.intend(step.record, "t") == 0

    def test_no_intent_after_the_deadline(self, stage: Stage) -> None:
        """The script that writes the intent checks the deadline; the job stays its worker's, which ends it."""
        record = taken(stage.arrive("a", token="t", deadline_seconds=5), Verb.SUBMIT)
        stage.clock.advance(5)
        assert stage.ledger.submits.intend(record, "t") == stage.ledger.submits.intend(record, "t") == TOO_LATE
        assert (stage.field("a", "submits"), stage.clocks("a")) == ("", {"lease", "inflight"})
        assert stage.ledger.jobs.conclude(record, "t", JobState.FAILED, error=ERROR)

    def test_an_end_may_have_a_note(self, stage: Stage) -> None:
        """An end may have a note, as of a result that is not whole; without one the note stays empty."""
        record, token = stage.storing("a")
        assert stage.ledger.jobs.conclude(record, token, JobState.SUCCEEDED, result="{}", note="1 of 2 outputs")
        assert stage.field("a", "note") == "1 of 2 outputs"
        stage.finished("b")
        assert stage.field("b", "note") == ""

    def test_an_intent_in_time_stands(self, stage: Stage) -> None:
        """A repeated intent gives the same attempt, although the deadline passed in between."""
        record, token, attempt = stage.submitting("a", deadline_seconds=5)
        stage.clock.advance(6)
        assert stage.ledger.submits.intend(record, token) == attempt == 1

    def test_a_deadline_of_a_tenth_of_a_millisecond_buys_nothing(self, stage: Stage) -> None:
        """A record's deadline is never later than the caller's, at whatever part of a millisecond."""
        for n in range(50):
            stage.clock.advance(0.00037)
            record = taken(stage.arrive(f"a{n}", token="t", deadline_seconds=0.0001), Verb.SUBMIT)
            stage.clock.advance(0.0001)
            assert stage.ledger.submits.intend(record, "t") == TOO_LATE

    def test_an_accepted_job_is_polled(self, stage: Stage) -> None:
        """An accepted job stands on `due`, and a round is scheduled; a second report changes nothing."""
        record, token, attempt = stage.submitting("a")
        for _ in range(2):
            messages = stage.ledger.submits.submitted(
                record, token, attempt=attempt, provider_job_id="p", first_poll_seconds=3
            )
            assert stage.clocks("a") == {"due", "inflight"}
            assert messages.round is None or messages.round.countdown_seconds == 3
        assert stage.account("seq") == 1

    @pytest.mark.parametrize(("outputs", "recorded"), [("", ""), ('[["image","http://x"]]', '[["image","http://x"]]')])
    def test_a_job_done_at_once_is_stored_and_makes_room(self, stage: Stage, outputs: str, recorded: str) -> None:
        """A job that is done at once goes to the store queue; the same script lets the next job in."""
        stage.limits[ACCOUNT] = Limits(max_in_flight=1)
        record, token, attempt = stage.submitting("a")
        stage.arrive("b")
        messages = stage.ledger.submits.submitted(record, token, attempt=attempt, provider_job_id="p", outputs=outputs)
        assert [(hint.job_id, hint.queue) for hint in messages.hints] == [("a", "bide.store"), ("b", "bide.submit")]
        assert (stage.state("a"), stage.field("a", "outputs")) == ("storing", recorded)
        assert stage.clocks("a") == {"lease"}

    # Late answers

    def test_a_late_answer_saves_an_unconfirmed_job(self, stage: Stage) -> None:
        """A late answer lets an unconfirmed job go on with a new deadline, even after its caller knows."""
        record, token, attempt = stage.unconfirmed("a")
        assert stage.clocks("a") == {"unconfirmed"}
        stage.clock.advance(10_000)
        stage.ledger.submits.submitted(record, token, attempt=attempt, provider_job_id="p", first_poll_seconds=2)
        assert (stage.state("a"), stage.clocks("a")) == ("running", {"due", "inflight"})
        assert float(stage.field("a", "deadline")) == stage.clock.now + 1800

    def test_a_late_answer_saves_a_second_purchase(self, stage: Stage) -> None:
        """A late answer takes a job out of the line that waits to be submitted again."""
        record, token, attempt = stage.submitting("a", on_unknown="resubmit")
        assert not stage.ledger.jobs.conclude(record, token, JobState.UNCONFIRMED, error=ERROR)
        again = stage.resume("a", token="t2").record
        assert again is not None
        stage.ledger.submits.submitted(record, token, attempt=attempt, provider_job_id="p", first_poll_seconds=2)
        assert stage.ledger.submits.intend(again, "t2") == 0
        assert stage.clocks("a") == {"due", "inflight"}

    def test_the_id_of_a_second_purchase_is_kept(self, stage: Stage) -> None:
        """The later of two accepted submits counts, and the record keeps the other's id."""
        record, token, attempt = stage.submitting("a", on_unknown="resubmit")
        stage.ledger.jobs.conclude(record, token, JobState.UNCONFIRMED, error=ERROR)
        second = intended_again(stage, "a", "t2")
        stage.ledger.submits.submitted(record, token, attempt=attempt, provider_job_id="p1")
        stage.ledger.submits.submitted(second, "t2", attempt=2, provider_job_id="p2")
        assert (stage.field("a", "pid"), stage.field("a", "other_pid")) == ("p2", "p1")

    def test_an_answer_after_a_cancel_is_noted(self, stage: Stage) -> None:
        """A canceled job keeps the id of a purchase that was accepted after the cancel."""
        record, token, attempt = stage.submitting("a")
        stage.ledger.jobs.cancel(ACCOUNT, "a")
        assert not stage.ledger.submits.submitted(record, token, attempt=attempt, provider_job_id="p").hints
        assert (stage.state("a"), stage.field("a", "pid"), stage.clocks("a")) == ("canceled", "p", {"lease"})

    # Refusals

    def test_a_refused_job_waits_while_the_breaker_is_open(self, stage: Stage) -> None:
        """A refused job stands in line until the end of the provider's Retry-After; then one job goes ahead."""
        refuse(stage, "a", after_seconds=7)
        assert stage.clocks("a") == {"queued"}
        assert stage.arrive("b").verb is Verb.WAIT
        assert stage.account("round_at") == stage.clock.now + 7
        stage.clock.advance(7)
        assert len(stage.ledger.accounts.admit(ACCOUNT).hints) == 1

    def test_an_accepted_submit_opens_the_account_again(self, stage: Stage) -> None:
        """The accepted submit of the job that went ahead lets all others in."""
        refuse(stage, "a")
        for name in "bcd":
            stage.arrive(name)
        stage.clock.advance(1)
        (ahead,) = stage.ledger.accounts.admit(ACCOUNT).hints
        record = intended_again(stage, ahead.job_id, "t2")
        assert len(stage.ledger.submits.submitted(record, "t2", attempt=1, provider_job_id="p").hints) == 3

    def test_refusals_of_one_moment_are_one_failure(self, stage: Stage) -> None:
        """Ten submits that are refused together are one failure: the breaker is open for the first second only."""
        under_way = [stage.submitting(f"j{number}") for number in range(10)]
        stage.clock.advance(0.2)
        for record, token, _ in under_way:
            stage.ledger.submits.refused(record, token, attempt=1, reason="429", after_seconds=None)
        assert stage.account("strikes") == 1
        assert stage.account("gate_until") == stage.clock.now + 1

    def test_the_breaker_opens_for_twice_as_long_and_obeys_the_probe(self, stage: Stage) -> None:
        """A refusal of the job that went ahead is a new failure, and its Retry-After is obeyed."""
        refuse(stage, "a")
        open_seconds = []
        for after_seconds in (None, None, 90):
            stage.clock.now = stage.account("gate_until")
            stage.ledger.accounts.admit(ACCOUNT)
            record = intended_again(stage, "a", stage.token())
            stage.clock.advance(0.1)
            attempt, token = int(record.number("submits")) + 1, record.text("token")
            stage.ledger.submits.refused(record, token, attempt=attempt, reason="429", after_seconds=after_seconds)
            open_seconds.append(round(stage.account("gate_until") - stage.clock.now, 3))
        assert open_seconds == [2, 4, 90]

    def test_an_answer_to_an_older_submit_does_not_close_the_breaker(self, stage: Stage) -> None:
        """An accepted submit that left before the refusal does not close the breaker."""
        older = stage.submitting("a")
        refuse(stage, "b", after_seconds=60)
        stage.ledger.submits.submitted(older[0], older[1], attempt=older[2], provider_job_id="p")
        assert stage.account("gate_until") == stage.clock.now + 60

    def test_a_refused_job_is_neither_first_nor_last_for_ever(self, stage: Stage) -> None:
        """A refused job lets about a hundred others pass, so that it neither blocks the line nor starves."""
        stage.open("bad")
        for number in range(150):
            stage.open(f"j{number}")
        record, token = stage.resume("bad", token="t").record, "t"
        assert record is not None
        stage.ledger.submits.refused(record, token, attempt=1, reason="429", after_seconds=None)
        assert stage.server.zrank(prefix(ACCOUNT) + "queued", "bad") == 99

    def test_only_a_submit_can_be_refused(self, stage: Stage) -> None:
        """A refusal of an ended job brings it not back into the line."""
        record, token, _ = stage.submitting("a")
        stage.ledger.jobs.conclude(record, token, JobState.FAILED, error=ERROR)
        assert stage.ledger.submits.refused(record, token, attempt=1, reason="429", after_seconds=None).round is None
        assert (stage.state("a"), stage.clocks("a")) == ("failed", {"lease"})

    def test_an_account_whose_breaker_is_open_submits_nothing(self, stage: Stage) -> None:
        """A refused key stops submits; a shorter time does not end a longer one."""
        stage.ledger.accounts.block_submits(ACCOUNT, seconds=60, reason="401")
        stage.ledger.accounts.block_submits(ACCOUNT, seconds=10, reason="401")
        step = stage.arrive("a")
        assert step.verb is Verb.WAIT
        assert step.round is not None
        stage.clock.advance(60)
        assert len(stage.ledger.accounts.admit(ACCOUNT).hints) == 1

    # Unconfirmed submits

    def test_an_unconfirmed_submit_is_never_repeated_by_itself(self, stage: Stage) -> None:
        """An unconfirmed job stands on the operators' list, and frees its place."""
        record, token, _ = stage.submitting("a")
        assert stage.ledger.jobs.conclude(record, token, JobState.UNCONFIRMED, error=ERROR)
        assert stage.clocks("a") == {"lease", "unconfirmed"}
        assert stage.resume("a", token=token).verb is Verb.ANSWER
        assert stage.ledger.submits.intend(record, token) == 0

    def test_a_request_may_allow_one_repetition(self, stage: Stage) -> None:
        """`on_unknown: resubmit` repeats one unconfirmed submit; refusals in between do not count."""
        record, token, _ = stage.submitting("a", on_unknown="resubmit")
        stage.ledger.submits.refused(record, token, attempt=1, reason="429", after_seconds=None)
        for expected in ("queued", "unconfirmed"):
            stage.clock.advance(1)
            token = stage.token()
            record = intended_again(stage, "a", token)
            stage.ledger.jobs.conclude(record, token, JobState.UNCONFIRMED, error=ERROR)
            assert stage.state("a") == expected

    def test_only_a_submit_can_be_unconfirmed(self, stage: Stage) -> None:
        """A job is unconfirmed only between its intent and the answer: before it nothing was bought."""
        step = stage.arrive("a", token="t")
        assert step.record is not None
        storing, token = stage.storing("b")
        assert not stage.ledger.jobs.conclude(step.record, "t", JobState.UNCONFIRMED, error=ERROR)
        assert not stage.ledger.jobs.conclude(storing, token, JobState.UNCONFIRMED, error=ERROR)
        assert (stage.state("a"), stage.state("b")) == ("queued", "storing")

    def test_a_submit_can_not_be_put_off(self, stage: Stage) -> None:
        """A worker may postpone a step before its intent; after it, it must record the answer."""
        record, token, _ = stage.submitting("a")
        assert not stage.ledger.jobs.postpone(record, token, seconds=1, note="").hints
        assert stage.clocks("a") == {"lease", "inflight"}
        step = stage.arrive("b", token="t")
        assert step.record is not None
        (hint,) = stage.ledger.jobs.postpone(step.record, "t", seconds=9, note="inputs").hints
        assert (hint.job_id, hint.queue, hint.countdown_seconds) == ("b", "bide.submit", 9)

    def test_what_is_put_off_before_it_is_bought_keeps_no_place(self, stage: Stage) -> None:
        """A job whose inputs can't be fetched gives its place up; its hint brings it back, in line where it must."""
        stage.limits[ACCOUNT] = Limits(max_in_flight=1)
        record = taken(stage.arrive("a", token="t"), Verb.SUBMIT)
        stage.arrive("b")
        messages = stage.ledger.jobs.postpone(record, "t", seconds=9, note="inputs")
        assert messages.round is not None
        assert messages.round.countdown_seconds == 0
        assert stage.clocks("a") == {"lease"}
        other = taken(stage.resume("b", token="u"), Verb.SUBMIT)
        assert stage.resume("a").verb is Verb.WAIT
        assert stage.clocks("a") == {"queued"}
        stage.ledger.jobs.conclude(other, "u", JobState.FAILED, error=ERROR)
        assert stage.resume("a").verb is Verb.SUBMIT
        assert stage.clocks("a") == {"lease", "inflight"}


def refuse(stage: Stage, job_id: str, *, after_seconds: float | None = None) -> None:
    """Open a job and have its submit refused."""
    record, token, _ = stage.submitting(job_id)
    stage.ledger.submits.refused(record, token, attempt=1, reason="429", after_seconds=after_seconds)


def waiting_again(stage: Stage, by: str) -> tuple[Record, str, int]:
    """A job in line for its second submit, `by` its request or an operator; the first one's record, token, attempt."""
    if by == "operator":
        first = stage.unconfirmed("a")
        stage.ledger.unconfirmed.resubmit(ACCOUNT, "a")
        return first
    record, token, attempt = stage.submitting("a", on_unknown="resubmit")
    stage.ledger.jobs.conclude(record, token, JobState.UNCONFIRMED, error=ERROR)
    return record, token, attempt


def intended_again(stage: Stage, job_id: str, token: str) -> Record:
    """The record of a job in line, or let in, after the intent of another attempt."""
    record = stage.resume(job_id, token=token).record
    assert record is not None
    assert stage.ledger.submits.intend(record, token) > 0
    return record
