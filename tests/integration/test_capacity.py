"""What an account may do at once and per second is kept, and interactive jobs go before bulk ones."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest

from sandbox.jobs import latency_of
from tests.integration.caller import Caller, image, marker, succeeded
from tests.integration.rig import LATENCY_SECONDS, Rig
from tests.integration.waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("rig")]


def test_no_more_in_flight_than_allowed(caller: Caller, rig: Rig) -> None:
    """An account with room for two never has three jobs at the provider, and all ten end."""
    marked = marker()

    results = [caller.submit(image(f"{marked} {number}", account="small")) for number in range(10)]
    outcomes = [succeeded(result) for result in results]

    purchases = rig.purchases(marked)
    assert len(outcomes) == len(purchases) == 10
    assert most_at_once(purchases) == 2


def test_no_more_submits_per_second_than_allowed(caller: Caller, rig: Rig) -> None:
    """Two submits a second, and never more than a second's worth beyond that at once."""
    marked = marker()

    results = [caller.submit(image(f"{marked} {number}", account="slow")) for number in range(8)]
    for result in results:
        succeeded(result)

    times = [purchase["time"] for purchase in rig.purchases(marked)]
    assert len(times) == 8
    for first, last in combinations(range(8), 2):
        allowed = 2 + 2 * (times[last] - times[first])
        assert last - first + 1 <= allowed + 1, "one may have been under way for longer than the other"


def test_interactive_goes_before_bulk(caller: Caller, rig: Rig) -> None:
    """Interactive jobs that come later are bought before the bulk jobs that wait in line."""
    marked = marker()
    bulk = [caller.submit(image(f"{marked} bulk {n}", account="single", priority="bulk")) for n in range(4)]
    waiting = [result.id for result in bulk]
    eventually(lambda: all(rig.state(each, "single") for each in waiting), what="all bulk jobs are in line")

    interactive = [caller.submit(image(f"{marked} interactive {n}", account="single")) for n in range(2)]
    for result in (*interactive, *bulk):
        succeeded(result)

    order = [purchase["reference"].removeprefix(f"{marked} ") for purchase in rig.purchases(marked)]
    assert max(order.index(f"interactive {n}") for n in range(2)) < min(order.index(name) for name in order[-2:])
    assert all(name.startswith("bulk") for name in order[-2:])


def most_at_once(purchases: list[dict[str, Any]]) -> int:
    """The most jobs that were at work in the sandbox at one time."""
    spans: list[tuple[float, float]] = [
        (each["time"], each["time"] + latency_of(each["digest"], mean_seconds=LATENCY_SECONDS, seed=0))
        for each in purchases
    ]
    return max(sum(start <= moment < end for start, end in spans) for moment, _ in spans)
