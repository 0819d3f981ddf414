"""What happens to the servers while jobs are submitted, by name."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from random import Random

from tests.faults.failover.setup import Node, Replicated, stopped

#: How long the old leader stands still [seconds]: long enough for the sentinels to choose another.
STOPPED_SECONDS = 6.0

#: How long replicas get nothing before their leader is killed [seconds].
BEHIND_SECONDS = 4.0

#: How long a wire holds what a replica is to get that is cut off [seconds]: longer than any run takes.
CUT_OFF_SECONDS = 3600.0

#: How long no sentinels agree on another leader [seconds].
NO_QUORUM_SECONDS = 5.0


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


def cut_off(redis: Replicated, random: Random) -> None:
    """The leader loses its replicas, and takes writes alone; then it is killed, and one of them leads."""
    time.sleep(random.uniform(1.0, 3.0))
    leader = redis.leader()
    redis.lag(CUT_OFF_SECONDS)
    time.sleep(BEHIND_SECONDS)  # the fault itself
    leader.server.kill()
    redis.lag(0.0)
    redis.leader()
    _replace(redis, leader)


def replicas_stopped(redis: Replicated, random: Random) -> None:
    """Both replicas stand still while the leader takes writes; it is killed before they go on, and one leads."""
    time.sleep(random.uniform(1.0, 3.0))
    leader = redis.leader()
    with ExitStack() as still:
        for node in redis.nodes:
            if node is not leader:
                still.enter_context(stopped(node.server))
        time.sleep(BEHIND_SECONDS)  # the fault itself
        leader.server.kill()
    redis.leader()
    _replace(redis, leader)


def one_stopped(redis: Replicated, random: Random) -> None:
    """One replica stands still, and goes on as the leader is killed: the other has more, and has to lead."""
    time.sleep(random.uniform(1.0, 3.0))
    leader = redis.leader()
    behind = next(node for node in redis.nodes if node is not leader)
    with stopped(behind.server):
        time.sleep(BEHIND_SECONDS)  # the fault itself
        leader.server.kill()
    redis.leader()
    _replace(redis, leader)


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


def no_quorum(redis: Replicated, random: Random) -> None:
    """Two of three sentinels and the leader are killed: nobody leads until the sentinels are back."""
    time.sleep(random.uniform(2.0, 4.0))
    leader = redis.leader()
    for sentinel in redis.sentinels[:2]:
        sentinel.kill()
    leader.server.kill()
    time.sleep(NO_QUORUM_SECONDS)  # the fault itself
    for sentinel in redis.sentinels[:2]:
        sentinel.__enter__()
    redis.leader()
    _replace(redis, leader)


SCENES = {
    "up_to_date": Scene("leader killed three times, replicas up to date", up_to_date),
    "half_a_second": Scene("replicas 0.5 s behind, leader killed three times", half_a_second_behind),
    "line": Scene("replicas 2 s behind, leader killed while jobs wait in line", two_seconds_behind, in_flight=12),
    "submits": Scene("replicas 2 s behind, leader killed while clients submit", two_seconds_behind),
    "cut_off": Scene("both replicas cut off for 4 s, then the leader killed", cut_off),
    "replicas_stopped": Scene("both replicas stopped for 4 s, the leader killed, they go on", replicas_stopped),
    "one_stopped": Scene("one of two replicas stopped for 4 s, the leader killed, it goes on", one_stopped),
    "split": Scene("leader stopped for 6 s and continued, no `min-replicas-to-write`", split),
    "split_bounded": Scene("the same, with `min-replicas-to-write 1`", split, bounded=True),
    "sentinels": Scene("a sentinel killed, then two leaders", sentinels_killed),
    "no_quorum": Scene("two sentinels and the leader killed, the sentinels back after 5 s", no_quorum),
}
