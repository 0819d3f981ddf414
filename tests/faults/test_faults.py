"""Kills and outages under way: no job is lost, none is bought twice, and every caller has an answer."""

from __future__ import annotations

from typing import Any

import pytest

from bide.client import Client
from tests.faults.counting import check_nothing_left, ends
from tests.integration.caller import Caller, image, marker
from tests.integration.rig import Rig
from tests.integration.waiting import PATIENCE_SECONDS, eventually

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]

#: Jobs under way when something breaks.
JOBS = 12

#: How long a worker may take to end in good order with jobs under way [seconds].
GRACE_SECONDS = 20.0

#: How long it may take until a job whose worker was killed has ended [seconds].
REPAIR_SECONDS = 20.0


def submit_some(caller: Caller, marked: str, jobs: int = JOBS, **more: Any) -> list[str]:
    """Ids of some jobs that differ in their prompts."""
    return [caller.submit(image(f"{marked} {number}", **more), ignore_result=False).id for number in range(jobs)]


def faults_met(rig: Rig) -> int:
    """How many requests have met an ordered fault."""
    return sum(rule["fired"] for rule in rig.sandbox.faults())


def test_a_worker_killed_while_submitting(caller: Caller, rig: Rig) -> None:
    """Killed between the purchase and its answer: the caller learns that this is unknown, and nothing is repeated."""
    marked = marker()
    rig.sandbox.order([{"fault": "accept_then_hang", "match": marked}])
    [job_id] = submit_some(caller, marked, jobs=1)
    eventually(lambda: rig.purchases(marked), what="the job is bought")

    rig.worker.kill()
    rig.worker.start()

    assert ends(rig, [job_id], within_seconds=REPAIR_SECONDS) == {"submission_unknown": 1}
    assert len(rig.purchases(marked)) == 1
    check_nothing_left(rig, marked)


@pytest.mark.parametrize(("process", "operation"), [("worker", "media"), ("poller", "poll")])
def test_a_process_killed_while_it_waits_for_the_provider(
    process: str, operation: str, caller: Caller, rig: Rig
) -> None:
    """A worker in the middle of a download, or a poller in the middle of a poll, is killed: the jobs go on."""
    marked = marker()
    rig.sandbox.order([{"fault": "slow", "operation": operation, "match": marked, "seconds": 2.5, "times": JOBS}])
    job_ids = submit_some(caller, marked)
    eventually(lambda: faults_met(rig), what=f"a {operation} request is under way")

    victim = {"worker": rig.worker, "poller": rig.poller}[process]
    victim.kill()
    victim.start()

    assert ends(rig, job_ids) == {"succeeded": JOBS}
    check_nothing_left(rig, marked)


def test_a_worker_killed_while_it_consumes_messages(caller: Caller, rig: Rig) -> None:
    """Killed again and again in a burst of a plain Celery client's messages, which are all that is known of a job."""
    marked = marker()
    job_ids: list[str] = []
    for number in range(4):
        job_ids += submit_some(caller, f"{marked} {number}", jobs=4 * JOBS)
        eventually(lambda: rig.purchases(f"{marked} {number}"), what="a job is bought")  # noqa: B023 - asked at once
        rig.worker.kill()
        rig.worker.start()

    counts = ends(rig, job_ids, within_seconds=120)
    assert counts["succeeded"] + counts["submission_unknown"] == len(job_ids)
    check_nothing_left(rig, marked)


def test_connections_are_cut(caller: Caller, rig: Rig) -> None:
    """Redis drops all its connections time and again: the work goes on over new ones, and the old ones are gone."""
    marked = marker()
    assert ends(rig, submit_some(caller, marked, jobs=1)) == {"succeeded": 1}
    with rig.server() as server:
        before = len(server.client_list())
        for _ in range(4):
            server.client_kill_filter(_type="normal", skipme=True)
            assert ends(rig, submit_some(caller, marked, jobs=2)) == {"succeeded": 2}
        assert len(server.client_list()) <= 2 * before


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_redis_restarts(how: str, caller: Caller, rig: Rig) -> None:
    """Redis goes and comes back with its append-only file: every job ends, of bide's client and of a plain one."""
    marked = marker()
    with Client(rig.redis.url) as client:
        job_ids = [client.submit(image(f"{marked} {number}")) for number in range(JOBS // 2)]
    job_ids += submit_some(caller, f"{marked} plain", jobs=JOBS // 2)
    eventually(lambda: len(rig.purchases(marked)) >= JOBS / 2, what="half of the jobs are bought")

    if how == "killed":
        rig.redis.kill()
    else:
        rig.redis.stop()
    rig.redis.start()

    counts = ends(rig, job_ids)
    assert counts["succeeded"] + counts["submission_unknown"] == JOBS
    assert counts["submission_unknown"] <= JOBS / 2
    assert rig.worker.alive
    assert rig.poller.alive
    check_nothing_left(rig, marked)


def test_the_broker_forgets(caller: Caller, rig: Rig) -> None:
    """All messages and all unacknowledged ones are deleted: the ledger has them sent anew."""
    marked = marker()
    job_ids = submit_some(caller, marked)
    eventually(lambda: all(map(rig.state, job_ids)), what="every job has a record")

    with rig.server() as server:
        server.delete("bide.submit", "bide.poll", "bide.store", "bide.control", *server.scan_iter("unacked*"))

    assert ends(rig, job_ids) == {"succeeded": JOBS}
    check_nothing_left(rig, marked)


def test_a_worker_ends_under_load(caller: Caller, rig: Rig) -> None:
    """SIGTERM: the steps under way are finished, the process ends in time, and the next worker goes on."""
    marked = marker()
    job_ids = submit_some(caller, marked, jobs=2 * JOBS)
    eventually(lambda: len(rig.purchases(marked)) >= JOBS, what="half of the jobs are bought")

    rig.worker.ask_to_end()
    assert rig.worker.wait(GRACE_SECONDS) == 0
    rig.worker.start()

    assert ends(rig, job_ids) == {"succeeded": 2 * JOBS}
    check_nothing_left(rig, marked)


def test_object_storage_is_away(caller: Caller, rig: Rig) -> None:
    """Results wait until they can be stored."""
    marked = marker()
    rig.store.process.kill()
    job_ids = submit_some(caller, marked)
    eventually(lambda: "job.store_put_off" in dict(rig.logs())["log of worker"], what="a result is put off")

    rig.store.process.start()

    assert ends(rig, job_ids) == {"succeeded": JOBS}
    check_nothing_left(rig, marked)


def test_an_unconfirmed_job_keeps_no_place(caller: Caller, rig: Rig) -> None:
    """An account with room for one goes on after a submit whose answer was lost."""
    marked = marker()
    rig.sandbox.order([{"fault": "accept_then_drop", "match": f"{marked} 0"}])

    job_ids = submit_some(caller, marked, jobs=3, account="single")

    assert ends(rig, job_ids, within_seconds=PATIENCE_SECONDS) == {"submission_unknown": 1, "succeeded": 2}
    check_nothing_left(rig, marked)
