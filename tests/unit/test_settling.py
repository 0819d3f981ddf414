"""Doubts about submits that settle themselves: by each kind of promise, bought once, with evidence in the timeline."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bide.cli.explain import explained
from bide.cli.unconfirmed import described
from bide.contract import FailureCode, JobState
from bide.crashpoints import Point
from bide.errors import InvalidRequestError
from bide.ledger.keys import prefix
from bide.ledger.snapshot import take_snapshot
from bide.ledger.timeline import money
from tasks.steps.outcome import Fail
from tests.contract.ledger_stage import ERROR
from tests.guild_adapter import LIVE_SECONDS
from tests.unit.guild import ACCOUNT, SENDING_SECONDS, SHOWS_SECONDS, SURE_SECONDS, Guild, dying_at, guild

__all__ = ["guild"]

PROMISED = ("replay", "reject", "client_id")
FREE = ("free", "free_by_id")


# A promise that is kept


@pytest.mark.parametrize("operation", PROMISED)
@pytest.mark.parametrize("plan", ["lost", "lost 500", "lost 502", "dropped"])
def test_a_doubt_settles_itself_and_is_bought_once(guild: Guild, operation: str, plan: str) -> None:
    """Whether the provider has the job or not."""
    guild.order(operation, plan)
    assert guild.state() == "submitting"
    guild.pass_time(60)
    assert guild.state() == "running"
    assert guild.workshop.bought == {guild.record().text("submit_key"): [guild.pid]}
    assert "settled" in guild.evidence() or "surely not there" in guild.evidence()


@pytest.mark.parametrize("operation", PROMISED)
@pytest.mark.parametrize("point", ["intent_written", "answer_read"])
def test_a_dead_workers_submit_is_settled(guild: Guild, operation: str, point: Point) -> None:
    """Its lease runs out, and nobody has to look for what it bought."""
    guild.die(operation, point)
    guild.pass_time(SURE_SECONDS)
    assert guild.state() == "running"
    assert guild.workshop.purchases == 1
    assert guild.pid == "w1"
    assert "its worker died" in guild.evidence()


@pytest.mark.parametrize("operation", PROMISED)
def test_workers_that_die_again_and_again_buy_once(guild: Guild, operation: str) -> None:
    """Also the one that was settling."""
    guild.die(operation, "answer_read")
    for _ in range(2):
        with dying_at("answer_read" if operation == "replay" else "capacity_taken"):
            guild.pass_time(SURE_SECONDS)
    guild.pass_time(SURE_SECONDS)
    assert guild.state() in ("running", "unconfirmed")
    assert guild.workshop.purchases == 1


def test_a_replay_sends_the_same_bytes_under_the_same_key(guild: Guild) -> None:
    """And says so in the timeline, with what the provider says of the key."""
    guild.order("replay", "lost")
    guild.pass_time(10)
    assert guild.workshop.keys == [guild.record().text("submit_key")] * 2
    assert "sent again under its key: the provider has it as w1, and had the key before" in guild.evidence()
    assert guild.record().text("key_new") == ""


def test_a_request_that_is_still_in_flight_is_sent_again_under_its_key(guild: Guild) -> None:
    """The provider says when: that it has the key is no refusal, which would lead to another key."""
    guild.order("replay", "lost", 409, 409)
    guild.pass_time(60)
    assert len(set(guild.workshop.keys)) == 1
    assert (guild.state(), guild.workshop.purchases) == ("running", 1)
    assert "attempt 2: in use" in guild.evidence()


@pytest.mark.parametrize("operation", PROMISED)
@pytest.mark.parametrize("plan", [429, 503, "not sent"])
def test_a_replay_that_is_not_taken_this_time_keeps_the_key(guild: Guild, operation: str, plan: str | int) -> None:
    """The first submit may have been accepted all the same."""
    guild.order(operation, "dropped", plan)
    guild.pass_time(120)
    assert (guild.state(), guild.workshop.purchases) == ("running", 1)
    if operation == "replay":
        assert len(set(guild.workshop.keys)) == 1


def test_a_first_refusal_leaves_no_doubt(guild: Guild) -> None:
    """As before: the job is in line again, and its next submit has a key of its own."""
    guild.order("replay", 429)
    assert guild.state() == "queued"
    guild.pass_time(60)
    assert guild.state() == "running"
    assert len(set(guild.workshop.keys)) == 2
    assert guild.evidence() == ""


def test_a_taken_key_leads_to_a_look_up(guild: Guild) -> None:
    """Where a look-up has not shown the job yet, the provider refuses the second submit, and the job is found later."""
    guild.workshop.lies.add("hides")
    guild.order("reject", "lost")
    guild.pass_time(60)
    assert guild.state() == "submitting"
    assert guild.workshop.purchases == 1
    guild.workshop.lies.clear()
    guild.pass_time(300)
    assert (guild.state(), guild.pid, guild.workshop.purchases) == ("running", "w1", 1)


@pytest.mark.parametrize("operation", ["reject", "client_id"])
def test_nothing_is_sent_while_a_look_up_says_nothing(guild: Guild, operation: str) -> None:
    """Until the time is up: then an operator decides."""
    guild.workshop.look_up_fails = True
    guild.order(operation, "dropped")
    guild.pass_time(900)
    assert guild.workshop.keys == [guild.workshop.keys[0]]
    guild.pass_time(300)
    assert guild.state() == "unconfirmed"
    assert guild.workshop.look_ups > 5


@pytest.mark.parametrize("operation", ["reject", "client_id"])
def test_a_job_that_may_not_show_yet_is_waited_for(guild: Guild, operation: str) -> None:
    """Absent means nothing before the provider's own delay is over."""
    guild.order(operation, "dropped")
    guild.pass_time(SHOWS_SECONDS - 6)
    assert len(guild.workshop.keys) == 1
    guild.pass_time(30)
    assert (guild.state(), len(guild.workshop.keys)) == ("running", 2)


def test_a_dead_workers_request_may_still_be_under_way(guild: Guild) -> None:
    """Nothing is submitted again while it could arrive after all."""
    guild.die("client_id", "intent_written")
    guild.pass_time(SHOWS_SECONDS + SENDING_SECONDS - 5)
    assert guild.workshop.keys == []
    guild.pass_time(SURE_SECONDS)
    assert guild.workshop.purchases == 1


def test_absent_proves_nothing_where_the_provider_forgets(guild: Guild) -> None:
    """Such a job is held, unless it is free."""
    guild.order("forgetful", "dropped")
    guild.pass_time(60)
    assert guild.state() == "unconfirmed"
    assert "proves nothing" in guild.record().failure.message
    assert len(guild.workshop.keys) == 1


def test_without_a_promise_a_doubt_is_held_at_once(guild: Guild) -> None:
    """As before."""
    guild.order("none", "lost")
    assert guild.state() == "unconfirmed"
    assert guild.record().text("submit_key") == ""


# Operations that cost nothing


@pytest.mark.parametrize("operation", FREE)
@pytest.mark.parametrize("plan", ["lost", "lost 500", "dropped"])
def test_a_free_submit_is_simply_made_again(guild: Guild, operation: str, plan: str) -> None:
    """Or found, where it can be."""
    guild.order(operation, plan)
    guild.pass_time(60)
    assert guild.state() == "running"
    assert "it costs nothing" in guild.evidence() or "looked up by its key" in guild.evidence()


def test_a_free_submit_that_never_gets_an_answer_fails(guild: Guild) -> None:
    """At its deadline, after a bounded number of tries: there is nothing for an operator to settle."""
    guild.order("free", *["dropped"] * 1000)
    guild.pass_time(4000)
    assert guild.state() == "failed"
    assert guild.record().failure.code in (FailureCode.SUBMISSION_UNKNOWN, FailureCode.DEADLINE)
    assert 5 < len(guild.workshop.keys) < 20


def test_a_free_submit_that_is_refused_after_a_doubt_fails(guild: Guild) -> None:
    """It was not bought before."""
    guild.order("free", "dropped", 400)
    guild.pass_time(30)
    assert guild.state() == "failed"
    assert guild.record().failure.code is FailureCode.REJECTED


# The end of a promise


def test_no_request_is_sent_after_the_key_has_died(guild: Guild) -> None:
    """Nor so late that it could arrive after that."""
    guild.order("replay", *[502] * 1000, deadline_seconds=6 * 3600)
    guild.pass_time(LIVE_SECONDS + 60)
    assert guild.state() == "unconfirmed"
    last = guild.record().number("intended") - guild.record().number("created")
    assert LIVE_SECONDS - 1000 < last < LIVE_SECONDS - SENDING_SECONDS


def test_a_doubt_ends_at_its_jobs_deadline(guild: Guild) -> None:
    """Nothing is bought after that, and its caller hears that it is unconfirmed."""
    guild.order("replay", *[502] * 1000, deadline_seconds=120)
    guild.pass_time(300)
    assert guild.state() == "unconfirmed"
    assert any(isinstance(outcome, Fail) for outcome in guild.outcomes) or guild.record().text("answered") == "1"


@pytest.mark.parametrize("change", ["API_KEY", "version"])
def test_other_bytes_are_never_sent_under_the_key(guild: Guild, change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What would be sent has changed: the doubt is held."""
    guild.order("replay", "dropped")
    if change == "API_KEY":
        guild.configure(API_KEY="another-key-0123456789")
    else:
        monkeypatch.setattr("tests.guild_adapter.GuildAdapter.version", "4")
    guild.pass_time(60)
    assert guild.state() == "unconfirmed"
    assert "is not the same now" in guild.record().failure.message
    assert len(guild.workshop.keys) == 1


def test_addresses_of_our_own_inputs_are_the_same_again(guild: Guild) -> None:
    """They are signed as of the first submit, so that the bytes are the same."""
    guild.order("pictured", "dropped", inputs={"face": "s3://results/face.png"})
    guild.pass_time(30)
    assert (guild.state(), len(guild.workshop.keys)) == ("running", 2)
    assert len(set(guild.signed)) == 1


def test_a_changed_base_url_does_not_move_a_doubt(guild: Guild) -> None:
    """It is sent again to where the first submit went."""
    guild.order("replay", "lost")
    guild.configure(BASE_URL="https://elsewhere.example")
    guild.pass_time(60)
    assert (guild.state(), guild.pid) == ("running", "w1")
    assert len({url for method, url in guild.calls if method == "POST"}) == 1


@pytest.mark.parametrize("plan", [400, 410])
def test_a_replay_that_is_refused_for_good_is_held(guild: Guild, plan: int) -> None:
    """The first submit may have been accepted; an operator decides, and a submit that is ordered has a new key."""
    guild.order("replay", "lost", plan)
    guild.pass_time(30)
    assert guild.state() == "unconfirmed"
    assert guild.workshop.purchases == 1


def test_a_request_that_allows_it_is_bought_again_once_nothing_settles_it(guild: Guild) -> None:
    """`on_unknown: resubmit`, under a new key."""
    guild.order("replay", "lost", 410, on_unknown="resubmit")
    guild.pass_time(60)
    assert (guild.state(), guild.workshop.purchases) == ("running", 2)
    assert len(set(guild.workshop.keys)) == 2
    assert guild.record().number("again") == 1


# An account that is paused or full


def test_a_paused_account_sends_nothing_again(guild: Guild) -> None:
    """And goes on once it is resumed."""
    guild.order("replay", "dropped")
    guild.ledger.accounts.pause(ACCOUNT, reason="no credit", by="operator")
    guild.pass_time(120)
    assert len(guild.workshop.keys) == 1
    guild.ledger.accounts.resume(ACCOUNT)
    guild.pass_time(60)
    assert (guild.state(), len(guild.workshop.keys)) == ("running", 2)


def test_a_refused_account_is_paused_and_the_doubt_waits(guild: Guild) -> None:
    """A key that is refused says nothing of the first submit."""
    guild.order("replay", "lost", 401)
    guild.pass_time(30)
    assert guild.ledger.accounts.state(ACCOUNT).paused
    assert guild.state() == "submitting"
    guild.ledger.accounts.resume(ACCOUNT)
    guild.pass_time(60)
    assert (guild.state(), guild.workshop.purchases) == ("running", 1)


def test_a_job_that_is_looked_up_does_not_wait_for_its_account(guild: Guild) -> None:
    """A look-up buys nothing."""
    guild.order("reject", "lost")
    guild.ledger.accounts.pause(ACCOUNT, reason="no credit", by="operator")
    guild.pass_time(30)
    assert (guild.state(), guild.pid) == ("running", "w1")


def test_a_doubt_keeps_its_place_at_the_provider(guild: Guild) -> None:
    """The job may be at work there."""
    guild.order("replay", "dropped")
    assert guild.server.sismember(f"{prefix(ACCOUNT)}inflight", "a")


# People and late answers


def test_an_operator_attaches_in_between(guild: Guild) -> None:
    """The job goes on, and nothing is sent any more."""
    guild.order("replay", "lost")
    assert guild.ledger.unconfirmed.attach(ACCOUNT, "a", "w1", by="ada")[0]
    guild.pass_time(60)
    assert (guild.state(), guild.pid, len(guild.workshop.keys)) == ("running", "w1", 1)


def test_an_operator_gives_up_in_between(guild: Guild) -> None:
    """The job has failed."""
    guild.order("reject", "lost")
    assert guild.ledger.unconfirmed.give_up(ACCOUNT, "a", by="ada")[0]
    guild.pass_time(60)
    assert (guild.state(), len(guild.workshop.keys), guild.workshop.look_ups) == ("failed", 1, 0)


@pytest.mark.parametrize(("operation", "purchases"), [("replay", 1), ("reject", 1), ("client_id", 2)])
def test_an_operator_submits_again_in_between(guild: Guild, operation: str, purchases: int) -> None:
    """Under the same key where that buys once; else it is bought anew, as the operator says, under a new id."""
    guild.order(operation, "lost")
    assert guild.ledger.unconfirmed.resubmit(ACCOUNT, "a", by="ada")[0]
    guild.pass_time(60)
    assert guild.state() == "running"
    assert guild.workshop.purchases == purchases
    assert len(set(guild.workshop.keys)) == purchases
    assert bool(guild.record().text("resubmitted")) is (purchases == 2)


def test_nobody_submits_again_while_a_worker_does(guild: Guild) -> None:
    """The button says so, and an id that is attached meanwhile stands beside the worker's."""
    guild.order("replay", "lost")
    refused: list[str] = []

    def press() -> None:
        with pytest.raises(InvalidRequestError, match="at this moment") as caught:
            guild.ledger.unconfirmed.resubmit(ACCOUNT, "a")
        refused.append(str(caught.value))
        assert guild.ledger.unconfirmed.attach(ACCOUNT, "a", "mine")[0]

    guild.meanwhile = press
    guild.pass_time(30)
    assert refused
    assert (guild.state(), guild.pid, guild.record().other_ids) == ("running", "mine", ["w1"])


def test_the_first_answer_comes_late(guild: Guild) -> None:
    """It settles the doubt, whoever has the job by then."""
    guild.order("replay", "lost")
    record = guild.record()
    guild.ledger.submits.submitted(record, "old", attempt=1, provider_job_id="w1")
    assert (guild.state(), guild.pid) == ("running", "w1")
    guild.pass_time(60)
    assert len(guild.workshop.keys) == 1


def test_a_late_refusal_settles_the_doubt(guild: Guild) -> None:
    """It was surely not accepted: the job is in line again."""
    guild.order("replay", "dropped")
    guild.ledger.submits.refused(guild.record(), "old", attempt=1, reason="not sent", after_seconds=None)
    assert guild.state() == "queued"
    guild.pass_time(30)
    assert guild.state() == "running"
    assert len(set(guild.workshop.keys)) == 2


# Promises that are broken


def test_another_id_for_a_key_is_held(guild: Guild) -> None:
    """The first answer came late, and named one job; the second submit gives another: both are named."""
    guild.workshop.lies |= {"buys anew", "marks all"}
    guild.order("replay", "lost")
    record = guild.record()
    guild.meanwhile = lambda: guild.ledger.submits.submitted(record, "old", attempt=1, provider_job_id="w1")
    guild.pass_time(30)
    assert guild.state() == "unconfirmed"
    assert guild.record().other_ids == ["w1", "w2"]
    assert {"w1", "w2"} <= set(guild.record().failure.message.replace(",", " ").split())
    guild.pass_time(600)
    assert guild.workshop.purchases == 2


def test_the_same_id_that_came_late_is_one_purchase(guild: Guild) -> None:
    """Nobody is alarmed."""
    guild.order("replay", "lost")
    record = guild.record()
    guild.meanwhile = lambda: guild.ledger.submits.submitted(record, "old", attempt=1, provider_job_id="w1")
    guild.pass_time(30)
    assert (guild.state(), guild.pid, guild.record().other_ids) == ("running", "w1", [])


def test_a_key_that_was_received_and_is_new_is_held(guild: Guild) -> None:
    """The provider answered the first submit with an error of its own, and now says that it has not had the key."""
    guild.workshop.lies.add("buys anew")
    guild.order("replay", "lost 500")
    guild.workshop.bought.clear()
    guild.pass_time(30)
    assert guild.state() == "unconfirmed"
    assert "w2" in guild.record().failure.message
    guild.pass_time(600)
    assert len(guild.workshop.keys) == 2


def test_a_key_that_is_new_where_nothing_may_have_arrived_goes_on_with_a_warning(guild: Guild) -> None:
    """The connection broke: that the key is new settles it, and stands in record and timeline."""
    guild.order("replay", "dropped")
    guild.pass_time(30)
    assert (guild.state(), guild.pid, guild.record().text("key_new")) == ("running", "w1", "1")
    assert "says that the key was new" in guild.evidence()


def test_a_look_up_that_finds_two_is_held(guild: Guild) -> None:
    """Both are named."""
    guild.order("reject", "lost")
    [key] = guild.workshop.bought
    guild.workshop.bought[key].append("w9")
    guild.pass_time(30)
    assert guild.state() == "unconfirmed"
    assert {"w1", "w9"} <= set(guild.record().failure.message.replace(",", " ").split())


def test_a_job_that_was_hidden_is_found_after_it_was_bought_again(guild: Guild) -> None:
    """The provider's look-up lied, and so did its promise to refuse the key: both purchases are named."""
    guild.workshop.lies |= {"hides until bought again", "accepts twice"}
    guild.order("reject", "lost")
    guild.pass_time(60)
    assert (guild.state(), guild.pid, guild.record().other_ids) == ("running", "w1", ["w2"])
    assert "may charge for each" in guild.evidence()


def test_a_look_up_that_hides_every_job_ends(guild: Guild) -> None:
    """Each submit gets lost, and the provider never has any: after two more it is held."""
    guild.workshop.lies.add("hides")
    guild.order("client_id", *["lost"] * 50)
    guild.pass_time(1000)
    assert guild.state() == "unconfirmed"
    assert guild.workshop.purchases == 3


# Releases of bide that know nothing of this


def test_a_submit_without_a_key_since_then_is_held(guild: Guild) -> None:
    """A worker of an earlier release made it, and died: what stands in the record is the key of another submit."""
    guild.order("replay", 429)
    guild.clock.advance(10)
    step = guild.ledger.jobs.step("a", ACCOUNT, token="old")
    assert step.record
    guild.server.hincrby(f"{prefix(ACCOUNT)}job:a", "submits", 1)
    guild.server.hset(f"{prefix(ACCOUNT)}job:a", mapping={"state": "submitting"})
    guild.pass_time(60)
    assert guild.state() == "unconfirmed"
    assert len(guild.workshop.keys) == 1


# What people see


def test_the_story_of_a_doubt(guild: Guild) -> None:
    """Why the job waits, what comes next, and each step with its evidence; the list says until when bide tries."""
    guild.order("reject", "lost 500")
    record = guild.record()
    [listed] = [described(one) for one in guild.ledger.unconfirmed.doubtful(ACCOUNT)]
    assert (listed["job_id"], listed["reason"][:10]) == ("a", "attempt 1:")
    assert listed["settling"].startswith("bide settles it: it looks it up by its key")
    assert listed["settling_until"] == datetime.fromtimestamp(record.number("deadline"), UTC).isoformat()
    story = explained(take_snapshot(guild.ledger, record), [])
    assert story["money"] == "may have been bought"
    assert "its submit may have been accepted (attempt 1:" in story["why"][0]
    assert story["next"] == "bide tries to settle its submit"
    guild.pass_time(30)
    told = explained(take_snapshot(guild.ledger, guild.record()), [])["timeline"]
    assert [event["what"] for event in told] == ["opened", "submit", "doubt", "accepted", "settled"]
    assert told[-1]["detail"] == "looked up by its key: the provider has it as w1"
    assert guild.ledger.unconfirmed.doubtful(ACCOUNT) == []


def test_free_operations_cost_nothing(guild: Guild) -> None:
    """Also where nobody knows what became of them."""
    guild.order("free", "dropped")
    assert money(guild.record()) == "its operation costs nothing"


@pytest.mark.parametrize("plan", [429, 400])
def test_a_refusal_that_is_recorded_twice_is_one(guild: Guild, plan: int) -> None:
    """Only the answer of the script was lost: the first submit may have been accepted all the same."""
    guild.order("replay", "lost", plan, *[502] * 100)
    guild.pass_time(3)
    assert guild.record().text("submits") == "2"
    before = guild.state()
    guild.ledger.submits.refused(guild.record(), "old", attempt=2, reason="429", after_seconds=None)
    assert guild.state() == before
    guild.ledger.jobs.conclude(guild.record(), "old", JobState.FAILED, error=ERROR, attempt=2)
    assert guild.state() == before
    assert guild.record().in_doubt
    guild.pass_time(3000)
    assert guild.state() == "unconfirmed"
    assert len(set(guild.workshop.keys)) == 1


def test_a_late_refusal_of_one_of_two_doubts_settles_nothing(guild: Guild) -> None:
    """The other may have been accepted."""
    guild.order("replay", "lost", "dropped", *[502] * 100)
    guild.pass_time(3)
    assert guild.record().number("doubted") == 2
    guild.ledger.submits.refused(guild.record(), "old", attempt=2, reason="429", after_seconds=None)
    assert (guild.state(), guild.record().number("doubted")) == ("submitting", 2)
    guild.pass_time(3000)
    assert guild.state() == "unconfirmed"
    guild.ledger.submits.refused(
        guild.record(), "old", attempt=int(guild.record().number("submits")), reason="429", after_seconds=None
    )
    assert guild.state() == "unconfirmed"


def test_a_final_refusal_of_a_replay_that_is_recorded_twice_is_one(guild: Guild) -> None:
    """A final refusal of a replay says nothing of the first submit, however often it is recorded."""
    guild.order("replay", "lost", 400, on_unknown="resubmit")
    guild.pass_time(3)
    for _ in range(2):
        guild.ledger.jobs.conclude(guild.record(), "old", JobState.FAILED, error=ERROR, attempt=2)
    assert guild.state() != "failed"
    guild.pass_time(600)
    assert guild.state() == "unconfirmed"


def test_a_key_that_is_too_old_leaves_the_second_purchase_that_a_request_allows(guild: Guild) -> None:
    """Once, under a new key."""
    guild.order("replay", *[502] * 1000, deadline_seconds=6 * 3600, on_unknown="resubmit")
    guild.pass_time(LIVE_SECONDS + 600)
    assert len(set(guild.workshop.keys)) == 2
    assert guild.record().number("again") == 1
