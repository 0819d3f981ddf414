"""Results behind an edge of which a third of the downloads fail: all come home, soon, and each file is stored once."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.faults.counting import check_nothing_left, ends
from tests.integration.caller import Caller, image, marker
from tests.integration.rig import Rig

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]

JOBS = 60

#: The longest that any of the jobs may take to its end, with polls and downloads [seconds].
LONGEST_SECONDS = 40.0

#: How a download fails; together they befall about a third of all.
EDGE = [
    {"fault": "503", "operation": "media", "share": 0.12},
    {"fault": "not_found", "operation": "media", "share": 0.12},
    {"fault": "truncated", "operation": "media", "share": 0.12},
    {"fault": "503", "operation": "poll", "share": 0.2},
]


@pytest.fixture(scope="module")
def caller(deployment: Rig) -> Iterator[Caller]:
    """A service that submits jobs."""
    with Caller(deployment.redis.url) as caller:
        yield caller


def test_results_get_home_through_a_flaky_edge(caller: Caller, rig: Rig) -> None:
    """Each job has two files; the slowest is home long before its steps would be put off by 45 s."""
    marked, began = marker(), time.monotonic()
    rig.sandbox.order(EDGE)
    params = {"modelID": "m1", "numImages": 2}
    requests = [image(params={**params, "prompt": f"{marked} {number}"}) for number in range(JOBS)]
    job_ids = [caller.submit(request, ignore_result=False).id for request in requests]
    assert ends(rig, job_ids, within_seconds=LONGEST_SECONDS) == {"succeeded": JOBS}
    assert time.monotonic() - began < LONGEST_SECONDS
    fired = {rule["fault"]: rule["fired"] for rule in rig.sandbox.faults()}
    assert min(fired.values()) > 0, fired
    check_nothing_left(rig, marked)
