"""A canceled or overdue job is canceled at the provider, too, where that can be done; a late success is stored."""

from __future__ import annotations

from typing import Any

import pytest

from bide.client.status import status_of
from bide.contract import FailureCode
from bide.ledger.keys import prefix
from bide.ledger.snapshot import take_snapshot
from bide.ledger.timeline import why
from bide.providers import installed
from bide.providers.base import Account, Answer, Canceled, Cancels, Ticket
from tests.unit.atelier import (
    ACCEPTED,
    ACCOUNT,
    BASE,
    CANCEL,
    STATUS,
    Atelier,
    AtelierAdapter,
    PlainAtelierAdapter,
    atelier,
)

__all__ = ["atelier"]

DONE = {"state": "done", "pictures": ["https://cdn.example/7.png"]}
PAINTING = {"state": "painting"}


def bought(world: Atelier, *states: Any, canceled: str, **job: Any) -> None:
    """A job at the provider, which answers polls so, and a cancel so."""
    world.reply("POST", f"{BASE}/works", ACCEPTED)
    for state in states:
        world.reply("GET", STATUS, state)
    world.reply("PUT", CANCEL, {"canceled": canceled})
    world.submit(**job)


def asked(world: Atelier) -> list[str]:
    """The methods of the calls about the job."""
    return [method for method, url in world.calls if url in (STATUS, CANCEL)]


def state(world: Atelier) -> str:
    return world.record().text("state")


def test_a_stopped_job_ends_as_canceled(atelier: Atelier) -> None:
    """The poll after the cancel comes at once; the job is not polled any more, and its caller gets a message."""
    bought(atelier, PAINTING, canceled="stopped")
    assert atelier.canceler.cancel("a")
    assert state(atelier) == "running"
    atelier.poll(after_seconds=0)
    failure = atelier.record().failure
    assert (state(atelier), failure.code, failure.provider_job_id) == ("canceled", FailureCode.CANCELED, "7")
    assert "the provider has stopped it" in failure.message
    assert asked(atelier) == ["PUT"]
    assert [hint.job_id for messages in atelier.sent for hint in messages.hints] == ["a"]
    assert atelier.server.scard(f"{prefix(ACCOUNT)}inflight") == 0


def test_a_late_success_is_stored(atelier: Atelier) -> None:
    """The provider took note of the cancel, and made the picture all the same: it is paid for."""
    bought(atelier, PAINTING, PAINTING, DONE, canceled="requested")
    atelier.poll()
    atelier.canceler.cancel("a")
    atelier.poll(after_seconds=0)
    assert (state(atelier), atelier.record().text("cancel")) == ("running", "canceled requested")
    assert "the provider was asked to stop it: requested" in status_of(atelier.record(), "a").note
    assert "the provider was asked to stop it: requested" in why(take_snapshot(atelier.ledger, atelier.record()))
    atelier.poll()
    assert (state(atelier), atelier.record().outputs[0].url) == ("storing", "https://cdn.example/7.png")
    assert asked(atelier) == ["GET", "PUT", "GET", "GET"]


def test_a_cancel_that_is_too_late_has_the_result_stored_at_once(atelier: Atelier) -> None:
    """The poll of the same round finds it."""
    bought(atelier, DONE, canceled="too late")
    atelier.canceler.cancel("a")
    atelier.poll(after_seconds=0)
    assert (state(atelier), asked(atelier)) == ("storing", ["PUT", "GET"])


@pytest.mark.parametrize("heard", [{"state": "failed", "why": "canceled by the user"}, None], ids=["failed", "gone"])
def test_what_the_provider_ends_after_a_request_is_canceled(atelier: Atelier, heard: Any) -> None:
    """Not failed: that is what was asked for. The provider's words stand in the message."""
    bought(atelier, PAINTING, canceled="requested")
    atelier.canceler.cancel("a")
    atelier.poll(after_seconds=0)
    if heard is None:
        atelier.reply("GET", STATUS, {}, status=404)
    else:
        atelier.reply("GET", STATUS, heard)
    for _ in range(8):
        if state(atelier) == "running":
            atelier.poll()
    assert (state(atelier), atelier.record().failure.code) == ("canceled", FailureCode.CANCELED)
    assert (heard is None) or "canceled by the user" in atelier.record().failure.message


def test_a_cancel_whose_answer_says_nothing_is_sent_again(atelier: Atelier) -> None:
    """With each poll, until the provider says something."""
    bought(atelier, PAINTING, canceled="")
    atelier.canceler.cancel("a")
    atelier.poll(after_seconds=0)
    assert atelier.record().text("cancel") == "canceled unknown"
    atelier.reply("PUT", CANCEL, {"canceled": "stopped"})
    atelier.poll()
    assert (state(atelier), asked(atelier)) == ("canceled", ["PUT", "GET", "PUT"])


def test_two_cancels_are_one(atelier: Atelier) -> None:
    """A message that comes twice asks the provider once more at most, and changes nothing of its answer."""
    bought(atelier, PAINTING, canceled="requested")
    atelier.canceler.cancel("a")
    atelier.canceler.cancel("a")
    atelier.poll(after_seconds=0)
    atelier.canceler.cancel("a")
    assert atelier.record().text("cancel") == "canceled requested"
    atelier.poll()
    assert asked(atelier) == ["PUT", "GET", "GET"]


def test_a_cancel_during_a_poll_is_sent_with_the_next(atelier: Atelier) -> None:
    """Which comes at once."""
    bought(atelier, PAINTING, canceled="stopped")
    atelier.meanwhile = lambda: atelier.canceler.cancel("a")
    atelier.poll()
    atelier.meanwhile = None
    assert state(atelier) == "running"
    atelier.poll(after_seconds=0)
    assert (state(atelier), asked(atelier)) == ("canceled", ["GET", "PUT"])


def test_an_overdue_job_is_stopped(atelier: Atelier) -> None:
    """The last poll finds it at work; then the provider is asked to stop it, and the job ends by its deadline."""
    bought(atelier, PAINTING, canceled="stopped", deadline_seconds=30)
    atelier.poll()
    assert (state(atelier), atelier.record().failure.code) == ("failed", FailureCode.DEADLINE)
    assert asked(atelier) == ["GET", "PUT"]


def test_an_overdue_job_that_succeeds_late_is_stored(atelier: Atelier) -> None:
    """It gets as long again as it had, and is polled at its pace, while the provider was only asked."""
    bought(atelier, PAINTING, PAINTING, DONE, canceled="requested", deadline_seconds=100)
    atelier.poll(after_seconds=100)
    record = atelier.record()
    assert (state(atelier), record.text("cancel")) == ("running", "deadline requested")
    assert record.number("deadline") == pytest.approx(atelier.clock.now + 100, abs=1)
    assert "since its deadline had passed: requested" in status_of(record, "a").note
    atelier.poll()
    atelier.poll()
    assert (state(atelier), asked(atelier)) == ("storing", ["GET", "PUT", "GET", "GET"])


def test_an_overdue_job_ends_all_the_same(atelier: Atelier) -> None:
    """Where the provider neither stops nor ends it."""
    bought(atelier, PAINTING, canceled="requested", deadline_seconds=100)
    for _ in range(6):
        if not atelier.record().text("error"):
            atelier.poll(after_seconds=60)
    assert (state(atelier), atelier.record().failure.code) == ("failed", FailureCode.DEADLINE)
    assert asked(atelier).count("PUT") == 1


def test_a_job_that_can_not_be_stopped_ends_at_once(atelier: Atelier) -> None:
    """Its adapter has a call, but not for this job: what the provider has accepted stands."""
    atelier.reply("POST", f"{BASE}/works", {"id": "7", "status_url": STATUS})
    atelier.submit()
    atelier.canceler.cancel("a")
    atelier.poll(after_seconds=0)
    assert (state(atelier), asked(atelier)) == ("canceled", [])
    assert "stands and is charged" in atelier.record().failure.message


def test_a_provider_without_a_cancel_is_as_before(atelier: Atelier) -> None:
    """The record says canceled at once, and an overdue job fails at its last poll."""
    installed()["atelier"] = PlainAtelierAdapter()
    atelier.configure()
    bought(atelier, PAINTING, canceled="stopped", deadline_seconds=30)
    atelier.reply("POST", f"{BASE}/works", {"id": "8"})
    atelier.submit("b")
    atelier.canceler.cancel("b")
    assert atelier.record("b").text("state") == "canceled"
    atelier.poll()
    assert (state(atelier), asked(atelier)) == ("failed", ["GET"])


@pytest.mark.parametrize("name", ["cyberphotobooth", "dreambooth", "nextry", "photogpt"])
def test_none_of_the_four_has_a_call_that_stops_a_job(name: str) -> None:
    """None documents one; Nextry's DELETE forgets an item, and is not known to stop it."""
    assert not isinstance(installed()[name], Cancels)


def test_a_cancel_goes_to_declared_hosts_alone(atelier: Atelier) -> None:
    """A cancel address of a stranger is not called; the job goes on as if nothing had been heard."""
    atelier.reply("POST", f"{BASE}/works", {**ACCEPTED, "cancel_url": "https://evil.example/7"})
    atelier.reply("GET", STATUS, PAINTING)
    atelier.submit()
    atelier.canceler.cancel("a")
    atelier.poll(after_seconds=0)
    assert (atelier.record().text("cancel"), asked(atelier)) == ("canceled unknown", ["GET"])
    assert not any("evil" in url for _, url in atelier.calls)


def test_an_answer_that_can_not_be_read_is_unknown() -> None:
    """The adapter raises, and nothing is concluded."""
    answer, ticket = Answer(500, {}, b"<html>"), Ticket("paint", "7")
    assert AtelierAdapter().cancel_outcome(answer, ticket, Account(BASE, "key")) is Canceled.UNKNOWN
