"""Flower after a busy day: 10,000 finished jobs, and hundreds that are polled all the time.

10,000 jobs would keep this deployment busy for many minutes. Flower knows jobs by Celery's events alone: those of one
real job are recorded off the wire and sent again for 10,000 ids by Celery's own dispatcher. What is polled is real.
"""

from __future__ import annotations

import pytest

from bide.ledger import AccountName, Ledger
from tests.browser.events import Replay, recorded
from tests.browser.operator import Operator
from tests.browser.stage import FlowerRig
from tests.integration.caller import Caller, image
from tests.integration.waiting import eventually

pytestmark = [pytest.mark.browser, pytest.mark.integration, pytest.mark.timeout(240)]

FINISHED, POLLED = 10_000, 300

#: What Flower may take [bytes].
MOST_BYTES = 400_000_000

#: How many jobs' events are sent before Flower is seen to have taken them.
_AT_ONCE = 1000

_JOBS = "photogpt images.generation: "


@pytest.fixture(scope="module", name="polled")
def _polled(rig: FlowerRig, operator: Operator, caller: Caller) -> list[str]:
    """Jobs that go on, begun after 10,000 others have finished."""
    events = recorded(caller.app, lambda: caller.submit(image("a red fox")).id, last="task-succeeded")
    steps = ["received", "started", "retried", "received", "started", "succeeded"]
    assert [event["type"].removeprefix("task-") for event in events] == steps
    replay = Replay(caller.app, events)
    for first in range(0, FINISHED, _AT_ONCE):
        numbers = range(first, first + _AT_ONCE)
        job_ids = replay.send(f"fox-{number} in the snow, soft morning light, 35 mm" for number in numbers)
        operator.sees_task(job_ids[-1], {"Status": "SUCCESS"})
    jobs = [caller.submit(image(f"[fault:never_finishes] crowd {number}")).id for number in range(POLLED)]
    eventually(lambda: min(_polls(rig, jobs)) >= 1, what="the provider was asked about each")
    return jobs


def test_list_shows_jobs_and_no_polls(operator: Operator, polled: list[str], rig: FlowerRig) -> None:
    """All rows are jobs, the latest first; one among 10,000 is found; those that go on are found by their state."""
    before = _polls(rig, polled)
    rows = operator.tasks()

    assert [row["kwargs"].startswith(f"{_JOBS}[fault:never_finishes] crowd") for row in rows] == 15 * [True]
    assert operator.search("name:bide.poll").startswith("No tasks to show (filtered from 10,000 total tasks)")
    assert operator.search("fox-9876").startswith("Showing 1 to 1 of 1 tasks")
    [row] = operator.rows("#tasks-table")
    assert (row["state"], row["kwargs"]) == ("SUCCESS", f"{_JOBS}fox-9876 in the snow, soft morning light, 35 mm")
    assert operator.search("state:RETRY kwargs:crowd").startswith(f"Showing 1 to 15 of {POLLED} tasks")
    assert operator.tab.trouble == []
    eventually(
        lambda: all(now >= then + 2 for then, now in zip(before, _polls(rig, polled), strict=True)),
        what="each was polled again and again meanwhile",
    )


@pytest.mark.usefixtures("polled")
def test_memory_stays_small(operator: Operator, rig: FlowerRig) -> None:
    """Flower at its most: an operator opens all pages, and a script asks the API for all jobs at once."""
    for page in ("/", "/tasks", "/broker", "/api/tasks?limit=10000"):
        operator.look(page)

    assert rig.flower.peak_bytes < MOST_BYTES


def _polls(rig: FlowerRig, jobs: list[str]) -> list[int]:
    account = AccountName("photogpt", "default")
    with rig.server() as server:
        ledger = Ledger(server)
        records = [ledger.jobs.read(account, job_id) for job_id in jobs]
    return [int(record.fields.get("polls") or 0) if record else 0 for record in records]
