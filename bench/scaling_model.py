"""What bide costs as it grows: a model of a few lines, and a simulation of rounds where the model has to guess."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass
from math import ceil

from bide.polling.backoff import PollPlan

#: Shortest time between two rounds of an account [seconds], and jobs in one of them: as the ledger has it.
ROUND_GAP_SECONDS, BATCH = 0.25, 500

#: The part of one core that Redis, or a poller, should be planned for: above it queues grow in bursts.
PLANNED_SHARE = 0.7

#: How often two processes visit every account [seconds]: one sweeps it, the other watches.
VISIT_SECONDS = 2.5

#: What one Redis is given for data [bytes].
LEDGER_BYTES = 64e9


@dataclass(frozen=True)
class Costs:
    """Measured prices. CPU in seconds of one core, memory in bytes."""

    poller_seconds_per_poll: float
    redis_seconds_per_poll: float
    worker_seconds_per_job: float
    redis_seconds_per_job: float
    redis_bytes_waiting: float
    redis_bytes_finished: float
    redis_seconds_per_sweep: float
    redis_seconds_per_watch: float


@dataclass(frozen=True)
class Load:
    """What is asked for, all accounts together."""

    jobs_per_second: float
    latency_seconds: float
    polls_per_job: float
    retention_seconds: float = 7 * 24 * 3600.0
    accounts: int = 8

    @property
    def in_flight(self) -> float:
        """Little's law."""
        return self.jobs_per_second * self.latency_seconds

    @property
    def polls_per_second(self) -> float:
        return self.jobs_per_second * self.polls_per_job


@dataclass(frozen=True)
class Needs:
    """What a load takes: cores, processes of one core each, and memory."""

    pollers: float
    workers: float
    redis_cores: float
    redis_bytes: float

    @property
    def ledgers(self) -> int:
        """How many Redis servers the accounts are to be spread over, by their share of a core and by memory."""
        return max(ceil(self.redis_cores / PLANNED_SHARE), ceil(self.redis_bytes / LEDGER_BYTES), 1)


def needs(load: Load, costs: Costs) -> Needs:
    """Linear in polls, in jobs, in waiting and in remembered jobs, and in accounts."""
    remembered = load.jobs_per_second * load.retention_seconds
    return Needs(
        pollers=load.polls_per_second * costs.poller_seconds_per_poll / PLANNED_SHARE,
        workers=load.jobs_per_second * costs.worker_seconds_per_job / PLANNED_SHARE,
        redis_cores=load.polls_per_second * costs.redis_seconds_per_poll
        + load.jobs_per_second * costs.redis_seconds_per_job
        + load.accounts * (costs.redis_seconds_per_sweep + costs.redis_seconds_per_watch) / VISIT_SECONDS,
        redis_bytes=load.in_flight * costs.redis_bytes_waiting + remembered * costs.redis_bytes_finished,
    )


def polls_per_second(processes: int, *, alone: float, poller_seconds: float, redis_seconds: float, cores: int) -> float:
    """What so many pollers on one machine come to: as many times what one does alone, until all cores are busy, or the
    one of Redis is.
    """
    return min(processes * alone, cores / (poller_seconds + redis_seconds), 1 / redis_seconds)


def lateness(
    *,
    in_flight: int,
    plan: PollPlan,
    pollers: int,
    accounts: int,
    seconds_per_poll: float,
    answer_seconds: float = 0.05,
    rounds_per_account: int = 60,
) -> list[float]:
    """Simulated: how late polls are [seconds], for jobs that never end and stand at the cap of their backoff.

    Each account has its rounds, `ROUND_GAP_SECONDS` apart or at once after a full batch; each poller serves one round
    at a time, for as long as its CPU and one answer take.
    """
    chance = random.Random(0)
    due = [sorted(chance.uniform(0, plan.cap_seconds) for _ in range(in_flight // accounts)) for _ in range(accounts)]
    free = [0.0] * pollers
    rounds = [(chance.uniform(0, ROUND_GAP_SECONDS), account, 0) for account in range(accounts)]
    heapq.heapify(rounds)
    heapq.heapify(free)
    late: list[float] = []
    while rounds:
        wanted, account, number = heapq.heappop(rounds)
        begun = max(wanted, heapq.heappop(free))
        queue = due[account]
        taken = 0
        while queue and queue[0] <= begun and taken < BATCH:
            late.append(begun - heapq.heappop(queue))
            taken += 1
        ended = begun + taken * seconds_per_poll + (answer_seconds if taken else 0.0)
        for _ in range(taken):
            heapq.heappush(queue, ended + plan.cap_seconds * chance.uniform(0.9, 1.1))
        heapq.heappush(free, ended)
        if number + 1 < rounds_per_account:
            gap = 0.0 if taken == BATCH else ROUND_GAP_SECONDS
            heapq.heappush(rounds, (max(begun + gap, queue[0] if queue else 0.0), account, number + 1))
    return late
