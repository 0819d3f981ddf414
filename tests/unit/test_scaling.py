"""The model of scale: linear where it says so, and its simulation agrees with what queues must do."""

from __future__ import annotations

from math import ceil
from pathlib import Path

import pytest

from bench.scaling import prices
from bench.scaling_model import LEDGER_BYTES, Costs, Load, lateness, needs, polls_per_second
from bide.percentiles import percentiles
from bide.polling.backoff import PollPlan

COSTS = Costs(0.001, 0.0001, 0.02, 0.003, 2000, 3000, 0.0001, 0.00001)
PLAN = PollPlan(10, 1, 10)


def test_twice_the_jobs_need_twice_of_all() -> None:
    """All costs but that of idle accounts are linear in the jobs per second."""
    one, two = (needs(Load(rate, 60, 2, accounts=0), COSTS) for rate in (50, 100))

    assert (two.pollers, two.workers, two.redis_cores) == pytest.approx(
        (2 * one.pollers, 2 * one.workers, 2 * one.redis_cores)
    )
    assert two.redis_bytes == pytest.approx(2 * one.redis_bytes)


def test_by_hand() -> None:
    """100 jobs a second for 60 s: 6,000 in flight, 200 polls a second, 0.32 of a core of Redis."""
    load = Load(100, 60, 2, retention_seconds=0, accounts=0)

    assert (load.in_flight, load.polls_per_second) == (6000, 200)
    assert needs(load, COSTS).redis_cores == pytest.approx(200 * 0.0001 + 100 * 0.003)
    assert needs(load, COSTS).redis_bytes == 6000 * 2000


def test_two_processes_look_at_every_account() -> None:
    """However many there are, a thousand accounts are swept by one and watched by another, every 2.5 s."""
    for jobs_per_second in (1, 1000):
        idle, busy = (needs(Load(jobs_per_second, 60, 2, accounts=accounts), COSTS) for accounts in (0, 1000))
        assert busy.redis_cores - idle.redis_cores == pytest.approx(1000 * (0.0001 + 0.00001) / 2.5)


def test_what_is_remembered_may_need_more_ledgers_than_a_core_does() -> None:
    """1,000 jobs a second kept for a week are 1.8 TB."""
    kept = needs(Load(1000, 60, 2), COSTS)

    assert kept.ledgers > kept.redis_cores / 0.7
    assert kept.ledgers == ceil(kept.redis_bytes / LEDGER_BYTES)


def test_polls_are_a_round_late_while_there_is_room() -> None:
    """At a tenth of a poller's strength polls wait for the next round and no longer."""
    late = lateness(in_flight=1000, plan=PLAN, pollers=1, accounts=1, seconds_per_poll=0.001)

    [half] = percentiles(late, 50)
    assert half < 0.6
    assert max(late) < 1.5


def test_more_than_a_poller_can_do_needs_two() -> None:
    """20,000 jobs every 10 s at 0.7 ms each are 1.4 pollers' work: one falls behind, two keep up."""

    def most(pollers: int) -> float:
        late = lateness(in_flight=20_000, plan=PLAN, pollers=pollers, accounts=1, seconds_per_poll=0.0007)
        [most] = percentiles(late, 95)
        return most

    assert most(1) > 2
    assert most(2) < 1


def test_pollers_add_up_until_the_cores_are_busy() -> None:
    """Two cores hold two pollers of half a core each, and no more than two cores of work."""

    def together(processes: int) -> float:
        return polls_per_second(processes, alone=500, poller_seconds=0.001, redis_seconds=0.0005, cores=2)

    assert (together(1), together(2)) == (500, 1000)
    assert together(4) == pytest.approx(2 / 0.0015)


def test_prices_stand_without_records(tmp_path: Path) -> None:
    """Where nothing was measured the model has prices nevertheless."""
    assert all(price > 0 for price in prices(0.0001, tmp_path / "none.jsonl"))
