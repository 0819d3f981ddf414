"""Doubts that settle themselves beside other events: wrong ids, dead workers, lanes that are down, missing adapters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from bide.bulk.results import EndedRow
from bide.contract import FailureCode
from bide.ledger import Polled
from bide.ledger.keys import prefix
from bide.ledger.snapshot import take_snapshot
from bide.ledger.timeline import why
from bide.providers import installed
from tests.guild_adapter import GuildAdapter
from tests.unit.guild import ACCOUNT, Guild, guild

__all__ = ["guild"]

LOST = '{"code":"lost","message":"the provider no longer knows the job","job_id":"a"}'


class LanedGuildAdapter(GuildAdapter):
    """Each motif is a lane."""

    def lane(self, operation: str, params: Mapping[str, Any]) -> str:
        return str(params["motif"])


# Ids that operators attach


@pytest.mark.parametrize("answer", [429, 400])
def test_a_late_refusal_of_a_replay_settles_nothing_after_a_wrong_id(guild: Guild, answer: int) -> None:
    """While the replay is under way an operator attaches an id that is none; the first submit was accepted."""

    def attach_a_wrong_id() -> None:
        assert guild.ledger.unconfirmed.attach(ACCOUNT, "a", "wrong")[0]
        guild.ledger.polls.record(ACCOUNT, [Polled("a", "failed", value=LOST, note="lost")])
        assert guild.state() == "unconfirmed"

    guild.order("replay", "lost", answer)
    guild.meanwhile = attach_a_wrong_id
    guild.pass_time(120)
    assert (guild.state(), guild.workshop.purchases) == ("unconfirmed", 1)
    assert guild.ledger.unconfirmed.resubmit(ACCOUNT, "a")[0]
    guild.pass_time(60)
    assert (guild.state(), guild.workshop.purchases) == ("running", 1), "under the same key"


def test_one_of_two_purchases_is_attached_and_the_other_is_left(guild: Guild) -> None:
    """Where the provider has lost that one, the job goes on as the other: it is paid for, too."""
    guild.workshop.lies |= {"buys anew", "marks all"}
    guild.order("replay", "lost")
    record = guild.record()
    guild.meanwhile = lambda: guild.ledger.submits.submitted(record, "old", attempt=1, provider_job_id="w1")
    guild.pass_time(30)
    assert (guild.state(), guild.record().other_ids) == ("unconfirmed", ["w1", "w2"])
    assert guild.ledger.unconfirmed.attach(ACCOUNT, "a", "w1")[0]
    assert (guild.pid, guild.record().other_ids) == ("w1", ["w2"])
    guild.ledger.polls.record(ACCOUNT, [Polled("a", "failed", value=LOST, note="lost")])
    assert (guild.state(), guild.pid, guild.record().other_ids) == ("running", "w2", [])


# An adapter or a file that is gone


@pytest.mark.parametrize("on_unknown", ["hold", "resubmit"])
@pytest.mark.parametrize("operation", ["replay", "reject", "free"])
def test_a_doubt_waits_for_its_adapter(guild: Guild, operation: str, on_unknown: str) -> None:
    """A file that can't be read for a minute is no reason to buy again, nor to hold what its promise settles."""
    guild.order(operation, "lost", on_unknown=on_unknown)
    adapter = installed().pop("guild")
    try:
        guild.configure()
        guild.pass_time(30)
        assert guild.state() == "submitting"
        assert "there is no 'guild'" in guild.evidence()
    finally:
        installed()["guild"] = adapter
    guild.configure()
    guild.pass_time(120)
    assert guild.state() == "running"
    if operation != "free":
        assert (guild.workshop.purchases, guild.record().text("again")) == (1, "")


def test_a_doubt_does_not_wait_for_its_adapter_for_ever(guild: Guild) -> None:
    """At its deadline an operator decides."""
    guild.order("replay", "lost", deadline_seconds=60)
    adapter = installed().pop("guild")
    try:
        guild.configure()
        guild.pass_time(150)
    finally:
        installed()["guild"] = adapter
    assert guild.state() == "unconfirmed"


# Lanes


@pytest.mark.parametrize("operation", ["replay", "reject"])
def test_a_lane_that_is_down_keeps_a_replay_back_and_no_look_up(guild: Guild, operation: str) -> None:
    """A look-up buys nothing. People read which lane the replay waits for; once that is well, it is settled."""
    installed()["guild"] = LanedGuildAdapter()
    guild.configure()
    guild.order(operation, "lost")
    lane = f"{operation} a fox"
    breakers: dict[Any, Any] = {
        f"strikes:{lane}": "3",
        f"gate_until:{lane}": str(guild.clock.now + 100),
        f"gate_reason:{lane}": "503",
    }
    guild.server.hset(f"{prefix(ACCOUNT)}lane_breakers", mapping=breakers)
    guild.pass_time(50)
    if operation == "reject":
        assert (guild.state(), guild.pid) == ("running", "w1")
        return
    assert guild.state() == "submitting"
    assert any(reason.startswith("its lane a fox: no submits for another") for reason in _why(guild))
    guild.pass_time(120)
    assert (guild.state(), guild.pid, guild.workshop.purchases) == ("running", "w1", 1)
    assert guild.ledger.accounts.state(ACCOUNT).lanes == {}, "its acceptance closes the breaker"


def _why(guild: Guild) -> list[str]:
    return why(take_snapshot(guild.ledger, guild.record()))


# Cancels and rows


def test_a_canceled_free_job_whose_worker_died_is_canceled(guild: Guild) -> None:
    """As where its answer was lost: nobody has to look for it, and its caller hears what was asked for."""
    guild.die("free", "intent_written")
    guild.ledger.jobs.cancel(ACCOUNT, "a", at_provider=True)
    guild.pass_time(60)
    assert guild.state() == "canceled"
    assert guild.record().failure.code is FailureCode.CANCELED
    assert guild.record().text("cancel") == ""


@pytest.mark.parametrize(("operation", "ends"), [("replay", "unconfirmed"), ("free", "canceled")])
def test_a_canceled_doubt_does_not_wait_for_its_account(guild: Guild, operation: str, ends: str) -> None:
    """Nothing is sent any more, so that its caller need not wait until the account is resumed, or for the deadline."""
    guild.order(operation, "dropped")
    guild.ledger.accounts.pause(ACCOUNT, reason="no credit", by="operator")
    guild.pass_time(5)
    guild.ledger.jobs.cancel(ACCOUNT, "a", at_provider=True)
    guild.pass_time(90)
    assert (guild.state(), len(guild.workshop.keys)) == (ends, 1)


@pytest.mark.parametrize(("operation", "charged"), [("replay", 7), ("free", 0)])
def test_a_row_that_is_given_up_in_doubt_may_have_cost_its_price(guild: Guild, operation: str, charged: int) -> None:
    """A budget counts the most that was spent."""
    guild.order(operation, "lost")
    assert guild.ledger.unconfirmed.give_up(ACCOUNT, "a")[0]
    ended = EndedRow("run", 1, "failed", "o", b"{}", guild.record(), ACCOUNT, 7)
    assert ended.charged == charged
