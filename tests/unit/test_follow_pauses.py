"""How often a follower looks, and what it makes of what it sees, without any server."""

from __future__ import annotations

import pytest
import redis

from bide.client.follow import Followed, Look, ProgressChanged, StateChanged, look_of
from bide.contract import JobState
from bide.errors import UnknownJobError
from bide.providers.base import Progress


def looks_within(seconds: float, *, changes_every: int = 0) -> int:
    """How often a job is looked at in a time; it changes with every so many looks."""
    followed, at, looks = Followed("a", unknown_seconds=5), 0.0, 0
    while at < seconds:
        fraction = looks // changes_every if changes_every else 0
        followed.changes(Look("running", f'{{"position":{fraction}}}'))
        looks += 1
        at += followed.pause_seconds
    return looks


def test_a_job_that_does_not_change_is_looked_at_every_two_seconds() -> None:
    """Somewhat more often at first."""
    assert looks_within(3600) == 1803


def test_a_job_that_changes_with_each_poll_is_looked_at_less_than_twice_a_second() -> None:
    """With every third look here; its polls are two seconds apart, or more."""
    assert looks_within(60, changes_every=3) == 104


def test_only_news_is_an_event() -> None:
    """The same again is none; progress counts while the job runs; each run of it begins anew."""
    followed = Followed("a", unknown_seconds=5)
    half = '{"fraction":0.5}'
    seen = [Look("queued"), Look("queued"), Look("running", half), Look("running", half), Look("storing", half)]
    seen += [Look("queued"), Look("running", half)]
    running = [StateChanged("a", JobState.RUNNING), ProgressChanged("a", Progress(fraction=0.5))]
    assert [event for look in seen for event in followed.changes(look)] == [
        StateChanged("a", JobState.QUEUED),
        *running,
        StateChanged("a", JobState.STORING),
        StateChanged("a", JobState.QUEUED),
        *running,
    ]


def test_a_job_is_unknown_once_it_has_been_for_long_enough() -> None:
    """An outage says nothing of it; what is no outage is raised."""
    followed = Followed("a", unknown_seconds=0)
    assert followed.away(redis.ConnectionError("refused")) == []
    with pytest.raises(redis.ResponseError):
        followed.away(redis.ResponseError("WRONGTYPE"))
    with pytest.raises(UnknownJobError):
        followed.note(known=False)


@pytest.mark.parametrize(
    ("values", "look"),
    [
        ([["running", "{}"]], Look("running", "{}")),
        ([[None, None]], None),
        ([["following", None], ["queued", None]], Look("queued")),
        ([["following", None], [None, None]], None),
        ([["canceled", None], ["running", "{}"]], Look("canceled")),
    ],
)
def test_a_caller_that_waits_for_another_s_job_sees_that(values: list[list[str | None]], look: Look | None) -> None:
    """Until it cancels its own wait."""
    assert look_of(values) == look
