"""The ledger's contract about lanes: a model that fails keeps back its own jobs, and a hundred are no burden."""

from __future__ import annotations

from typing import Any

import pytest

from bide.contract import JobState
from bide.ledger import Limits, Messages, Record, Step, Verb
from bide.ledger.keys import prefix
from bide.ledger.submits import HELD_BACK
from tests.contract.ledger_stage import ACCOUNT, ERROR, Crew, Stage, request_of, taken

#: How many lanes an account has at most, and for how long an idle one keeps its place [seconds].
MOST_LANES, IDLE_SECONDS = 40, 24 * 3600

OPERATION = "images.generation"


def arrive(stage: Stage, job_id: str, lane: str, *, token: str = "", **changes: Any) -> Step:
    """The caller's message arrives at a worker, who knows the lane."""
    token = token or stage.token()
    request = request_of(**changes)
    return stage.ledger.jobs.step(job_id, ACCOUNT, token=token, request=request, signature="s", lane=lane)


def submitting(stage: Stage, job_id: str, lane: str) -> tuple[Record, str]:
    """A new job of a lane, or one in line, whose intent is written: record, token."""
    token = stage.token()
    record = taken(arrive(stage, job_id, lane, token=token), Verb.SUBMIT)
    assert stage.ledger.submits.intend(record, token, lane=lane) > 0
    return record, token


def refuse(stage: Stage, job_id: str, lane: str, *, after_seconds: float | None = 30.0) -> Messages:
    """The submit of a job is refused, and worth another try."""
    record, token = submitting(stage, job_id, lane)
    attempt = int(stage.field(job_id, "submits"))
    return stage.ledger.submits.refused(record, token, attempt=attempt, reason="HTTP 503", after_seconds=after_seconds)


def accept(stage: Stage, job_id: str, lane: str) -> Messages:
    """The submit of a job is accepted."""
    record, token = submitting(stage, job_id, lane)
    return accepted(stage, record, token)


def accepted(stage: Stage, record: Record, token: str) -> Messages:
    """The answer to a submit under way is that it is accepted."""
    attempt = int(stage.field(record.job_id, "submits"))
    return stage.ledger.submits.submitted(
        record, token, attempt=attempt, provider_job_id=f"p-{record.job_id}", first_poll_seconds=2
    )


def let_in(stage: Stage, *, most: int = 200) -> list[str]:
    """The jobs that the line lets in now."""
    return [hint.job_id for hint in stage.ledger.accounts.admit(ACCOUNT, most=most).hints]


def fill(stage: Stage, lanes: int) -> None:
    """Jobs of so many other lanes were accepted just now."""
    at = f"{prefix(ACCOUNT)}lanes"
    stage.server.hset(at, mapping={f"{OPERATION} other-{number}": f"{stage.clock.now:.3f}" for number in range(lanes)})


class LanesContract:
    """A breaker and a duration model for each lane, some tens of them; jobs without one go by account and operation."""

    def test_a_record_has_its_lane(self, stage: Stage) -> None:
        """A worker's message, or the intent of a job whose record a client wrote, notes the lane."""
        arrive(stage, "a", "slow")
        stage.open("b")
        assert (stage.field("a", "lane"), stage.field("b", "lane")) == ("slow", "")
        arrive(stage, "b", "slow")
        assert stage.field("b", "lane") == "slow"
        stage.open("c")
        record = taken(stage.resume("c", token="t"), Verb.SUBMIT)
        stage.ledger.submits.intend(record, "t", lane="late")
        assert stage.field("c", "lane") == "late"

    def test_a_lane_that_fails_keeps_back_its_own_jobs(self, stage: Stage) -> None:
        """Jobs of another lane, and those without a lane, pass by in their order; the others keep their places."""
        refuse(stage, "a", "broken")
        for name, lane in (("b", "broken"), ("c", "fine"), ("d", "broken"), ("e", "")):
            stage.open(name)
            assert arrive(stage, name, lane).verb is (Verb.WAIT if lane == "broken" else Verb.SUBMIT)
        assert [stage.clocks(name) for name in "abd"] == [{"queued"}] * 3
        state = stage.ledger.accounts.state(ACCOUNT)
        assert state.trouble == ""
        assert state.lanes[f"{OPERATION} broken"].trouble == "no submits for another 30 s: HTTP 503"
        assert f"lane {OPERATION} broken: no submits" in state.troubles

    def test_a_line_lets_the_other_lanes_pass(self, stage: Stage) -> None:
        """Where all places were taken, a free one goes to the first job whose lane is well."""
        refuse(stage, "a", "broken")
        stage.limits[ACCOUNT] = Limits(max_in_flight=1)
        accept(stage, "running", "fine")
        for name, lane in (("b", "broken"), ("c", "fine"), ("d", "fine")):
            assert arrive(stage, name, lane).verb is Verb.WAIT
        assert let_in(stage) == []
        stage.ledger.jobs.cancel(ACCOUNT, "running")
        assert let_in(stage) == ["c"]
        assert stage.clocks("b") == {"queued"}

    def test_a_lane_in_line_opens_in_time(self, stage: Stage) -> None:
        """A round is due when the breaker of a lane in line opens; then one job of it goes ahead, and no second."""
        messages = refuse(stage, "a", "broken", after_seconds=5)
        assert messages.round is not None
        assert messages.round.countdown_seconds == pytest.approx(5)
        assert arrive(stage, "b", "broken").verb is Verb.WAIT
        stage.clock.advance(5.1)
        [first] = let_in(stage)
        assert let_in(stage) == []
        record = taken(stage.resume(first, token="t"), Verb.SUBMIT)
        assert stage.ledger.submits.intend(record, "t", lane="broken") > 0
        assert let_in(stage) == []
        assert len(accepted(stage, record, "t").hints) == 1, "its acceptance lets the others in"
        assert stage.ledger.accounts.state(ACCOUNT).lanes == {}

    def test_a_lane_that_fails_again_waits_longer(self, stage: Stage) -> None:
        """Each failure in a row doubles the time, as for an account; other lanes that are accepted change nothing."""
        refuse(stage, "a", "broken", after_seconds=None)
        waits = []
        for number in range(3):
            state = stage.ledger.accounts.state(ACCOUNT)
            waits.append(state.lanes[f"{OPERATION} broken"].open_seconds)
            stage.clock.advance(waits[-1] + 0.1)
            accept(stage, f"fine-{number}", "fine")
            refuse(stage, "a", "broken", after_seconds=None)
        assert waits == pytest.approx([1, 2, 4])
        assert stage.ledger.accounts.state(ACCOUNT).trouble == ""

    def test_two_lanes_that_fail_are_the_accounts_trouble(self, stage: Stage) -> None:
        """Where another lane fails too, and nothing was accepted between the two, the whole account waits."""
        refuse(stage, "a", "one", after_seconds=20)
        refuse(stage, "b", "two", after_seconds=20)
        assert "HTTP 503" in stage.ledger.accounts.state(ACCOUNT).trouble
        assert arrive(stage, "c", "three").verb is Verb.WAIT
        assert arrive(stage, "d", "").verb is Verb.WAIT

    def test_two_lanes_that_fail_beside_others_that_go_well_are_not(self, stage: Stage) -> None:
        """What is accepted between two failures shows that the account is well."""
        refuse(stage, "a", "one")
        stage.clock.advance(0.1)
        accept(stage, "b", "fine")
        refuse(stage, "c", "two")
        assert stage.ledger.accounts.state(ACCOUNT).trouble == ""
        assert set(stage.ledger.accounts.state(ACCOUNT).lanes) == {f"{OPERATION} one", f"{OPERATION} two"}

    def test_a_whole_outage_ends_for_all_lanes(self, stage: Stage) -> None:
        """After an outage one job finds out for the account; the lanes that had failed follow one by one."""
        for name, lane in (("a", "one"), ("b", "two")):
            refuse(stage, name, lane, after_seconds=5)
        for name, lane in (("c", "one"), ("d", "two"), ("e", "three")):
            arrive(stage, name, lane)
        crew = Crew(stage.ledger, stage.clock)
        for _ in range(20):
            stage.clock.advance(2)
            crew.sweep()
            crew.work()
        assert [stage.state(name) for name in "abcde"] == ["succeeded"] * 5
        assert stage.ledger.accounts.state(ACCOUNT).troubles == ""

    def test_a_job_without_a_lane_fails_for_its_account(self, stage: Stage) -> None:
        """Its failure opens the account's breaker, as for providers without lanes."""
        refuse(stage, "a", "")
        assert arrive(stage, "b", "fine").verb is Verb.WAIT
        assert stage.ledger.accounts.state(ACCOUNT).lanes == {}

    def test_a_job_of_a_lane_whose_inputs_came_too_late_waits(self, stage: Stage) -> None:
        """A breaker that opened while inputs were fetched keeps the job back, at its place."""
        record = taken(arrive(stage, "b", "broken", token="t"), Verb.SUBMIT)
        refuse(stage, "a", "broken")
        assert stage.ledger.submits.intend(record, "t", lane="broken") == HELD_BACK
        assert (stage.clocks("b"), stage.field("b", "submits")) == ({"queued"}, "")

    @pytest.mark.parametrize("end", ["canceled", "failed", "put off"])
    def test_a_job_ahead_of_its_lane_that_finds_out_nothing_leaves_its_turn(self, stage: Stage, end: str) -> None:
        """Another job of the lane goes ahead where the first ends, or is put off, before its submit."""
        refuse(stage, "a", "broken", after_seconds=1)
        arrive(stage, "b", "broken")
        stage.clock.advance(2)
        [ahead] = let_in(stage)
        record = taken(stage.resume(ahead, token="t"), Verb.SUBMIT)
        if end == "canceled":
            stage.ledger.jobs.cancel(ACCOUNT, ahead)
        elif end == "failed":
            stage.ledger.jobs.conclude(record, "t", JobState.FAILED, error=ERROR)
        else:
            stage.ledger.jobs.postpone(record, "t", seconds=60, note="inputs")
        [other] = let_in(stage)
        assert other != ahead

    def test_resuming_closes_the_breakers_of_lanes(self, stage: Stage) -> None:
        """An operator's `resume` is for the whole account."""
        refuse(stage, "a", "broken", after_seconds=300)
        assert stage.ledger.accounts.resume(ACCOUNT)
        assert let_in(stage) == ["a"]
        assert not stage.ledger.accounts.resume(ACCOUNT)

    def test_a_long_line_of_a_broken_lane_hides_no_other(self, stage: Stage) -> None:
        """Many jobs that are kept back stand before one that is let in, and the sweep asks for no busy rounds."""
        refuse(stage, "a", "broken", after_seconds=60)
        for number in range(30):
            arrive(stage, f"b{number}", "broken")
        stage.limits[ACCOUNT] = Limits(max_in_flight=1)
        accept(stage, "running", "fine")
        arrive(stage, "last", "fine")
        stage.ledger.jobs.cancel(ACCOUNT, "running")
        assert let_in(stage) == ["last"]
        messages, _, _ = stage.ledger.accounts.sweep(ACCOUNT)
        assert messages.round is None or messages.round.countdown_seconds > 40

    def test_a_long_line_is_not_read_by_each_script(self, stage: Stage) -> None:
        """It begins behind what was passed over; a job that goes back before that is seen."""
        early = taken(arrive(stage, "early", "fine", token="t"), Verb.SUBMIT)
        refuse(stage, "a", "broken", after_seconds=60)
        for number in range(30):
            arrive(stage, f"b{number}", "broken")
        assert let_in(stage) == []
        passed = stage.server.hgetall(f"{prefix(ACCOUNT)}passed")
        assert passed["0"].split()[0] == stage.field("a", "place")
        stage.limits[ACCOUNT] = Limits(max_in_flight=1)
        for name in "cd":
            assert arrive(stage, name, "fine").verb is Verb.WAIT
        for name in ("b0", "b7"):
            stage.ledger.jobs.cancel(ACCOUNT, name)
        stage.ledger.submits.hold_back(early, "t", seconds=1, reason="the store is away")
        stage.clock.advance(1.1)
        stage.limits[ACCOUNT] = Limits(max_in_flight=3)
        assert let_in(stage) == ["early"], "it finds out for the account"
        early = taken(stage.resume("early", token="t2"), Verb.SUBMIT)
        assert stage.ledger.submits.intend(early, "t2", lane="fine") > 0
        assert [hint.job_id for hint in accepted(stage, early, "t2").hints] == ["c", "d"]
        stage.ledger.accounts.resume(ACCOUNT)
        assert stage.server.keys("*passed") == stage.server.keys("*lane_breakers") == []

    def test_what_was_passed_over_is_first_when_its_lane_is_well(self, stage: Stage) -> None:
        """Nothing of what was noted of a long line outlives the breaker."""
        refuse(stage, "a", "broken", after_seconds=60)
        for number in range(30):
            arrive(stage, f"b{number}", "broken")
        assert let_in(stage) == []
        stage.clock.advance(60.1)
        assert let_in(stage) == ["b0"]
        record = taken(stage.resume("b0", token="t"), Verb.SUBMIT)
        assert stage.ledger.submits.intend(record, "t", lane="broken") > 0
        stage.limits[ACCOUNT] = Limits(max_in_flight=4)
        assert [hint.job_id for hint in accepted(stage, record, "t").hints] == ["b1", "b2", "b3"]
        assert stage.server.keys("*passed") == stage.server.keys("*lane_breakers") == []

    # How many there are

    def test_many_lanes_grow_nothing(self, stage: Stage) -> None:
        """The account's keys stay small whatever names callers send; jobs beyond go by operation and account."""
        fill(stage, MOST_LANES - 5)
        for number in range(10):
            accept(stage, f"j{number}", f"model-{number}")
        at = prefix(ACCOUNT)
        assert stage.server.hlen(f"{at}lanes") == MOST_LANES
        stage.clock.advance(2)
        claimed = stage.ledger.polls.claim(ACCOUNT, int(stage.account("seq")), batch=500).jobs
        assert sorted({job.lane for job in claimed}) == sorted({"", *(f"model-{each}" for each in range(5))})
        news = [(f"{OPERATION} model-{number}", "", "text") for number in range(10)]
        assert stage.ledger.accounts.learn(ACCOUNT, news) == ["text"] * 10
        assert len(stage.ledger.accounts.duration_models(ACCOUNT)) == 5
        refuse(stage, "beyond", "model-999")
        assert stage.ledger.accounts.state(ACCOUNT).trouble != ""
        assert stage.server.hlen(f"{at}lane_breakers") == 0

    def test_failing_lanes_grow_nothing(self, stage: Stage) -> None:
        """Lanes that fail one after the other leave breakers of some tens, and those vanish by themselves."""
        fill(stage, MOST_LANES - 2)
        for number in range(4):
            accept(stage, f"fine{number}", "fine")
            refuse(stage, f"j{number}", f"model-{number}", after_seconds=0.01)
            stage.ledger.jobs.cancel(ACCOUNT, f"j{number}")
            stage.clock.advance(1)
        assert len(stage.ledger.accounts.state(ACCOUNT).lanes) <= MOST_LANES
        assert 0 < stage.server.ttl(f"{prefix(ACCOUNT)}lane_breakers") <= IDLE_SECONDS

    def test_an_idle_lane_makes_room(self, stage: Stage) -> None:
        """A lane that no job used for a day goes, with all that was learned of it, where another one comes."""
        for number in range(2):
            accept(stage, f"j{number}", f"model-{number}")
            stage.clock.advance(MOST_LANES / 2)
        fill(stage, MOST_LANES - 2)
        stage.ledger.accounts.learn(ACCOUNT, [(f"{OPERATION} model-0", "", "a"), (f"{OPERATION} model-1", "", "b")])
        stage.clock.advance(IDLE_SECONDS - 10)
        accept(stage, "again", "model-0")
        accept(stage, "new", "model-new")
        lanes = stage.server.hkeys(f"{prefix(ACCOUNT)}lanes")
        assert len(lanes) == MOST_LANES
        assert {f"{OPERATION} model-0", f"{OPERATION} model-new"} <= set(lanes)
        assert stage.ledger.accounts.duration_models(ACCOUNT) == {f"{OPERATION} model-0": "a"}

    def test_the_claim_of_a_record_without_a_lane_goes_on(self, stage: Stage) -> None:
        """Records of earlier releases have none: their operation and account count."""
        stage.running("a", first_poll_seconds=0)
        [claimed] = stage.ledger.polls.claim(ACCOUNT, int(stage.account("seq")), batch=5).jobs
        assert claimed.lane == ""
