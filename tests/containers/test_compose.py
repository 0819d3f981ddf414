"""docker-compose.yml run for real: healthy, with least rights, and every purchase brought home through kills."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import pytest

from tests.containers.stack import RUNNING, Stack
from tests.faults.chaos.jobs import SHARES, jobs_of
from tests.integration.waiting import eventually

pytestmark = [pytest.mark.containers, pytest.mark.timeout(1800)]

#: Jobs that are submitted while processes are killed, and how often one is.
JOBS, KILLS = 200, 6

#: Between two kills [seconds]: most of the jobs are under way at each.
BETWEEN_KILLS_SECONDS = 4.0

#: Jobs in hand when everything is stopped at once, and the longest that may take [seconds]. All of them are bought:
#: an answer that is paid for would wait for the ledger, in vain.
IN_HAND, DOWN_SECONDS = 40, 60.0

#: What a job comes to that nothing is done for any more.
ENDS = {"succeeded", "failed", "canceled", "unconfirmed"}


def requests_of(seed: int, number: int) -> list[dict[str, Any]]:
    """Requests to all providers, each with its own prompt."""
    return [job.request for job in jobs_of(seed, number)]


def ended(stack: Stack, job_ids: list[str], *, within_seconds: float) -> Counter[str]:
    """How many jobs came to which end, once all have."""

    def ends() -> Counter[str] | None:
        states = Counter(stack.call("states", given=job_ids).values())
        return states if set(states) <= ENDS else None

    return eventually(ends, what=f"{len(job_ids)} jobs have ended", within_seconds=within_seconds)


def states(stack: Stack, job_ids: list[str]) -> set[str]:
    """The states that some jobs are in."""
    return set(stack.call("states", given=job_ids).values())


def bought(stack: Stack, seed: int) -> Counter[str]:
    """How often each prompt of a run was bought."""
    return Counter(each["reference"] for each in stack.purchases() if f"chaos-{seed}-" in each["reference"])


def test_every_container_has_no_rights(stack: Stack) -> None:
    """No process in any of them is root or has a capability, and nothing can be written but /tmp and the data."""
    for service in RUNNING:
        status = dict(line.split(":\t", 1) for line in stack.exec(service, "cat", "/proc/1/status").splitlines())
        assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}, service
        assert "0" not in status["Uid"].split(), service
        assert status["NoNewPrivs"] == "1", service
        assert "Read-only file system" in stack.exec(service, "touch", "/usr/x", check=False), service


def test_the_doctor_has_nothing_to_say(stack: Stack) -> None:
    """From inside of the worker all is found where it stands, Flower too."""
    printed = ""

    def well() -> bool:
        nonlocal printed
        printed = stack.exec("worker", "bide", "doctor", check=False)
        return "all well: " in printed

    # A worker that was there before its store has tested that once in vain, and does it again.
    try:
        eventually(well, what="all is well", within_seconds=60)
    except AssertionError as error:
        error.add_note(printed)
        raise
    assert "flower: asks who is there at http://flower:5555" in printed


def test_a_job_of_each_provider_comes_home(stack: Stack) -> None:
    """A caller on this machine submits by Valkey's port, and reads each object by the store's."""
    chosen = {request["provider"]: request for request in reversed(requests_of(1, 100))}
    assert set(chosen) == set(SHARES)
    job_ids = stack.call("submit", given=list(chosen.values()))

    assert ended(stack, job_ids, within_seconds=60) == {"succeeded": len(SHARES)}
    assert all(whole and all(whole) for whole in stack.call("fetch", given=job_ids).values())


def test_every_purchase_comes_home_through_kills(stack: Stack) -> None:
    """Worker and poller are killed by turns and come back: each job is bought exactly once, and each is stored."""
    job_ids = stack.call("submit", given=requests_of(2, JOBS))
    for number in range(KILLS):
        time.sleep(BETWEEN_KILLS_SECONDS)
        stack.kill(("worker", "poller")[number % 2])

    ends = ended(stack, job_ids, within_seconds=240)
    assert sum(ends.values()) == JOBS
    # A submit that a kill cut off is bought at most once, and never again by itself: people settle those.
    assert set(ends) <= {"succeeded", "unconfirmed"}
    assert ends["unconfirmed"] <= KILLS
    book = bought(stack, 2)
    assert set(book.values()) == {1}
    assert len(book) == JOBS
    assert stack.inspect("worker")["RestartCount"] == KILLS // 2
    stack.wait_until_green(("worker", "poller"))


def test_a_restart_of_valkey_loses_nothing(stack: Stack) -> None:
    """Jobs are under way, and all of them end well."""
    job_ids = stack.call("submit", given=requests_of(3, 20))
    stack.compose("restart", "valkey")

    assert ended(stack, job_ids, within_seconds=120) == {"succeeded": 20}
    assert set(bought(stack, 3).values()) == {1}
    stack.wait_until_green()


def test_endpoint_without_its_address_ends_once(stack: Stack) -> None:
    """The profile `hooks` without BIDE_HOOKS__URL: one line says what is missing, and nothing starts again."""
    stack.compose("--profile", "hooks", "up", "--detach", "hooks")
    eventually(lambda: stack.inspect("hooks")["State"]["Status"] == "exited", what="the endpoint has ended")
    found = stack.inspect("hooks")

    assert found["HostConfig"]["RestartPolicy"]["Name"] in ("", "no")  # so that nothing ever starts it again
    assert (found["State"]["Status"], found["State"]["ExitCode"], found["RestartCount"]) == ("exited", 1, 0)
    assert stack.logs("hooks").count("set BIDE_HOOKS__URL and BIDE_HOOKS__SECRET") == 1
    stack.machine.run("podman", "rm", "bide_hooks_1")


def test_down_and_up_keep_all_jobs(stack: Stack) -> None:
    """With jobs in hand everything is stopped at once, in time; afterwards each job is known, each object there."""
    before = stack.call("submit", given=requests_of(4, 8))
    assert ended(stack, before, within_seconds=60) == {"succeeded": 8}
    in_hand = stack.call("submit", given=requests_of(5, IN_HAND))
    eventually(lambda: not {"queued", "submitting"} & states(stack, in_hand), what="all are bought")
    stack.down()
    assert not stack.machine.run("podman", "ps", "--all", "--quiet").stdout
    assert stack.took["down"] < DOWN_SECONDS

    stack.up()
    assert states(stack, before) == {"succeeded"}
    assert all(whole and all(whole) for whole in stack.call("fetch", given=before).values())
    assert "unknown" not in states(stack, in_hand)
    again = stack.call("submit", given=requests_of(6, 8))
    assert ended(stack, again, within_seconds=60) == {"succeeded": 8}
