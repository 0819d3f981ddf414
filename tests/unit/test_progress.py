"""How far a job is: from the provider's answer into its record, out to people and programs, and into the next poll."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from itertools import cycle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bide.cli.explain import explained
from bide.cli.jobs import _status_lines
from bide.cli.listing import job_json, table
from bide.cli.waiting import progress_of
from bide.client.status import status_of
from bide.ledger.keys import prefix
from bide.ledger.listing import Listing, Wanted
from bide.ledger.snapshot import take_snapshot
from bide.ledger.timeline import why
from bide.polling.backoff import PollPlan
from bide.polling.timing import PollTiming
from bide.providers import find
from bide.providers.base import Account, Answer, Progress, Running, Ticket
from bide.providers.progress import MESSAGE_CHARACTERS
from tests.unit.atelier import ACCEPTED, ACCOUNT, BASE, KEY, STATUS, Atelier, atelier

__all__ = ["atelier"]

HALF: dict[str, Any] = {"fraction": 0.5, "position": 3, "left_seconds": 12.0, "message": "step 10/20"}


def polled(world: Atelier, *answers: dict[str, Any], after_seconds: float = 40.0) -> None:
    """A job that is bought and polled once for each answer."""
    world.reply("POST", f"{BASE}/works", ACCEPTED)
    for answer in answers:
        world.reply("GET", STATUS, answer)
    world.submit()
    for _ in answers:
        world.poll(after_seconds=after_seconds)


def next_poll_seconds(world: Atelier) -> float:
    """In how many seconds the job is polled next."""
    return float(world.server.zscore(f"{prefix(ACCOUNT)}due", "a") or 0) - world.clock.now


def test_progress_is_shown_to_people_and_programs(atelier: Atelier) -> None:
    """By `status`, `explain`, `jobs` and `Client.status`."""
    polled(atelier, {"state": "painting", **HALF})
    progress = status_of(atelier.record(), "a").progress
    assert progress == Progress(**HALF)
    assert str(progress) == "50% done, 3 before it in the provider's queue, about 12 s left, step 10/20"
    assert f"how far it is: {progress}" in why(take_snapshot(atelier.ledger, atelier.record()))
    [job] = Listing(atelier.ledger.executor).search(Wanted(), most=5).jobs
    assert job.progress == progress


def test_people_see_it_in_the_commands(atelier: Atelier) -> None:
    """`status`, `jobs` (also `--watch`, which prints the same table), and the line of `wait`."""
    polled(atelier, {"state": "painting", **HALF})
    [job] = Listing(atelier.ledger.executor).search(Wanted(), most=5).jobs
    record, words = atelier.record(), "50% done, 3 before it in the provider's queue, about 12 s left, step 10/20"
    assert f"{'progress':14} {words}" in _status_lines(status_of(record, "a"))
    assert f"painting, {words}" in table([job])[0]
    assert "50% done, 3 before it in the provider's queue, about 12 s …" in progress_of(atelier.ledger, "a")


def test_programs_read_it_as_numbers(atelier: Atelier) -> None:
    """`--json` of `status`, `jobs` and `explain` have the same fields; None for what the provider does not say."""
    polled(atelier, {"state": "painting", "position": 3})
    [job] = Listing(atelier.ledger.executor).search(Wanted(), most=5).jobs
    numbers = {"fraction": None, "position": 3, "left_seconds": None, "message": ""}
    progress = status_of(atelier.record(), "a").progress
    explains = explained(take_snapshot(atelier.ledger, atelier.record()), [])
    assert (progress and progress.to_json(), job_json(job)["progress"], explains["progress"]) == (numbers,) * 3


def test_it_goes_with_the_end(atelier: Atelier) -> None:
    """A job that has its result is not half done any more."""
    polled(atelier, {"state": "painting", **HALF}, {"state": "done", "pictures": ["https://cdn.example/7.png"]})
    assert status_of(atelier.record(), "a").progress is None
    assert next(iter(Listing(atelier.ledger.executor).search(Wanted(), most=5).jobs)).progress is None


def test_it_is_written_where_it_changes(atelier: Atelier) -> None:
    """An answer without progress keeps the last; the same again is not written; a cursor goes along."""
    polled(atelier, {"state": "painting", "fraction": 0.25})
    written = []
    answers: tuple[dict[str, Any], ...] = (
        {"fraction": 0.25},
        {},
        {"fraction": 0.5},
        {"fraction": 0.5, "cursor": "c1"},
        {"cursor": "c2", **HALF},
    )
    for answer in answers:
        atelier.reply("GET", STATUS, {"state": "painting", **answer})
        before = atelier.record().text("progress")
        atelier.poll()
        written.append(atelier.record().text("progress") != before)
    assert written == [False, False, True, False, True]
    assert (atelier.record().text("cursor"), atelier.record().progress) == ("c2", Progress(**HALF))


def test_an_old_record_has_none(atelier: Atelier) -> None:
    """Nothing is written for a provider that says nothing."""
    polled(atelier, {"state": "painting"})
    assert "progress" not in atelier.record().fields
    assert status_of(atelier.record(), "a").progress is None


@pytest.mark.parametrize(
    ("body", "headers", "least", "most"),
    [
        ({"again": 25}, {}, 25, 25),
        ({}, {"retry-after": "25"}, 25, 25),
        ({"again": 1}, {}, 3.6, 4.4),
        ({"again": 1e9}, {}, 300, 300),
        ({"again": -5}, {}, 3.6, 4.4),
        ({"left_seconds": 20}, {}, 18, 22),
        ({"left_seconds": 1}, {}, 3.6, 4.4),
        ({"left_seconds": 1e9}, {}, 54, 66),
        ({"left_seconds": 20, "again": 40}, {}, 40, 40),
    ],
)
def test_what_the_provider_says_feeds_the_next_poll(
    atelier: Atelier, body: dict[str, Any], headers: Any, least: float, most: float
) -> None:
    """Later than by the plan where it says so, within bounds, and never sooner: no poll more than without it."""
    atelier.reply("POST", f"{BASE}/works", ACCEPTED)
    atelier.reply("GET", STATUS, {"state": "painting", **body}, **headers)
    atelier.submit()
    atelier.poll()
    assert least - 0.01 <= next_poll_seconds(atelier) <= most + 0.01


class Even(random.Random):
    """No jitter."""

    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2


def polls_of(duration_seconds: float, lefts: Callable[[float], float | None]) -> int:
    """How often a job of that duration is polled; `lefts` is what its provider says at an age."""
    timing = PollTiming(PollPlan(2.0, 1.5, 30.0))
    age, polls = timing.first(random_=Even()), 1
    while age < duration_seconds:
        age += timing.after(polls, age_seconds=age, left_seconds=lefts(age), random_=Even())
        polls += 1
    return polls


@given(st.floats(0.1, 5000), st.lists(st.none() | st.floats(allow_nan=True), min_size=1))
def test_no_poll_more_than_without_it(duration_seconds: float, estimates: list[float | None]) -> None:
    """Whatever the provider says, also where it lies."""
    answers = cycle(estimates)
    assert polls_of(duration_seconds, lambda _: next(answers)) <= polls_of(duration_seconds, lambda _: None)


@pytest.mark.parametrize(("duration_seconds", "polls", "without"), [(20, 2, 5), (60, 2, 7), (300, 6, 15)])
def test_an_honest_provider_saves_polls(duration_seconds: float, polls: int, without: int) -> None:
    """Figures for the page about polls."""
    honest = polls_of(duration_seconds, lambda age: max(duration_seconds - age, 0.0))
    assert (honest, polls_of(duration_seconds, lambda _: None)) == (polls, without)


def test_what_was_learned_comes_before_an_estimate_of_the_rest() -> None:
    """Durations of many jobs know better than one answer."""
    plan = PollPlan(2.0, 2.0, 30.0)

    class Learned:
        def after(self, age_seconds: float, random_: random.Random | None = None) -> float:
            return 7.0

    known: Any = Learned()
    assert PollTiming(plan, lambda _: known).after(1, age_seconds=5.0, left_seconds=50.0) == 7.0


@pytest.mark.parametrize(
    ("progress", "text"),
    [
        (Progress(), ""),
        (Progress(fraction=1.7), '{"fraction":1.0}'),
        (Progress(fraction=float("nan"), position=-1, left_seconds=float("inf")), ""),
        (Progress(position=0), '{"position":0}'),
        (Progress(fraction=0.123456), '{"fraction":0.123}'),
        (Progress(message="two\nlines\x1b[31m"), '{"message":"two lines [31m"}'),
    ],
)
def test_what_can_not_be_is_left_out(progress: Progress, text: str) -> None:
    """Of the numbers, and of a message what would upset a terminal."""
    assert progress.to_text() == text


@given(st.builds(Progress, st.floats() | st.none(), st.integers() | st.none(), st.floats() | st.none(), st.text()))
def test_whatever_a_provider_says_can_be_kept_and_shown(progress: Progress) -> None:
    """Whole JSON, not long, and read back as it was written."""
    text = progress.to_text()
    assert len(text) < 100 + 6 * MESSAGE_CHARACTERS
    back = Progress.from_text(text)
    assert back is None or (back.to_text() == text and str(back).isprintable())
    assert text == "" or json.loads(text)


def test_a_key_in_a_message_is_masked() -> None:
    """Providers quote back what they got."""

    class Quoting(type(find("photogpt"))):  # type: ignore[misc]  # any adapter
        def read_poll(self, answer: Answer, ticket: Ticket, account: Account) -> Running:
            return Running("x", progress=Progress(message=f"loading with {KEY}"))

    outcome = Quoting().poll_outcome(Answer(200), Ticket("images.generation", "7"), Account(BASE, KEY))
    assert isinstance(outcome, Running)
    assert outcome.progress == Progress(message="loading with ***")


@pytest.mark.parametrize(
    ("body", "left_seconds"),
    [({"queue_time": 42.5}, 42.5), ({"eta": 9}, 9.0), ({"eta": "soon"}, None), ({"queue_time": -1}, None), ({}, None)],
)
def test_dreambooth_says_how_long_the_queue_is(body: dict[str, Any], left_seconds: float | None) -> None:
    """Where it says so at all."""
    answer = Answer(200, {}, json.dumps({"status": "processing", "id": "", "output": "", **body}).encode())
    outcome = find("dreambooth").poll_outcome(answer, Ticket("text2img", "7"), Account(BASE, KEY))
    assert isinstance(outcome, Running)
    assert (outcome.progress and outcome.progress.left_seconds) == left_seconds
