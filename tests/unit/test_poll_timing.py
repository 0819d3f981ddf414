"""When a job is looked at next, and what a poll's answer makes of it."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from bide.errors import AccountRefusedError, PollFailedError
from bide.ledger import Claimed
from bide.polling.backoff import PollPlan
from bide.polling.duration_model import DurationModel
from bide.polling.schedule import PollSchedule, poll_schedule
from bide.polling.timing import PollTiming, why
from bide.providers import find
from bide.providers.base import Failed, Media, Running, Succeeded, Unknown
from tasks.steps.decision import PollAnswer, ended, judge

PLAN = PollPlan(2.0, 2.0, 30.0)
NOW = 1_700_000_000.0


def duration_model(seconds: float = 20.0, jobs: int = 60) -> DurationModel:
    """After jobs that took about so long."""
    chance, lived = random.Random(4), DurationModel()
    for _ in range(jobs):
        took = seconds * chance.lognormvariate(0, 0.05)
        lived = lived.observed(took * 0.98, took)
    return lived


def learned(_: float | None = None) -> PollSchedule:
    """The poll schedule of jobs of 20 s."""
    return poll_schedule(duration_model().durations, PLAN)


def claimed(*, age_seconds: float | None = 5.0, polls: int = 0) -> Claimed:
    """A job of that age."""
    submitted = 0.0 if age_seconds is None else NOW - age_seconds
    return Claimed("j", 0.0, "images.generation", "p", "", True, polls, NOW + 900, 0.0, 0, submitted)


def delay(answer: PollAnswer, job: Claimed, poll_timing: PollTiming) -> float:
    """What a poll's answer puts the next one off by."""
    return judge(job, answer, adapter=find("photogpt"), poll_timing=poll_timing, now=NOW).seconds


def test_learned_times_are_kept() -> None:
    """A job of 5 s that runs is looked at when its like are done, at about 20 s; without knowledge after backoff."""
    assert 15 <= delay(Running("working", ""), claimed(), PollTiming(PLAN, learned)) <= 18
    assert 3.6 <= delay(Running("working", ""), claimed(), PollTiming(PLAN)) <= 4.4


def test_a_job_of_unknown_age_backs_off() -> None:
    """A record without the time of its submit is polled as ever."""
    assert 3.6 <= delay(Running("working", ""), claimed(age_seconds=None), PollTiming(PLAN, learned)) <= 4.4


@pytest.mark.parametrize(
    ("answer", "least", "most"),
    [
        (PollFailedError("HTTP 500"), 3.6, 4.4),
        (PollFailedError("HTTP 429", after_seconds=50.0), 50.0, 50.0),
        (AccountRefusedError("HTTP 401"), 30.0, 30.0),
    ],
)
def test_trouble_backs_off_whatever_was_learned(answer: PollAnswer, least: float, most: float) -> None:
    """A poll that fails says nothing of the job: plain backoff, and Retry-After is obeyed."""
    assert least <= delay(answer, claimed(), PollTiming(PLAN, learned)) <= most


@pytest.mark.parametrize("polls", [0, 20])
@pytest.mark.parametrize("late_seconds", [0.0, 3600.0])
def test_a_job_is_lost_when_it_was_looked_for_long_enough(polls: int, late_seconds: float) -> None:
    """Three looks at least within ten seconds, however late pollers come: what nobody looked for is not lost."""
    adapter, now, job = find("photogpt"), NOW, claimed(polls=polls)
    pauses = list[float]()
    while (
        polled := judge(job, Unknown("who?"), adapter=adapter, poll_timing=PollTiming(PLAN, learned), now=now)
    ).kind == "trouble":
        pauses.append(polled.seconds)
        now += polled.seconds + late_seconds
        job = replace(job, polls=job.polls + 1, unknown_for=polled.unknown_for, deadline=now + 900)

    assert (polled.kind, polled.note) == ("failed", "lost")
    assert len(pauses) >= 2
    assert sum(pauses) == pytest.approx(adapter.unknown_grace_seconds, abs=1)


@pytest.mark.parametrize("deadline_seconds", [900.0, 3.0, -1.0])
@pytest.mark.parametrize("filled_at", [1, 2, 3, 4, None])
def test_a_success_without_a_result_is_looked_at_for_a_minute(filled_at: int | None, deadline_seconds: float) -> None:
    """What is filled in at a later look is a result, past the deadline too; else the looks span 60 s at least."""
    job, now = replace(claimed(), deadline=NOW + deadline_seconds), NOW
    for look in range(9):
        answer = Succeeded((Media("image", "https://x/y.png"),) if look == filled_at else ())
        polled = judge(job, answer, adapter=find("photogpt"), poll_timing=PollTiming(PLAN, learned), now=now)
        if polled.kind != "running":
            break
        assert (polled.key, polled.value) == ("empties", str(look + 1))
        job, now = replace(job, empties=look + 1), now + polled.seconds

    if filled_at is None:
        assert (polled.kind, polled.note) == ("failed", "empty_result")
        assert now - NOW >= 60
    else:
        assert polled.kind == "ended"


def test_first_polls() -> None:
    """Learned times go before an estimate, an estimate before the plan."""
    chance = random.Random(1)
    assert max(PollTiming(PLAN, learned).first(estimate_seconds=7.0, random_=chance) for _ in range(9)) > 19
    assert 6.3 <= PollTiming(PLAN).first(estimate_seconds=7.0) <= 7.7
    assert 1.8 <= PollTiming(PLAN).first() <= 2.2


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Succeeded((Media("image", "https://x/y.png"),)), True),
        (Failed("no"), True),
        (Running("working", ""), False),
        (Unknown("who?"), False),
        (PollFailedError("HTTP 500"), False),
    ],
    ids=lambda each: type(each).__name__,
)
def test_only_ends_teach(answer: PollAnswer, expected: bool) -> None:
    """An answer teaches how long jobs take if the provider says in it that the job is over."""
    assert ended(answer) is expected


def test_why() -> None:
    """`why` names what a poll's time rests on."""
    plain = "plain backoff, 2 s to 30 s by the provider's plan: 8 jobs like it are to be known, 0 are"
    assert why(DurationModel(), PLAN) == plain
    words = why(duration_model(), PLAN)
    assert "learned from 60 jobs" in words
    assert "half take up to 20" in words
