"""Doubts about submits that settle themselves: by each kind of promise, bought once, with evidence in the timeline."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bide.contract import FailureCode
from bide.crashpoints import Point
from tests.unit.guild import SENDING_SECONDS, SHOWS_SECONDS, SURE_SECONDS, Guild, dying_at, guild

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


def test_a_worker_that_stood_still_sends_nothing(guild: Guild) -> None:
    """Its intent is older than a lease: others may have looked the job up by now, and found that it is not there."""
    guild.ledger.timing = replace(guild.ledger.timing, lease_seconds=0)
    guild.order("client_id")
    assert (guild.state(), guild.workshop.keys) == ("queued", [])
    assert "stood still" in guild.record().text("note")


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
