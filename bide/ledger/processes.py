"""The processes that run: each worker and poller notes itself in Redis, for a command that asks what is missing."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

import redis

#: The processes as JSON, each with the time at which it counts as gone; by itself it ends after the last of them.
PROCESSES_KEY = "bide:processes"

#: How long a process counts as running after its last note, and how often it notes itself [seconds].
ALIVE_SECONDS, NOTE_SECONDS = 20.0, 5.0


@dataclass(frozen=True)
class RunningProcess:
    """One Celery worker: its node name, and the queues that it consumes."""

    node: str
    queues: tuple[str, ...]
    #: Why its object store takes nothing; '' where it does, or is not used.
    store_refusal: str = ""
    #: Why nothing may be bought on its ledger; '' where it may.
    ledger_refusal: str = ""

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)


def note(server: redis.Redis, process: RunningProcess, *, before: RunningProcess | None = None) -> None:
    """Note that a process runs; `before` is its last note, where that differs."""
    now = _now(server)
    pipeline = server.pipeline(transaction=True)
    pipeline.zremrangebyscore(PROCESSES_KEY, "-inf", now)
    if before is not None and before != process:
        pipeline.zrem(PROCESSES_KEY, before.to_json())
    pipeline.zadd(PROCESSES_KEY, {process.to_json(): now + ALIVE_SECONDS})
    pipeline.expire(PROCESSES_KEY, int(2 * ALIVE_SECONDS))
    pipeline.execute()


def forget(server: redis.Redis, process: RunningProcess) -> None:
    """A process ends in good order."""
    server.zrem(PROCESSES_KEY, process.to_json())


def running(server: redis.Redis) -> list[RunningProcess]:
    """The processes that run, by name; those of older versions of bide note nothing."""
    noted: Any = server.zrangebyscore(PROCESSES_KEY, _now(server), "+inf")
    found = list(map(json.loads, noted))
    processes = [
        RunningProcess(each["node"], tuple(each["queues"]), each["store_refusal"], each.get("ledger_refusal", ""))
        for each in found
    ]
    return sorted(processes, key=lambda process: process.node)


def _now(server: redis.Redis) -> float:
    seconds, microseconds = server.time()
    return float(seconds) + float(microseconds) / 1e6
