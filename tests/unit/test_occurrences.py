"""What becomes of due times: with clocks of our own, and a Redis that is none."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import fakeredis
import pytest
from kombu.exceptions import OperationalError

from config.schedules import Schedule
from workers.scheduling.occurrences import (
    GIVE_UP,
    GRACE,
    MOST_CATCH_UPS,
    MOST_MISSED,
    PENDING_KEY,
    RESEND_BACKOFF,
    STATE_KEY,
    Missed,
    Occurrences,
    Stage,
    State,
    decide,
)

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def schedule(cron: str = "0 * * * *", **more: Any) -> Schedule:
    """One of every hour, in UTC."""
    return Schedule(name="hourly", cron=cron, source="s3://uploads/rows.jsonl", **more)


def known(one: Schedule, until: datetime) -> State:
    """A schedule that is decided up to a moment."""
    return State(rule=one.rule, until=until.isoformat())


@pytest.fixture(name="server")
def _server() -> Iterator[fakeredis.FakeRedis]:
    with fakeredis.FakeRedis(decode_responses=True) as server:
        yield server


# Decisions


def test_new_schedule_begins_now() -> None:
    """Nothing is made up for that was due before there was a schedule."""
    decision = decide(schedule(catch_up="all"), State(), now=NOON)

    assert decision.starts == ()
    assert decision.state.until == NOON.isoformat()


def test_time_that_came_starts_a_run() -> None:
    """A moment late is in time, whatever the policy."""
    decision = decide(schedule(), known(schedule(), NOON - timedelta(hours=1)), now=NOON + SECOND)

    assert decision.starts == (NOON,)
    assert (decision.state.last_due, decision.state.last_run) == (NOON.isoformat(), "hourly-20261122T1200Z")
    assert decision.state.missed_count == 0


def test_decided_time_is_not_decided_again() -> None:
    """Not at once, and not when the clock was set back meanwhile."""
    state = decide(schedule(), known(schedule(), NOON - timedelta(hours=1)), now=NOON).state

    for now in (NOON, NOON + SECOND, NOON - timedelta(hours=5), NOON + timedelta(minutes=59)):
        assert decide(schedule(), state, now=now).starts == ()
    assert decide(schedule(), state, now=NOON + timedelta(hours=1)).starts == (NOON + timedelta(hours=1),)


@pytest.mark.parametrize(
    ("policy", "started"), [("skip", []), ("once", ["T1100Z"]), ("all", ["T0900Z", "T1000Z", "T1100Z"])]
)
def test_policy_decides_about_what_was_missed(policy: str, started: list[str]) -> None:
    """Three hours down, looked at between two times: none, the latest or all of them; each is remembered as missed."""
    one = schedule(catch_up=policy)
    decision = decide(one, known(one, NOON.replace(hour=8)), now=NOON - timedelta(minutes=30))

    assert [one.run_id(due)[-6:] for due in decision.starts] == started
    assert decision.state.missed_count == 3
    assert [missed.run_id[-6:] for missed in decision.state.missed if missed.run_id] == started
    assert decision.state.until == NOON.replace(hour=11).isoformat()


def test_missed_times_give_way_to_one_that_is_in_time() -> None:
    """With `once`, the run that is due now stands for those before it."""
    one = schedule(catch_up="once")

    assert decide(one, known(one, NOON.replace(hour=8)), now=NOON + SECOND).starts == (NOON,)


def test_grace_ends_where_it_says() -> None:
    """So much later is in time, a second more is missed."""
    state = known(schedule(), NOON - SECOND)

    assert decide(schedule(), state, now=NOON + GRACE).starts == (NOON,)
    assert decide(schedule(), state, now=NOON + GRACE + SECOND).starts == ()


def test_catching_up_is_bounded() -> None:
    """A week without beat does not start ten thousand runs: the latest hundred, and all are counted."""
    one = schedule("* * * * *", catch_up="all")
    decision = decide(one, known(one, NOON - timedelta(days=7)), now=NOON + GRACE)

    assert len(decision.starts) == MOST_CATCH_UPS + 3  # 12:00 to 12:02 are in time
    assert decision.state.missed_count == 7 * 24 * 60 - 1
    assert len(decision.state.missed) == MOST_MISSED


def test_looking_back_is_bounded() -> None:
    """What passed a month ago is let go."""
    one = schedule("0 0 1 1 *", catch_up="all")

    assert decide(one, known(one, NOON.replace(year=2025)), now=NOON).starts == ()
    assert decide(one, known(one, NOON.replace(year=2025)), now=datetime(2026, 1, 20, tzinfo=UTC)).starts


@pytest.mark.parametrize("changed", [schedule("0 */2 * * *", catch_up="all"), schedule(enabled=False, catch_up="all")])
def test_changed_schedule_begins_now(changed: Schedule) -> None:
    """Times by the old rule are not due by the new one, and those while it was off never were."""
    before = known(schedule(), NOON - timedelta(hours=5))
    after = decide(changed, before, now=NOON + timedelta(minutes=30))

    assert after.starts == ()
    again = schedule(changed.cron, catch_up="all")
    assert decide(again, after.state, now=NOON + timedelta(minutes=31)).starts == ()


@pytest.mark.parametrize("night", ["2026-03-29", "2026-10-25"])
def test_daily_run_starts_once_when_the_clocks_change(night: str) -> None:
    """Beat looks every five seconds, through the whole night: one run, whatever the clock on the wall shows."""
    one = schedule("30 2 * * *", timezone=ZoneInfo("Europe/Berlin"))
    now = datetime.fromisoformat(f"{night}T00:00:00+00:00") - timedelta(hours=2)
    state, starts = decide(one, State(), now=now).state, list[datetime]()
    for turn in range(6 * 3600 // 5):
        decision = decide(one, state, now=now + turn * 5 * SECOND)
        state, starts = decision.state, [*starts, *decision.starts]

    assert [start.isoformat() for start in starts] == [
        {"2026-03-29": "2026-03-29T01:00:00+00:00", "2026-10-25": "2026-10-25T00:30:00+00:00"}[night]
    ]


# In Redis


def advanced(server: fakeredis.FakeRedis, one: Schedule, now: datetime = NOON) -> Occurrences:
    """A schedule that was known for an hour and came due."""
    occurrences = Occurrences(server)
    occurrences.advance(one, now=now - timedelta(minutes=30))
    occurrences.advance(one, now=now)
    return occurrences


def test_state_comes_back_as_it_was_written(server: fakeredis.FakeRedis) -> None:
    """Whatever there is to remember survives the restart of a beat."""
    occurrences = advanced(server, one := schedule(catch_up="once"))
    occurrences.advance(one, now=NOON + timedelta(hours=3, minutes=30))

    state = Occurrences(server).state("hourly")
    assert (state.last_run, state.missed_count) == ("hourly-20261122T1500Z", 3)
    assert state.missed[-1] == Missed("2026-11-22T15:00:00+00:00", "hourly-20261122T1500Z")


def test_run_is_noted_before_it_is_sent(server: fakeredis.FakeRedis) -> None:
    """With all that `bide.bulk` needs, so that any beat can send it."""
    options = {"max_jobs": 10}
    occurrences = advanced(server, schedule(options=options))

    run_id = "hourly-20261122T1200Z"
    assert occurrences.pending()[run_id]["run"] == {
        "run_id": run_id,
        "source": "s3://uploads/rows.jsonl",
        "options": options,
    }


def test_no_key_is_kept_for_ever(server: fakeredis.FakeRedis) -> None:
    """A schedule that is taken out of the file leaves nothing behind in the end."""
    advanced(server, schedule())

    assert {key for key in server.scan_iter() if server.ttl(key) < 0} == set()
    assert server.exists(PENDING_KEY, STATE_KEY.format("hourly")) == 2


def test_second_beat_finds_it_decided(server: fakeredis.FakeRedis) -> None:
    """However many beats look, the time starts one run."""
    first, second = advanced(server, schedule()), Occurrences(server)

    assert second.advance(schedule(), now=NOON + SECOND) == ()
    assert len(first.pending()) == 1


@dataclass
class Sent:
    """A sender that records its runs."""

    run_ids: list[str] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)

    def send(self, run: dict[str, Any]) -> None:
        self.run_ids.append(run["run_id"])

    def give_up(self, run: dict[str, Any]) -> None:
        self.given_up.append(run["run_id"])


def deliver(occurrences: Occurrences, now: datetime, *, stage: Stage = "unknown") -> list[str]:
    """Deliver once; the ids of the runs that were sent."""
    sent = Sent()
    occurrences.deliver(now=now, stage=lambda _: stage, sender=sent)
    assert not sent.given_up
    return sent.run_ids


def test_lost_message_is_sent_again(server: fakeredis.FakeRedis) -> None:
    """Ever more rarely, until the run has begun; then never."""
    occurrences, now, gaps = advanced(server, schedule()), NOON, []
    for _ in range(4):
        waited = next(second for second in itertools.count() if deliver(occurrences, now + second * SECOND))
        gaps.append(waited)
        now += waited * SECOND

    assert gaps == [0, 10, 20, 40]
    assert deliver(occurrences, now + timedelta(hours=1), stage="begun") == []
    assert deliver(occurrences, now + timedelta(hours=2)) == []
    assert occurrences.pending() == {}


def test_message_that_can_not_be_sent_is_sent_the_next_time(server: fakeredis.FakeRedis) -> None:
    """A broker that is away costs nothing but time."""
    occurrences = advanced(server, schedule())

    class Away(Sent):
        def send(self, run: dict[str, Any]) -> None:
            raise OperationalError

    with pytest.raises(OperationalError):
        occurrences.deliver(now=NOON, stage=lambda _: "unknown", sender=Away())

    assert deliver(occurrences, NOON + SECOND) == ["hourly-20261122T1200Z"]


def test_run_whose_rows_are_being_read_is_not_sent_again(server: fakeredis.FakeRedis) -> None:
    """However long that takes; when its worker dies at it, it is sent at once."""
    occurrences = advanced(server, schedule())
    assert deliver(occurrences, NOON)

    for minutes in (1, 60, 48 * 60):
        assert deliver(occurrences, NOON + timedelta(minutes=minutes), stage="beginning") == []
    assert deliver(occurrences, NOON + timedelta(hours=2)) == ["hourly-20261122T1200Z"]


def test_run_that_no_worker_begins_is_given_up(server: fakeredis.FakeRedis) -> None:
    """After a day, with a few hundred messages at most; the sender records it."""
    occurrences, sent = advanced(server, schedule()), Sent()
    step = timedelta(seconds=RESEND_BACKOFF.cap_seconds)
    for turn in range(GIVE_UP // step + 2):
        occurrences.deliver(now=NOON + turn * step, stage=lambda _: "unknown", sender=sent)

    assert 100 < len(sent.run_ids) < 200
    assert sent.given_up == ["hourly-20261122T1200Z"]
    assert occurrences.pending() == {}
