"""A leader of Redis is killed whose replicas are behind: with `replica` no job is lost, and none bought twice."""

from __future__ import annotations

import pytest

from tests.faults.failover.run import run

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]


@pytest.mark.parametrize("scene", ["line", "split"])
def test_nothing_is_lost_and_nothing_bought_twice(scene: str) -> None:
    """The short form of `python -m tests.faults.failover`; what it is with `disk` stands in docs/reliability.md."""
    count = run(scene, safe="replica", seed=1, jobs=80)

    assert count.accepted == count.jobs
    assert (count.lost, count.bought_twice) == (0, 0), count
    assert count.ends.get("succeeded", 0) + count.ends.get("submission_unknown", 0) == count.jobs
