"""How long the jobs that a killed process had in hand stand still: read from outside, in the ledger."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import redis

from bide.ledger import AccountName
from bide.ledger.keys import prefix
from tests.faults.chaos.reader import Reader
from tests.faults.chaos.stage import Stage

#: Between two reads [seconds].
READ_SECONDS = 0.25

#: A job that has not changed for this long after a kill was in hand there: living processes change or renew theirs
#: sooner (a third of a lease) [seconds].
UNCHANGED_SECONDS = 4.5

#: A Redis that was away shortly before a kill still tells on what follows [seconds].
AWAY_BEFORE_SECONDS = 10.0

#: A poll that is further away than any schedule of a run is the end of a claim [seconds].
CLAIMED_SECONDS = 6.0


@dataclass(frozen=True)
class JobView:
    """A job's record and clocks, as far as they change with its transitions."""

    fields: tuple[str | None, ...]
    lease: float | None
    #: The copies of the job's message that are unacked.
    unacked: frozenset[str] = frozenset()

    @property
    def token(self) -> str:
        return self.fields[1] or ""


@dataclass
class Watched:
    """One job that stood still when a process died."""

    process: str
    account: AccountName
    job_id: str
    what: str
    before: JobView
    killed_at: float
    in_hand: bool = False


@dataclass(frozen=True)
class Resumed:
    """A job in the hands of a killed process, and how long after the kill another process went on with it [seconds]."""

    process: str
    job_id: str
    what: str
    seconds: float
    #: Redis was away or hung at some time between.
    redis_was_away: bool


class Recovery:
    """Call `killed` at each kill; `resumed` and `waiting` are what became of the jobs."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._lock = threading.Lock()
        self._watched: list[Watched] = []
        self.resumed: list[Resumed] = []
        #: When Redis was last heard to be away or to hang, on the monotonic clock.
        self._away_at = float("-inf")
        self._reader = Reader("recovery", self._read, every_seconds=READ_SECONDS)

    def killed(self, process: str, *, kill: Callable[[], None]) -> None:
        """Read what a stopped process may have in hand, and kill it."""
        try:
            with self._stage.server() as server:
                found = list(_in_hand(server, process, self._stage.accounts))
        except redis.RedisError:  # Redis is being killed, too: this kill is not measured
            found = []
        kill()
        now = time.monotonic()
        with self._lock:
            self._watched += [Watched(process, *one, killed_at=now) for one in found]

    def redis_is_away(self) -> None:
        """Called while Redis is away or hangs."""
        self._away_at = time.monotonic()

    @property
    def waiting(self) -> list[Watched]:
        """The jobs that no process has gone on with yet."""
        return [one for one in self._watched if one.in_hand]

    def stop(self) -> None:
        self._reader.stop()

    def _read(self) -> None:
        with self._lock, self._stage.server() as server:
            self._compare(server)

    def _compare(self, server: redis.Redis) -> None:
        if not self._watched:
            return
        unacked = _unacked(server)
        now, still = time.monotonic(), []
        for one, state in zip(self._watched, _states(server, self._watched, unacked), strict=True):
            seconds = now - one.killed_at
            if one.in_hand and _has_resumed(one, state):
                away = self._away_at > one.killed_at - AWAY_BEFORE_SECONDS
                self.resumed.append(Resumed(one.process, one.job_id, one.what, round(seconds, 2), away))
            elif one.in_hand or not _is_anothers(one, state):
                one.in_hand = one.in_hand or seconds > UNCHANGED_SECONDS
                still.append(one)
        self._watched = still


def _in_hand(
    server: redis.Redis, process: str, accounts: Iterable[AccountName]
) -> Iterator[tuple[AccountName, str, str, JobView]]:
    """Jobs that a process may have in hand: (account, job id, what of it, its state)."""
    unacked, now = _unacked(server), time.time()
    poller = process.startswith("poller")
    for name in accounts:
        clock: Any = server.zrange(prefix(name) + ("due" if poller else "lease"), 0, -1, withscores=True)
        for job_id, score in clock:
            state = _state(server, name, job_id, unacked)
            if not poller and state.lease is None:  # off the clock since it was read: nothing is left to do
                continue
            if poller and (score < now or score > now + CLAIMED_SECONDS):
                yield name, job_id, "poll", state
            elif not poller and state.token:
                yield name, job_id, "step", state
            elif not poller and state.unacked:
                yield name, job_id, "message", state


_FIELDS = ("state", "token", "polls", "answered")


def _state(server: redis.Redis, name: AccountName, job_id: str, unacked: dict[str, frozenset[str]]) -> JobView:
    fields: Any = server.hmget(f"{prefix(name)}job:{job_id}", *_FIELDS)
    lease: Any = server.zscore(f"{prefix(name)}lease", job_id)
    return JobView(tuple(fields), lease, unacked.get(job_id, frozenset()))


def _states(server: redis.Redis, watched: list[Watched], unacked: dict[str, frozenset[str]]) -> Iterator[JobView]:
    pipeline = server.pipeline(transaction=False)
    for one in watched:
        pipeline.hmget(f"{prefix(one.account)}job:{one.job_id}", *_FIELDS)
        pipeline.zscore(f"{prefix(one.account)}lease", one.job_id)
    replies = pipeline.execute()
    for one, fields, lease in zip(watched, replies[::2], replies[1::2], strict=True):
        yield JobView(tuple(fields), lease, unacked.get(one.job_id, frozenset()))


def _unacked(server: redis.Redis) -> dict[str, frozenset[str]]:
    """The unacked messages by job: their delivery tags."""
    unacked: dict[str, frozenset[str]] = {}
    entries: Any = server.hgetall("unacked")
    for tag, entry in entries.items():
        job_id = json.loads(entry)[0]["headers"].get("id", "")
        unacked[job_id] = unacked.get(job_id, frozenset()) | {tag}
    return unacked


def _is_anothers(one: Watched, now: JobView) -> bool:
    """A living process had it: it went on, or was renewed, before another process could take it over."""
    if _has_resumed(one, now):
        return True
    if one.what == "step":
        return now.lease != one.before.lease
    return one.what == "message" and not one.before.unacked & now.unacked


def _has_resumed(one: Watched, now: JobView) -> bool:
    """Whether another process has taken the job up: a new lease, another state, another poll."""
    state, token, polls, answered = now.fields
    before_state, before_token, before_polls, before_answered = one.before.fields
    if state != before_state or answered != before_answered or polls != before_polls:
        return True
    return bool(token) and token != before_token
