"""Where a doubt about a submit stops settling itself: its key, its deadline, its bytes, its account, an old release."""

from __future__ import annotations

import pytest

from bide.ledger.keys import prefix
from tasks.steps.outcome import Fail
from tests.guild_adapter import LIVE_SECONDS
from tests.unit.guild import ACCOUNT, SENDING_SECONDS, SURE_SECONDS, Guild, guild

__all__ = ["guild"]


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


@pytest.mark.parametrize("operation", ["replay", "reject"])
def test_a_doubt_is_settled_where_it_was_bought_although_its_account_has_no_base_url_any_more(
    guild: Guild, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its record says where: a replay and a look-up go there."""
    guild.order(operation, "lost")
    monkeypatch.setattr("tests.guild_adapter.GuildAdapter.default_base_url", None)
    guild.configure()
    guild.pass_time(SURE_SECONDS)
    assert (guild.state(), guild.pid) == ("running", "w1")


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
