"""What a process learns: kept in the ledger, shared with others, and never in the way of a job."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import fakeredis
import pytest
import redis

from bide.ledger import AccountName, Claimed, Ledger
from bide.polling.backoff import PollPlan
from bide.polling.duration_model import DurationModel
from bide.polling.schedule import PollSchedule
from workers.services.learner import JOBS_PER_SECOND, MOST_JOBS, Learner

NAME = AccountName("photogpt", "default")
PLAN = PollPlan(2.0, 2.0, 30.0)
NOW = 1_700_000_000.0
IMAGES, VIDEOS = "images.generation", "videos.generation"


@pytest.fixture
def server() -> Iterator[redis.Redis]:
    """An empty Redis in memory."""
    with fakeredis.FakeRedis(decode_responses=True, version=(7,)) as client:
        yield client


def ended(count: int, *, age_seconds: float = 20.0, operation: str = IMAGES, ran: float = 0.95) -> list[Claimed]:
    """Jobs that were found to have ended at `NOW`, at that age."""
    submitted = NOW - age_seconds
    times = submitted, submitted + ran * age_seconds, 0.0
    return [Claimed(f"j{n}", 0.0, operation, "p", "", True, 3, NOW + 900, 0.0, 0, *times) for n in range(count)]


def first(learner: Learner, operation: str = IMAGES) -> float:
    """The usual first poll of a job."""
    delays = sorted(learner.poll_timing(NAME, operation, PLAN).first() for _ in range(9))
    return delays[5]


def jobs_known(server: redis.Redis) -> int:
    """How many jobs the ledger's knowledge is of."""
    return DurationModel.from_text(str(server.hget("bide:{photogpt/default}:durations", IMAGES))).durations.jobs


def test_polls_move_to_where_jobs_end(server: redis.Redis) -> None:
    """After ten jobs of 20 s the first poll comes at 20 s; another operation's polls stay where they were."""
    learner = Learner(Ledger(server))
    assert first(learner) < 2.3

    learner.learn(NAME, ended(10), NOW)

    assert 19.5 < first(learner) < 23
    assert first(learner, VIDEOS) < 2.3


def test_others_know_too(server: redis.Redis) -> None:
    """A process that starts reads what the others have learned."""
    Learner(Ledger(server)).learn(NAME, ended(10), NOW)
    another = Learner(Ledger(server))
    assert first(another) < 2.3

    another.refresh(NAME)

    assert first(another) > 19


def test_two_processes_add_up(server: redis.Redis) -> None:
    """Both write upon the same knowledge: the second one's news are built upon the first one's."""
    one, other = Learner(Ledger(server)), Learner(Ledger(server))
    one.learn(NAME, ended(6), NOW)
    other.learn(NAME, ended(6, age_seconds=20.5), NOW)
    one.learn(NAME, [*ended(3), *ended(2, operation=VIDEOS)], NOW)

    one.refresh(NAME)
    assert jobs_known(server) == 15
    assert first(one) > 19


def test_one_script_a_round(server: redis.Redis) -> None:
    """However many jobs and operations a round found ended, and none where it found none."""
    commands: list[str] = []

    class Recorded(fakeredis.FakeRedis):
        def execute_command(self, *args: Any, **options: Any) -> Any:
            commands.append(args[0])
            return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]  # of redis-py

    learner = Learner(Ledger(Recorded(connection_pool=server.connection_pool)))
    learner.learn(NAME, [], NOW)
    assert commands == []
    learner.learn(NAME, [*ended(500), *ended(3, operation=VIDEOS)], NOW)

    assert commands.count("EVALSHA") == 1 + commands.count("SCRIPT LOAD")
    learner.refresh(NAME)
    assert jobs_known(server) == MOST_JOBS


def test_what_may_be_learned_grows_again(server: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many more each second, and never more at once than at first; each operation has its own."""
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    learner = Learner(Ledger(server))
    learner.learn(NAME, ended(2 * MOST_JOBS), NOW)
    learner.learn(NAME, ended(2 * MOST_JOBS), NOW)
    assert jobs_known(server) == MOST_JOBS

    now += 0.5
    learner.learn(NAME, ended(2 * MOST_JOBS), NOW)
    assert jobs_known(server) == MOST_JOBS + JOBS_PER_SECOND / 2

    now += 60
    learner.learn(NAME, ended(2 * MOST_JOBS), NOW)
    assert jobs_known(server) == 2 * MOST_JOBS + JOBS_PER_SECOND / 2


def test_jobs_of_unknown_age_teach_nothing(server: redis.Redis) -> None:
    """A record of before this was learned has no times."""
    learner = Learner(Ledger(server))
    learner.learn(NAME, [Claimed("j", 0.0, IMAGES, "p", "", True, 3, NOW, 0.0, 0)] * 20, NOW)

    assert server.keys() == []


def test_a_ledger_that_is_away_is_no_trouble() -> None:
    """What was learned is lost, and the plan's backoff rules."""
    away = fakeredis.FakeServer()
    away.connected = False
    learner = Learner(Ledger(fakeredis.FakeRedis(server=away, decode_responses=True)))
    learner.refresh(NAME)
    learner.learn(NAME, ended(10), NOW)

    assert first(learner) < 2.3


def test_nonsense_in_the_ledger_is_no_trouble(server: redis.Redis) -> None:
    """It is as if nothing were known, and it is overwritten with what is learned next."""
    server.hset("bide:{photogpt/default}:durations", IMAGES, "1|x|\x00")
    learner = Learner(Ledger(server))
    learner.refresh(NAME)
    assert first(learner) < 2.3

    learner.learn(NAME, ended(10), NOW)
    assert first(learner) > 19


def test_a_mistake_of_ours_is_no_trouble(server: redis.Redis) -> None:
    """Whatever breaks while a poll schedule is made, a purchase is recorded, with the plan's own first poll."""
    learner = Learner(Ledger(server))
    learner.learn(NAME, ended(10), NOW)

    def broken(*_: object, **__: object) -> PollSchedule:
        raise ZeroDivisionError

    fresh = Learner(Ledger(server), make_schedule=broken)
    fresh.refresh(NAME)
    assert fresh.poll_timing(NAME, IMAGES, PLAN).first() < 2.3
