"""What happens to the servers while jobs are submitted, by name."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from tests.faults.failover.setup import Node, Replicated, stopped

#: How long the old leader stands still [seconds]: long enough for the sentinels to choose another.
STOPPED_SECONDS = 6.0


@dataclass(frozen=True)
class Scene:
    """`play` takes as long as things go wrong; `says` stands in the table."""

    says: str
    play: Callable[[Replicated, Random], None]
    #: Whether leaders have `min-replicas-to-write 1`.
    bounded: bool = False
    #: How many jobs of the account may be at the provider at once: few make a line.
    in_flight: int = 100


def _replace(redis: Replicated, node: Node) -> None:
    """A killed server comes back, and follows the new leader."""
    node.server.__enter__()
    redis.follow_again()


def _killed(redis: Replicated, random: Random, *, lag_seconds: float, times: int) -> None:
    for _ in range(times):
        redis.lag(lag_seconds)
        time.sleep(lag_seconds + random.uniform(2.0, 4.0))
        leader = redis.leader()
        leader.server.kill()
        redis.leader()
        redis.lag(0.0)
        _replace(redis, leader)


def up_to_date(redis: Replicated, random: Random) -> None:
    """Three leaders are killed, one after the other."""
    _killed(redis, random, lag_seconds=0.0, times=3)


def half_a_second_behind(redis: Replicated, random: Random) -> None:
    """The same, with replicas that are behind."""
    _killed(redis, random, lag_seconds=0.5, times=3)


def two_seconds_behind(redis: Replicated, random: Random) -> None:
    """One leader is killed, and its replicas are far behind."""
    _killed(redis, random, lag_seconds=2.0, times=1)


def split(redis: Replicated, random: Random) -> None:
    """The leader stands still while another is chosen, and goes on: for a while two of them take writes."""
    time.sleep(random.uniform(2.0, 4.0))
    leader = redis.leader()
    with stopped(leader.server):
        time.sleep(STOPPED_SECONDS)  # the fault itself: nothing is waited for
    redis.follow_again()


def sentinels_killed(redis: Replicated, random: Random) -> None:
    """One sentinel is killed, then the leader: the two that are left agree."""
    redis.sentinels[0].kill()
    _killed(redis, random, lag_seconds=0.0, times=2)


SCENES = {
    "up_to_date": Scene("leader killed three times, replicas up to date", up_to_date),
    "half_a_second": Scene("replicas 0.5 s behind, leader killed three times", half_a_second_behind),
    "line": Scene("replicas 2 s behind, leader killed while jobs wait in line", two_seconds_behind, in_flight=12),
    "submits": Scene("replicas 2 s behind, leader killed while clients submit", two_seconds_behind),
    "split": Scene("leader stopped for 6 s and continued, no `min-replicas-to-write`", split),
    "split_bounded": Scene("the same, with `min-replicas-to-write 1`", split, bounded=True),
    "sentinels": Scene("a sentinel killed, then two leaders", sentinels_killed),
}
