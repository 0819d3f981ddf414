"""The short form of the chaos run: everything that goes wrong goes wrong once, and each job is counted."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest

from tests.faults.chaos.hosts import why_not
from tests.faults.chaos.jobs import LIES, LISTING, PROMISED
from tests.faults.chaos.plan import USUAL, Event, draw
from tests.faults.chaos.run import Options, run

PROCESSES = ("worker0", "worker1", "poller0")


@pytest.mark.faults
@pytest.mark.timeout(300)
def test_a_short_chaos() -> None:
    """No job lost, none bought twice, none stored wrong, every key with a clock or a TTL.

    Over all idempotency contracts: the doubts of each that is kept settle themselves, and what a lie buys is seen.
    Book and bill are the same, no budget is passed, and no job is charged by two accounts.
    """
    came = run(Options(seed=17, jobs=60, seconds=11, contracts=True))

    assert came.verdict.broken == []
    assert came.verdict.ends["succeeded"] > 0
    kept = came.verdict.contracts
    assert {name for name, counts in kept.items() if counts.settled} >= {*PROMISED, LISTING}
    lies = [counts for name, counts in kept.items() if name in LIES]
    assert sum(counts.bought_twice_seen + counts.held for counts in lies) > 0
    money = came.verdict.money
    assert all(seen.looks > 20 and not seen.breaches for seen in money.seen.values())
    assert sum(money.refused.values()) > 0
    assert max(seen.most_waiting for seen in money.seen.values()) > 0
    assert (money.moves.moved > 0, money.moves.charged_twice) == (True, 0)


@pytest.mark.faults
@pytest.mark.timeout(300)
def test_hosts_that_are_cut_off() -> None:
    """Workers on hosts of their own, one of them cut off and healed: the same."""
    if reason := why_not():
        pytest.skip(reason)

    came = run(Options(seed=12, jobs=30, seconds=12, hosts=2, kinds=("partition",)))

    assert "partition" in {event.kind for event in came.plan}
    assert came.verdict.broken == []


def kinds_of(plan: Sequence[Event]) -> set[str]:
    """What goes wrong in a plan."""
    return {event.kind for event in plan}


def test_a_seed_draws_the_same_plan() -> None:
    """So that what one seed broke can be broken again."""
    first, again, other = (draw(seed, seconds=60, processes=PROCESSES) for seed in (5, 5, 6))

    assert first == again != other


def test_a_long_plan_has_everything_in_it() -> None:
    """Each kind comes at least once; a partition only where there are hosts."""
    plan = draw(1, seconds=120, processes=PROCESSES)

    assert kinds_of(plan) == set(USUAL) - {"partition"}
    assert kinds_of(draw(1, seconds=120, processes=PROCESSES, hosts=["a"])) == set(USUAL)


def test_events_with_one_target_never_overlap() -> None:
    """A process that is paused is not killed meanwhile, and Redis restarts when it does not hang."""
    plan = draw(1, seconds=300, processes=PROCESSES)

    for target in {event.target for event in plan}:
        events = [event for event in plan if event.target == target]
        assert all(first.at_seconds + first.for_seconds <= then.at_seconds for first, then in pairwise(events))
