"""Doubts that settle themselves, and operators, late answers, and providers that break their promise."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bide.cli.explain import explained
from bide.cli.unconfirmed import described
from bide.contract import Failure, FailureCode, JobState
from bide.errors import InvalidRequestError
from bide.ledger.snapshot import take_snapshot
from bide.ledger.timeline import money
from tests.contract.ledger_stage import ERROR
from tests.guild_adapter import LIVE_SECONDS
from tests.unit.guild import ACCOUNT, Guild, guild

__all__ = ["guild"]


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
    """It settles the doubt, also where another worker has the job by then."""
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


# Cancels, where the provider can stop jobs


@pytest.mark.parametrize(
    ("operation", "plan", "ends"),
    [
        ("replay", "lost", "unconfirmed"),
        ("reject", "lost", "running"),
        ("reject", "dropped", "canceled"),
        ("client_id", "dropped", "canceled"),
        ("free", "dropped", "canceled"),
    ],
)
def test_a_canceled_job_is_never_sent_again(guild: Guild, operation: str, plan: str, ends: str) -> None:
    """It is looked up: what was bought is stopped by its first poll, and what surely was not is canceled."""
    guild.order(operation, plan)
    guild.ledger.jobs.cancel(ACCOUNT, "a", at_provider=True)
    guild.pass_time(120)
    assert (guild.state(), len(guild.workshop.keys)) == (ends, 1)
    if ends == "canceled":
        assert guild.record().failure.code is FailureCode.CANCELED
    if ends == "unconfirmed":
        with pytest.raises(InvalidRequestError, match="was canceled"):
            guild.ledger.unconfirmed.resubmit(ACCOUNT, "a")


def test_a_job_that_is_canceled_while_it_is_sent_again_is_not_sent_once_more(guild: Guild) -> None:
    """Neither answer says what became of it."""
    guild.order("replay", "dropped", "dropped")
    guild.meanwhile = lambda: guild.ledger.jobs.cancel(ACCOUNT, "a", at_provider=True)
    guild.pass_time(120)
    assert (guild.state(), len(guild.workshop.keys)) == ("unconfirmed", 2)


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


@pytest.mark.parametrize("job_id", ["KNOWN-1", "UNKNOWN"])
def test_a_broken_promise_is_reported_under_the_callers_own_job_id(guild: Guild, job_id: str) -> None:
    """The ids that the ledger puts into the message change nothing else of it."""
    guild.workshop.lies.add("buys anew")
    guild.order("replay", "lost 500", job_id=job_id)
    guild.workshop.bought.clear()
    guild.pass_time(30)
    failure = Failure.model_validate_json(guild.record(job_id).text("error"))
    assert (guild.state(job_id), failure.job_id) == ("unconfirmed", job_id)
    assert "another, whose id is not known, may have been bought, too" in failure.message


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
    timeline = explained(take_snapshot(guild.ledger, guild.record()), [])["timeline"]
    assert [event["what"] for event in timeline] == ["opened", "submit", "doubt", "accepted", "settled"]
    assert timeline[-1]["detail"] == "looked up by its key: the provider has it as w1"
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
