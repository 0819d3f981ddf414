"""The ledger's contract, whole: what it promises on every server."""

from __future__ import annotations

import pytest
import redis

from bide.contract import JobState
from bide.ledger import Hint, Limits, Polled, Verb
from bide.ledger.keys import idempotency_key, prefix
from tests.contract.ledger_contract_bought_with import BoughtWithContract
from tests.contract.ledger_contract_breaker import BreakerContract
from tests.contract.ledger_contract_budgets import BudgetsContract
from tests.contract.ledger_contract_callbacks import CallbacksContract
from tests.contract.ledger_contract_cancels import CancelsContract
from tests.contract.ledger_contract_ends import EndsContract
from tests.contract.ledger_contract_hold_back import HoldBackContract
from tests.contract.ledger_contract_ids import IdsContract
from tests.contract.ledger_contract_lanes import LanesContract
from tests.contract.ledger_contract_learning import LearningContract
from tests.contract.ledger_contract_listing import ListingContract
from tests.contract.ledger_contract_money import MoneyContract
from tests.contract.ledger_contract_operators import OperatorsContract
from tests.contract.ledger_contract_poll_now import PollNowContract
from tests.contract.ledger_contract_provider_ids import ProviderIdsContract
from tests.contract.ledger_contract_purchases import PurchasesContract
from tests.contract.ledger_contract_recent import RecentContract
from tests.contract.ledger_contract_repairs import RepairsContract
from tests.contract.ledger_contract_rounds import RoundsContract
from tests.contract.ledger_contract_snapshot import SnapshotContract
from tests.contract.ledger_contract_submits import SubmitsContract
from tests.contract.ledger_contract_tenants import TenantsContract
from tests.contract.ledger_contract_unconfirmed import UnconfirmedContract
from tests.contract.ledger_contract_versions import VersionsContract
from tests.contract.ledger_stage import ACCOUNT, ERROR, Clock, Stage, request_of, taken


class LedgerContract(
    SubmitsContract,
    RoundsContract,
    EndsContract,
    RecentContract,
    RepairsContract,
    OperatorsContract,
    UnconfirmedContract,
    ListingContract,
    PurchasesContract,
    ProviderIdsContract,
    BoughtWithContract,
    CallbacksContract,
    CancelsContract,
    PollNowContract,
    IdsContract,
    LanesContract,
    LearningContract,
    MoneyContract,
    BudgetsContract,
    TenantsContract,
    VersionsContract,
    BreakerContract,
    HoldBackContract,
    SnapshotContract,
):
    """The contract in all its parts, and here about messages, records and the line.

    A subclass gives the fixture `server`: an empty Redis that decodes to text.
    """

    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    @pytest.fixture
    def stage(self, server: redis.Redis, clock: Clock) -> Stage:
        return Stage(server, clock)

    # Opening

    def test_opening_twice_is_opening_once(self, stage: Stage) -> None:
        """A client that sends its call twice, or whose Redis client does, finds the record that it wrote."""
        assert stage.open("a").verb is stage.open("a").verb is Verb.OPENED
        assert stage.ledger.accounts.count_clocks(ACCOUNT)["queued"] == 1
        assert stage.clocks("a") == {"queued"}

    def test_the_settings_say_how_long_a_job_of_a_client_may_take(self, stage: Stage) -> None:
        """A client opens with a default; the first worker that sees the request sets the deadline, once."""
        stage.open("j1")
        stage.ledger.jobs.step("j1", ACCOUNT, token="t1", request=request_of(), deadline_seconds=60)
        record = stage.ledger.jobs.read(ACCOUNT, "j1")
        assert record is not None
        assert record.number("deadline") == record.number("created") + 60
        stage.ledger.jobs.step("j1", ACCOUNT, token="t1", request=request_of(), deadline_seconds=90)
        again = stage.ledger.jobs.read(ACCOUNT, "j1")
        assert again is not None
        assert again.number("deadline") == record.number("deadline")

    def test_an_id_belongs_to_one_request(self, stage: Stage) -> None:
        """The ledger refuses another request under a known job id, and changes nothing."""
        stage.open("a")
        conflict = stage.arrive("a", params={"prompt": "another"})
        assert (conflict.verb, conflict.other) == (Verb.CONFLICT, "a")
        assert stage.clocks("a") == {"queued"}

    def test_a_message_without_record_and_request_is_reported(self, stage: Stage) -> None:
        """A hint for an expired record leads nowhere and leaves nothing behind."""
        assert stage.resume("a").verb is Verb.MISSING
        assert not stage.server.keys("*")

    def test_a_message_changes_no_record_of_another_version(self, stage: Stage) -> None:
        """A worker of another version leaves the record as it is: upgrades may roll."""
        stage.open("a")
        stage.server.hset(f"{prefix(ACCOUNT)}job:a", "v", "2")
        assert stage.arrive("a").verb is Verb.VERSION
        assert stage.clocks("a") == {"queued"}

    def test_the_signature_comes_with_the_message(self, stage: Stage) -> None:
        """A client's record has no signature; the first message brings it, and a later message does not replace it."""
        stage.limits[ACCOUNT] = Limits(max_in_flight=0)
        stage.open("a")
        stage.arrive("a", signature="first")
        stage.arrive("a", signature="second")
        stage.limits[ACCOUNT] = Limits()
        assert stage.ledger.accounts.admit(ACCOUNT).hints == (Hint(ACCOUNT, "a", "bide.submit", "first"),)

    def test_a_record_is_read_and_found(self, stage: Stage) -> None:
        """The ledger finds a record by account and id or by id alone, with the request as it came."""
        stage.open("a", metadata={"order": "1"})
        record = stage.ledger.jobs.read(ACCOUNT, "a")
        assert record is not None
        assert record.state is JobState.QUEUED
        assert record.request.metadata == {"order": "1"}
        assert stage.ledger.jobs.find("a") == record
        assert stage.ledger.jobs.find("b") is None
        assert stage.ledger.jobs.read(ACCOUNT, "b") is None
        assert stage.ledger.accounts.names() == [ACCOUNT]

    # One purchase for two callers

    def test_one_key_and_one_request_are_one_job(self, stage: Stage) -> None:
        """The second caller follows the first; its record stands on no clock, and has a TTL."""
        stage.open("a", idempotency_key="k")
        step = stage.arrive("b", idempotency_key="k")
        assert (step.verb, step.other) == (Verb.FOLLOW, "a")
        assert stage.ledger.jobs.followers(ACCOUNT, "a") == {"b": '{"root_id":"r"}'}
        assert stage.clocks("b") == set()
        assert stage.ttl("job", "b") > 7 * 24 * 3600
        following = stage.ledger.jobs.read(ACCOUNT, "b")
        assert following is not None
        assert following.following == "a"

    def test_one_key_and_another_request_are_a_conflict(self, stage: Stage) -> None:
        """The ledger refuses the second caller, and writes nothing for it."""
        stage.open("a", idempotency_key="k")
        step = stage.arrive("b", idempotency_key="k", params={"prompt": "another"})
        assert (step.verb, step.other) == (Verb.CONFLICT, "a")
        assert stage.ttl("job", "b") == -2

    def test_the_key_of_an_ended_job_gives_its_end(self, stage: Stage) -> None:
        """The key leads to the ended job for as long as its record is kept, and nothing is bought again."""
        stage.finished("a", idempotency_key="k")
        step = stage.arrive("b", idempotency_key="k")
        assert (step.verb, step.other) == (Verb.FOLLOW, "a")
        assert stage.ttl_of(idempotency_key("k")) == stage.ttl("job", "a") > 0

    def test_a_key_whose_job_has_expired_is_free(self, stage: Stage) -> None:
        """The key of a record that has expired opens a new job, and stands for that one from then on."""
        stage.finished("a", idempotency_key="k")
        stage.server.delete(f"{prefix(ACCOUNT)}job:a")
        assert stage.arrive("b", idempotency_key="k").verb is Verb.SUBMIT
        assert stage.arrive("c", idempotency_key="k").other == "b"
        assert stage.server.ttl(idempotency_key("k")) == -1

    def test_a_client_with_a_known_key_leaves_nothing(self, stage: Stage) -> None:
        """A client goes on with the first job's id; no record and no follower stays under its own."""
        stage.open("a", idempotency_key="k")
        step = stage.open("b", idempotency_key="k")
        assert (step.verb, step.other) == (Verb.FOLLOW, "a")
        assert stage.ledger.jobs.followers(ACCOUNT, "a") == {}
        assert stage.ttl("job", "b") == -2

    # Taking steps

    def test_one_message_of_a_pair_takes_the_step(self, stage: Stage) -> None:
        """The second of two equal messages finds the job leased."""
        assert stage.arrive("a").verb is Verb.SUBMIT
        assert stage.arrive("a").verb is Verb.STALE
        assert stage.clocks("a") == {"lease", "inflight"}

    def test_a_repeated_script_gives_the_same_step(self, stage: Stage) -> None:
        """A script that runs twice with one token takes one step and one place."""
        stage.limits[ACCOUNT] = Limits(submits_per_second=1)
        first = stage.arrive("a", token="t")
        assert stage.arrive("a", token="t") == first
        assert stage.arrive("b").verb is Verb.WAIT
        stage.clock.advance(1)
        assert stage.resume("b").verb is Verb.SUBMIT

    def test_no_step_is_taken_while_a_submit_is_under_way(self, stage: Stage) -> None:
        """A second message finds no step to take, even under the token of the worker that has the lease."""
        _, token, _ = stage.submitting("a")
        assert stage.resume("a").verb is stage.resume("a", token=token).verb is Verb.STALE

    # The line

    def test_who_finds_no_room_waits_in_line(self, stage: Stage) -> None:
        """A job that finds no room waits in line; the end of the job before it lets it in, with a hint."""
        stage.limits[ACCOUNT] = Limits(max_in_flight=1)
        record, token, _ = stage.submitting("a")
        assert [stage.arrive(name).verb for name in "bc"] == [Verb.WAIT, Verb.WAIT]
        assert stage.ledger.accounts.admit(ACCOUNT).hints == ()

        stage.ledger.jobs.conclude(record, token, JobState.FAILED, error=ERROR)
        assert [hint.job_id for hint in stage.ledger.accounts.admit(ACCOUNT).hints] == ["b"]
        assert [stage.resume(name).verb for name in "cb"] == [Verb.WAIT, Verb.SUBMIT]

    def test_bulk_gives_way_to_interactive(self, stage: Stage) -> None:
        """Interactive jobs pass all bulk jobs; each kind keeps its order."""
        stage.limits[ACCOUNT] = Limits(max_in_flight=0)
        for name, priority in (("a", "bulk"), ("b", "bulk"), ("c", "interactive"), ("d", "interactive")):
            stage.arrive(name, priority=priority)
        stage.limits[ACCOUNT] = Limits()
        assert [hint.job_id for hint in stage.ledger.accounts.admit(ACCOUNT).hints] == ["c", "d", "a", "b"]

    def test_bulk_messages_leave_places_to_interactive_ones(self, stage: Stage) -> None:
        """Bulk jobs never take the last tenth of the places, even those that belong to no run."""
        stage.limits[ACCOUNT] = Limits(max_in_flight=10)
        verbs = [stage.arrive(f"bulk-{number}", priority="bulk").verb for number in range(10)]
        assert verbs == [Verb.SUBMIT] * 9 + [Verb.WAIT]
        assert stage.arrive("now").verb is Verb.SUBMIT
        assert stage.ledger.accounts.admit(ACCOUNT).hints == ()

    def test_bulk_messages_that_found_room_had_their_turn(self, stage: Stage) -> None:
        """Bulk jobs that were let in at once count for the turn of later runs, and not as called up."""
        for name in "abc":
            stage.arrive(name, priority="bulk")
        assert stage.account("turn") == 3
        assert stage.server.scard(f"{prefix(ACCOUNT)}told") == 0

    def test_a_message_does_not_overtake_the_line(self, stage: Stage) -> None:
        """A job's place in line decides who is let in, not the order of the messages."""
        stage.open("a")
        stage.open("b")
        stage.limits[ACCOUNT] = Limits(max_in_flight=1)
        assert [stage.resume(name).verb for name in "ba"] == [Verb.WAIT, Verb.SUBMIT]

    def test_submits_keep_to_their_rate(self, stage: Stage) -> None:
        """The rate lets a second's worth in at once, then one by one; the ledger schedules a round for the next."""
        stage.limits[ACCOUNT] = Limits(submits_per_second=2)
        steps = [stage.arrive(name) for name in "abcd"]
        assert [step.verb for step in steps] == [Verb.SUBMIT, Verb.SUBMIT, Verb.WAIT, Verb.WAIT]
        assert steps[2].round is not None
        assert steps[2].round.countdown_seconds == pytest.approx(0.5)
        stage.clock.advance(0.5)
        assert [hint.job_id for hint in stage.ledger.accounts.admit(ACCOUNT).hints] == ["c"]

    @pytest.mark.parametrize("rate", [3.0, 7.0, 0.3, 1000 / 3])
    def test_a_rate_that_does_not_divide_is_kept_over_time(self, stage: Stage, rate: float) -> None:
        """Fractions of a second neither pile up nor get lost."""
        stage.limits[ACCOUNT] = Limits(max_in_flight=10_000, submits_per_second=rate)
        for number in range(60):
            stage.open(f"j{number}")
        let_in = len(stage.ledger.accounts.admit(ACCOUNT).hints)
        assert let_in == min(max(1, int(rate)), 60)
        while let_in < 60:
            stage.clock.advance(1 / rate)
            assert len(stage.ledger.accounts.admit(ACCOUNT).hints) == 1
            let_in += 1

    def test_a_rate_that_was_lower_once_keeps_no_job_back(self, stage: Stage) -> None:
        """A raised rate counts at once: what the lower one had booked is not waited for."""
        stage.limits[ACCOUNT] = Limits(submits_per_second=0.001)
        stage.arrive("a")
        assert stage.arrive("b").verb is Verb.WAIT
        stage.limits[ACCOUNT] = Limits(submits_per_second=10)
        stage.clock.advance(0.1)
        assert stage.resume("b").verb is Verb.SUBMIT

    def test_a_record_that_was_deleted_in_line_leaves_no_ghost(self, stage: Stage) -> None:
        """A record that an operator deletes costs no place, and the line goes on."""
        stage.open("a")
        stage.open("b")
        stage.server.delete(f"{prefix(ACCOUNT)}job:a", f"{prefix(ACCOUNT)}body:a")
        assert [hint.job_id for hint in stage.ledger.accounts.admit(ACCOUNT).hints] == ["b"]
        assert stage.clocks("a") == set()
        assert stage.ttl("job", "a") == -2

    def test_a_whole_job_leaves_nothing_without_an_end(self, stage: Stage) -> None:
        """Each key of a job has a TTL once its caller has the answer."""
        stage.running("a", idempotency_key="k")
        stage.clock.advance(2)
        claim = stage.ledger.polls.claim(ACCOUNT, 1, batch=10)
        assert [(job.job_id, job.provider_job_id, job.polls) for job in claim.jobs] == [("a", "p-a", 0)]
        stage.ledger.polls.record(ACCOUNT, [Polled("a", "ended", value='[["image","http://x/1.png"]]')])
        record = taken(stage.resume("a", token="t"), Verb.STORE)
        assert record.outputs[0].url == "http://x/1.png"
        assert stage.ledger.jobs.conclude(record, "t", JobState.SUCCEEDED, result='{"n":1}')
        stage.ledger.jobs.answered(ACCOUNT, "a")
        assert stage.clocks("a") == set()
        assert {stage.ttl("job", "a"), stage.ttl("body", "a"), stage.ttl_of(idempotency_key("k"))} == {604800}
        ended = stage.ledger.jobs.read(ACCOUNT, "a")
        assert ended is not None
        assert (ended.state, ended.text("result"), ended.number("polls")) == (JobState.SUCCEEDED, '{"n":1}', 1)
        assert stage.resume("a").verb is Verb.STALE
