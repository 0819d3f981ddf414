"""An overdue job is canceled at its provider, for a bounded time, whatever comes of it; a late success is stored."""

from __future__ import annotations

from typing import Any

import pytest

from bide.contract import FailureCode
from bide.errors import PollFailedError
from bide.ledger.poll_records import MOST_CANCELS
from tests.unit.atelier import ACCEPTED, BASE, CANCEL, STATUS, Atelier, atelier

__all__ = ["atelier"]

DONE = {"state": "done", "pictures": ["https://cdn.example/7.png"]}
PAINTING = {"state": "painting"}

#: What the provider, or the way to it, makes of a cancel: the answer, and its word in the record.
UNANSWERED: dict[str, Any] = {
    "nothing": ({"canceled": ""}, 200),
    "no JSON object": ([], 200),
    "429": ({"canceled": "too late"}, 429),
    "503": ({}, 503),
    "no answer": (PollFailedError("connection reset"), 0),
    "a bug of the adapter": ({"canceled": "perhaps"}, 200),
}
ANSWERED: dict[str, Any] = {"requested": ({"canceled": "requested"}, 200), "too late": ({"canceled": "too late"}, 200)}
NOT_STOPPED = pytest.mark.parametrize("made", [*UNANSWERED, *ANSWERED])


def bought(world: Atelier, made: str, **job: Any) -> None:
    """A job at work, whose provider makes that of a cancel."""
    world.reply("POST", f"{BASE}/works", ACCEPTED)
    world.reply("GET", STATUS, PAINTING)
    answer, status = {**UNANSWERED, **ANSWERED}[made]
    if status:
        world.reply("PUT", CANCEL, answer, status=status)
    else:
        world.fail("PUT", CANCEL, answer)
    world.submit(**job)


def state(world: Atelier) -> str:
    return world.record().text("state")


def cancels(world: Atelier) -> int:
    return world.calls.count(("PUT", CANCEL))


@NOT_STOPPED
def test_a_late_success_is_stored(atelier: Atelier, made: str) -> None:
    """Minutes after the deadline: it is paid for."""
    bought(atelier, made, deadline_seconds=300)
    atelier.poll(after_seconds=300)
    assert state(atelier) == "running"
    for _ in range(3):
        atelier.poll(after_seconds=60)
    atelier.reply("GET", STATUS, DONE)
    atelier.poll(after_seconds=60)
    assert state(atelier) == "storing"


@NOT_STOPPED
def test_an_overdue_job_is_waited_for_as_long_again(atelier: Atelier, made: str) -> None:
    """As it had, where that is less than ten minutes: then it fails, and nothing is asked any more."""
    bought(atelier, made, deadline_seconds=300)
    atelier.poll(after_seconds=301)
    overdue_at = atelier.clock.now
    while state(atelier) == "running":
        atelier.poll(after_seconds=30)
    assert atelier.record().failure.code is FailureCode.DEADLINE
    assert 290 <= atelier.clock.now - overdue_at <= 365
    calls = len(atelier.calls)
    atelier.poll(after_seconds=60)
    assert len(atelier.calls) == calls


@pytest.mark.parametrize("made", ANSWERED)
def test_an_answered_cancel_is_not_repeated(atelier: Atelier, made: str) -> None:
    """The provider knows."""
    bought(atelier, made, deadline_seconds=300)
    for _ in range(4):
        atelier.poll(after_seconds=150)
    assert (cancels(atelier), atelier.record().text("cancel")) == (1, f"deadline {made}")


@pytest.mark.parametrize("made", UNANSWERED)
def test_a_cancel_without_an_answer_is_repeated_some_times(atelier: Atelier, made: str) -> None:
    """With the polls, and no more than twenty times, however long the job may take."""
    bought(atelier, made, deadline_seconds=7 * 24 * 3600)
    atelier.canceler.cancel("a")
    atelier.poll(after_seconds=0)
    assert atelier.record().text("cancel") == "canceled unknown"
    for number in range(2, 30):
        atelier.poll()
        assert atelier.record().text("cancel") == f"canceled unknown {min(number, MOST_CANCELS)}"
    assert (cancels(atelier), state(atelier)) == (MOST_CANCELS, "running")
    atelier.reply("GET", STATUS, DONE)
    atelier.poll()
    assert state(atelier) == "storing"


@NOT_STOPPED
def test_a_job_that_is_canceled_just_before_its_deadline(atelier: Atelier, made: str) -> None:
    """It has the same time as an overdue one, for what its provider makes all the same; then it is canceled."""
    bought(atelier, made, deadline_seconds=300)
    atelier.clock.advance(297)
    atelier.canceler.cancel("a")
    atelier.poll(after_seconds=0)
    canceled_at = atelier.clock.now
    while state(atelier) == "running":
        atelier.poll(after_seconds=30)
    assert (state(atelier), atelier.record().failure.code) == ("canceled", FailureCode.CANCELED)
    assert 290 <= atelier.clock.now - canceled_at <= 365


def test_a_cancel_that_no_poller_took_before_the_deadline(atelier: Atelier) -> None:
    """Its deadline passes meanwhile: the provider is asked all the same, and a late success is stored."""
    bought(atelier, "requested", deadline_seconds=300)
    atelier.canceler.cancel("a")
    atelier.poll(after_seconds=400)
    assert (cancels(atelier), state(atelier)) == (1, "running")
    atelier.reply("GET", STATUS, DONE)
    atelier.poll()
    assert state(atelier) == "storing"


def test_what_the_provider_charged_is_kept(atelier: Atelier) -> None:
    """Of a job that it ended after the cancel."""
    bought(atelier, "requested")
    atelier.canceler.cancel("a")
    atelier.reply("GET", STATUS, {"state": "failed", "why": "aborted", "charged": "yes"})
    atelier.poll(after_seconds=0)
    atelier.poll()
    assert (state(atelier), atelier.record().failure.charged) == ("canceled", "yes")


def test_a_canceled_overdue_job_is_canceled(atelier: Atelier) -> None:
    """A person's cancel comes while an overdue job is waited for: it is asked once more, and ends as canceled."""
    bought(atelier, "requested", deadline_seconds=300)
    atelier.poll(after_seconds=301)
    atelier.canceler.cancel("a")
    atelier.reply("PUT", CANCEL, {"canceled": "stopped"})
    atelier.poll(after_seconds=0)
    assert (state(atelier), atelier.record().failure.code, cancels(atelier)) == ("canceled", FailureCode.CANCELED, 2)
