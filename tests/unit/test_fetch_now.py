"""A result behind a second request is asked for in the same round, and is not lost where that fails."""

from __future__ import annotations

from typing import Any

import pytest

from bide.contract import FailureCode
from bide.errors import ResultNotFetchedError
from tasks.steps.home import _made
from tests.unit.atelier import ACCEPTED, BASE, RESULT, STATUS, Atelier, atelier

__all__ = ["atelier"]

READY = {"state": "ready", "result_url": RESULT}
DONE = {"state": "done", "pictures": ["https://cdn.example/7.png"]}


def bought(world: Atelier, **job: Any) -> None:
    """A job whose status says that the result lies elsewhere."""
    world.reply("POST", f"{BASE}/works", ACCEPTED)
    world.reply("GET", STATUS, READY)
    world.submit(**job)


def asked(world: Atelier) -> list[str]:
    return [url for method, url in world.calls if method == "GET"]


def test_the_result_is_fetched_in_the_same_round(atelier: Atelier) -> None:
    """Not a poll later; it is one poll."""
    bought(atelier)
    atelier.reply("GET", RESULT, DONE)
    atelier.poll()
    record = atelier.record()
    assert (record.text("state"), record.text("polls"), asked(atelier)) == ("storing", "1", [STATUS, RESULT])


def test_a_failure_may_stand_behind_it(atelier: Atelier) -> None:
    """`COMPLETED` that carries a failure."""
    bought(atelier)
    atelier.reply("GET", RESULT, {"state": "failed", "why": "no", "cause": "bad_input"})
    atelier.poll()
    assert (atelier.record().text("state"), atelier.record().failure.cause) == ("failed", "bad_input")


@pytest.mark.parametrize("hops", [1, 2, 3, 4])
def test_three_hops_are_made_at_most(atelier: Atelier, hops: int) -> None:
    """One that leads on is trouble, and the job is polled again."""
    bought(atelier)
    places = [f"{RESULT}/{number}" for number in range(hops - 1)]
    for place, following in zip([RESULT, *places], [*places, ""], strict=True):
        atelier.reply("GET", place, {"state": "ready", "result_url": following} if following else DONE)
    atelier.poll()
    assert atelier.record().text("state") == ("storing" if hops <= 3 else "running")
    assert len(asked(atelier)) == 1 + min(hops, 3)


def test_a_circle_ends(atelier: Atelier) -> None:
    """A result that leads to itself."""
    bought(atelier)
    atelier.reply("GET", RESULT, READY)
    atelier.poll()
    assert (atelier.record().text("state"), len(asked(atelier))) == ("running", 4)
    assert "leads on and on" in atelier.record().text("note")


def test_a_result_that_fails_is_asked_for_again(atelier: Atelier) -> None:
    """The job is not failed; it teaches no duration, since it may have been made long before."""
    bought(atelier)
    atelier.reply("GET", RESULT, {}, status=503)
    atelier.poll()
    assert (atelier.record().text("state"), atelier.record().text("fetching")) == ("running", "1")
    assert "its result: HTTP 503" in atelier.record().text("note")
    atelier.reply("GET", RESULT, DONE)
    atelier.poll()
    assert atelier.record().text("state") == "storing"


def test_a_made_result_is_asked_for_past_the_deadline(atelier: Atelier) -> None:
    """It is paid for; after a quarter of an hour the deadline counts. It is polled at its pace meanwhile."""
    bought(atelier, deadline_seconds=30)
    atelier.reply("GET", RESULT, {}, status=503)
    atelier.poll()
    atelier.poll()
    assert (atelier.record().text("state"), atelier.record().text("fetching")) == ("running", "2")
    rounds = 0
    while atelier.record().text("state") == "running":
        atelier.poll(after_seconds=60)
        rounds += 1
    assert atelier.record().failure.code is FailureCode.DEADLINE
    assert 12 <= rounds <= 17


def test_a_stranger_s_result_address_is_not_called(atelier: Atelier) -> None:
    """The key goes to declared hosts alone, at each hop."""
    atelier.reply("POST", f"{BASE}/works", ACCEPTED)
    atelier.reply("GET", STATUS, {"state": "ready", "result_url": "https://evil.example/7"})
    atelier.submit()
    atelier.poll()
    assert atelier.record().failure.code is FailureCode.PROTOCOL
    assert asked(atelier) == [STATUS]


def test_the_step_that_stores_follows_too(atelier: Atelier) -> None:
    """Where it asks again for a result that came inline."""
    atelier.reply("POST", f"{BASE}/works", {**ACCEPTED, "pictures": ["data:image/png;base64,aGVsbG8="]})
    atelier.submit()
    atelier.reply("GET", STATUS, READY)
    atelier.reply("GET", RESULT, {"state": "done", "pictures": ["data:image/png;base64,aGVsbG8="]})
    tools: Any = atelier
    assert [media.content for media in _made(tools, atelier.record()).outputs] == [b"hello"]


def test_the_error_is_one_of_polling() -> None:
    """Whoever handles a failed poll handles it."""
    assert ResultNotFetchedError("x", after_seconds=3).after_seconds == 3
