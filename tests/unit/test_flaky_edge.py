"""Results behind a flaky edge: what is home stays home, and the provider is asked again only about stale addresses."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable
from typing import Any

import fakeredis
import pytest

from bide.contract import JobState
from bide.errors import BadMediaError, DownloadError
from bide.ledger import Record
from bide.ledger.records import encode_media
from bide.providers.base import Media
from tasks.steps import home
from tasks.steps.outcome import Answer, Fail, Outcome, Suspend
from tasks.steps.store import store
from tests.contract.ledger_stage import ACCOUNT, Clock, Stage
from tests.unit.store_hands import Hands

FIRST, SECOND = "https://edge.example/0.png?signature=1", "https://edge.example/1.png?signature=1"


class Result:
    """A job whose result lies at two addresses."""

    def __init__(self, fetch: Callable[[str], None], *, again: tuple[str, ...] = (), recorded: bool = True) -> None:
        self.clock = Clock()
        self.stage = Stage(fakeredis.FakeRedis(decode_responses=True, version=(7,)), self.clock)
        self.hands = Hands(self.stage, again=again, fetch=fetch)
        record, token, attempt = self.stage.submitting("a")
        outputs = encode_media((Media("image", url=FIRST), Media("image", url=SECOND))) if recorded else ""
        self.stage.ledger.submits.submitted(record, token, attempt=attempt, provider_job_id="p", outputs=outputs)

    def step(self) -> Outcome:
        """One store step; what it puts off is due at once."""
        token = self.stage.token()
        record = self.stage.resume("a", token=token).record
        assert record is not None
        tools: Any = self.hands
        outcome = store(tools, record, token, now=self.clock.now)
        self.clock.now += pause(outcome) if isinstance(outcome, Suspend) else 0
        return outcome

    @property
    def record(self) -> Record:
        found = self.stage.ledger.jobs.read(ACCOUNT, "a")
        assert found is not None
        return found


def failing(url: str, error: Exception, *, times: int) -> Callable[[str], None]:
    """Raises `error` so many times for `url`."""
    left = itertools.count(times, -1)

    def fetch(asked: str) -> None:
        if asked == url and next(left) > 0:
            raise error

    return fetch


def pause(outcome: Outcome) -> float:
    """How long the step is put off [seconds]."""
    assert isinstance(outcome, Suspend)
    [hint] = outcome.messages.hints
    return hint.countdown_seconds


@pytest.mark.parametrize("error", [DownloadError("HTTP 500"), DownloadError("HTTP 404", stale=True)])
def test_a_file_is_tried_three_times_at_once(error: DownloadError) -> None:
    """So that a moment's trouble puts nothing off."""
    job = Result(failing(SECOND, error, times=2))
    assert isinstance(job.step(), Answer)
    assert job.hands.fetched == [FIRST, SECOND, SECOND, SECOND]
    assert job.hands.asked == 0


def test_what_is_home_is_fetched_once() -> None:
    """Also where the other file takes three steps; the provider is not asked, since no address is stale."""
    job = Result(failing(FIRST, DownloadError("HTTP 500"), times=8))
    assert pause(job.step()) == 2
    assert pause(job.step()) == 4
    outcome = job.step()
    assert isinstance(outcome, Answer)
    assert [output["key"].rpartition("/")[2] for output in outcome.result["outputs"]] == ["0.png", "1.png"]
    assert (job.hands.fetched.count(FIRST), job.hands.fetched.count(SECOND), job.hands.asked) == (9, 1, 0)
    assert job.record.text("home") == ""


@pytest.mark.parametrize("error", [DownloadError("HTTP 403", stale=True), BadMediaError("a page of HTML")])
def test_fresh_addresses_are_asked_for_where_one_is_refused(error: Exception) -> None:
    """What is home is known again by its path: only its signature is another."""
    fresh = (FIRST.replace("=1", "=2"), SECOND.replace("=1", "=2"))
    job = Result(failing(SECOND, error, times=99), again=fresh)
    pause(job.step())
    assert isinstance(job.step(), Answer)
    assert (job.hands.asked, job.hands.fetched.count(FIRST), job.hands.fetched[-1]) == (1, 1, fresh[1])


def test_another_output_in_its_place_is_fetched() -> None:
    """The provider gives them in another order: each place gets what it names now."""
    job = Result(failing(SECOND, DownloadError("HTTP 410", stale=True), times=99), again=(SECOND + "2", FIRST))
    pause(job.step())
    outcome = job.step()
    assert isinstance(outcome, Answer)
    assert job.hands.fetched[-2:] == [SECOND + "2", FIRST]


def test_a_poll_that_fails_is_made_again_at_once() -> None:
    """Up to three times in a step."""
    job = Result(lambda _: None, again=(FIRST, SECOND), recorded=False)
    job.hands.failing_polls = 2
    assert isinstance(job.step(), Answer)
    assert job.hands.asked == 3


def test_a_wish_for_later_is_kept() -> None:
    """No second request at once to a server that asks for a pause."""
    job = Result(failing(FIRST, DownloadError("HTTP 503", after_seconds=30), times=99))
    pause(job.step())
    assert job.hands.fetched.count(FIRST) == 1


def test_a_slow_download_is_not_made_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others wait for the worker's thread."""
    now = itertools.count(0.0, home.SLOW_SECONDS + 1)
    monkeypatch.setattr(time, "monotonic", lambda: next(now))
    job = Result(failing(FIRST, DownloadError("the download took longer than 900 s"), times=99))
    pause(job.step())
    assert job.hands.fetched.count(FIRST) == 1


def test_a_failure_names_what_is_stored() -> None:
    """It was paid for."""
    job = Result(failing(SECOND, DownloadError("HTTP 500"), times=999))
    pause(job.step())
    job.clock.advance(100_000)
    outcome = job.step()
    assert isinstance(outcome, Fail)
    assert "1 of 2 outputs are stored: s3://memory/" in job.record.failure.message
    assert job.record.state is JobState.FAILED


def test_a_third_of_all_downloads_fail() -> None:
    """150 jobs: each is home, and the 99th of a hundred within 30 s."""
    chance, waits = random.Random(7), []

    def fetch(_: str) -> None:
        if chance.random() < 1 / 3:
            raise DownloadError("HTTP 500")

    for _ in range(150):
        job, waited = Result(fetch), 0.0
        while isinstance(outcome := job.step(), Suspend):
            waited += pause(outcome)
        assert isinstance(outcome, Answer)
        assert len(outcome.result["outputs"]) == 2
        waits.append(waited)
    assert sorted(waits)[int(0.99 * len(waits))] < 30
