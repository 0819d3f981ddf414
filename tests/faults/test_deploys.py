"""Shutdown and deploys: SIGTERM under load, and two versions of the code side by side on one ledger."""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bide.ledger.connection import ENDING_PATIENCE_SECONDS
from config.settings import load
from tests.faults.counting import check_nothing_left, ends
from tests.integration.caller import Caller, image, marker
from tests.integration.processes import ROOT, Process
from tests.integration.rig import CLOCKS, Rig
from tests.integration.waiting import eventually

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

#: The code that stands in for what is deployed now, while this tree's is on its way.
PREVIOUS = "HEAD~1"

JOBS = 12

#: What may come on top of the longest step until a process has ended, on a busy machine [seconds].
GOODBYE_SECONDS = 15.0

#: The same where a command to a Redis that is away would alone wait longer, did it have the usual patience [seconds].
SHORT_GOODBYE_SECONDS = 12.0

#: How long each download of a result takes, where that is ordered [seconds].
SLOW_SECONDS = 2.5

_UNKNOWN = re.compile(r"(BIDE_\w+): there is no such variable")


def submit(caller: Caller, marked: str, *, jobs: int = JOBS, order: str = "") -> list[str]:
    """Ids of some jobs that differ in their prompts."""
    prompts = [f"{marked} {number} {order}" for number in range(jobs)]
    return [caller.submit(image(prompt), ignore_result=False).id for prompt in prompts]


# SIGTERM


@pytest.mark.parametrize(("service", "steps"), [("worker", "submit_timeout download"), ("poller", "two_reads")])
def test_the_grace_period_is_longer_than_the_longest_step(service: str, steps: str) -> None:
    """A container is killed at the end of its grace: no submit, download or poll may take that long."""
    settings = load({"BIDE_S3__BUCKET": "any"}, None)
    timing = settings.timing
    longest = {
        "submit_timeout": timing.submit_timeout_seconds,
        "download": settings.media.download_seconds + timing.read_timeout_seconds,
        "two_reads": 2 * timing.read_timeout_seconds,
    }
    grace = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"][service]["stop_grace_period"]

    assert _seconds(grace) > max(longest[step] for step in steps.split())


def _seconds(duration: str) -> float:
    """A duration as compose writes it: 90s, 5m."""
    return float(duration[:-1]) * {"s": 1, "m": 60}[duration[-1]]


def test_sigterm_under_load(caller: Caller, rig: Rig) -> None:
    """Worker and poller end by themselves, as soon as the longest step may; nothing is lost, nothing bought twice."""
    marked = marker()
    rig.sandbox.order([{"fault": "accept_then_hang", "match": f"{marked} hang"}])
    rig.sandbox.order([{"fault": "slow", "operation": "media", "match": marked, "seconds": 2, "times": 4}])
    rig.sandbox.order([{"fault": "slow", "operation": "poll", "match": marked, "seconds": 2, "times": 4}])
    job_ids = submit(caller, marked, jobs=3 * JOBS)
    [hanging] = submit(caller, f"{marked} hang", jobs=1)
    eventually(lambda: len(rig.purchases(marked)) >= JOBS, what="some of the jobs are bought")
    eventually(lambda: rig.purchases(f"{marked} hang"), what="a submit hangs")

    begun = time.monotonic()
    for process in (rig.worker, rig.poller):
        process.ask_to_end()
    longest = float(CLOCKS["BIDE_TIMING__SUBMIT_TIMEOUT_SECONDS"]) + GOODBYE_SECONDS
    codes = [process.wait(longest - (time.monotonic() - begun)) for process in (rig.worker, rig.poller)]
    rig.mend()

    assert codes == [0, 0]
    assert ends(rig, job_ids) == {"succeeded": 3 * JOBS}
    assert ends(rig, [hanging]) == {"submission_unknown": 1}
    check_nothing_left(rig, marked)


def test_an_ending_worker_takes_nothing_more(caller: Caller, rig: Rig) -> None:
    """What it had taken and not begun goes back to the queue: the next worker need not wait for it to be missed."""
    marked = marker()
    rig.sandbox.order([{"fault": "slow", "operation": "submit", "match": marked, "seconds": 4, "times": 1}])
    submit(caller, marked, jobs=1)
    eventually(lambda: fired(rig), what="a submit is under way")

    rig.worker.ask_to_end()
    job_ids = submit(caller, f"{marked} later")
    assert rig.worker.wait(GOODBYE_SECONDS) == 0
    rig.worker.start()

    begun = time.monotonic()
    assert ends(rig, job_ids) == {"succeeded": JOBS}
    assert time.monotonic() - begun < 60
    check_nothing_left(rig, marked)


def test_a_stop_does_not_wait_for_servers_that_are_gone(caller: Caller, rig: Rig) -> None:
    """As some tools stop a stack: Redis goes with the worker, while it stores results. The next worker stores them."""
    marked = marker()
    rig.sandbox.order([{"fault": "slow", "operation": "media", "match": marked, "seconds": SLOW_SECONDS}])
    job_ids = submit(caller, marked)
    eventually(lambda: fired(rig) >= JOBS, what="all are bought and done, the last results on their way to the store")

    rig.redis.kill()
    rig.worker.ask_to_end()
    code = rig.worker.wait(SLOW_SECONDS + ENDING_PATIENCE_SECONDS + SHORT_GOODBYE_SECONDS)
    rig.sandbox.clear_faults()
    rig.mend()

    assert code == 0
    assert ends(rig, job_ids) == {"succeeded": JOBS}
    check_nothing_left(rig, marked)


def fired(rig: Rig) -> int:
    """How many requests to the providers have met with the ordered faults."""
    return sum(rule["fired"] for rule in rig.sandbox.faults())


def test_a_paid_answer_outlasts_a_ledger_that_is_gone(caller: Caller, rig: Rig) -> None:
    """Told to end, a worker that has bought waits for Redis for as long as it may: the answer stands nowhere else."""
    marked = marker()
    slow = {"fault": "slow_body", "operation": "submit", "match": marked, "bytes_per_second": 40, "times": 1}
    rig.sandbox.order([slow])
    job_ids = submit(caller, marked, jobs=1)
    eventually(lambda: rig.purchases(marked), what="the job is bought, its answer on its way")

    rig.redis.kill()
    rig.worker.ask_to_end()
    seen = "job.answer_waits_for_ledger"
    eventually(lambda: seen in rig.worker.output(), what="the answer waits")
    assert rig.worker.alive
    rig.redis.start()

    assert rig.worker.wait(GOODBYE_SECONDS) == 0
    rig.mend()
    assert ends(rig, job_ids) == {"succeeded": 1}
    check_nothing_left(rig, marked)


# Two versions


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the previous commit; skipped where its history is not at hand."""
    found = subprocess.run(["git", "archive", PREVIOUS], cwd=ROOT, capture_output=True, check=False)
    if found.returncode:
        pytest.skip(f"no history here to take {PREVIOUS} from (a shallow clone, or no clone at all)")
    folder = tmp_path_factory.mktemp("earlier")
    with tarfile.open(fileobj=io.BytesIO(found.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


class Fleet:
    """A worker and a poller of one version."""

    def __init__(self, name: str, root: Path, env: dict[str, str], folder: Path) -> None:
        lines = dict(re.findall(r"^(\w+): (.+)$", (root / "Procfile").read_text(), re.MULTILINE))
        self.processes = [
            Process(
                f"{name} {kind}",
                ["bash", "-c", f"exec {lines[kind]}"],
                env={**env, "PYTHONPATH": str(root)},  # before this tree, which is installed for editing
                ready=rf"{kind}-\d+@\S+ ready",
                log=folder / f"{name}-{kind}.log",
                root=root,
            )
            for kind in ("worker", "poller")
        ]

    def start(self) -> None:
        for process in self.processes:
            process.start()

    def stop(self) -> None:
        """SIGTERM, and their end."""
        for process in self.processes:
            process.ask_to_end()
        assert [process.wait(2 * GOODBYE_SECONDS) for process in self.processes] == [0, 0]

    def kill(self) -> None:
        for process in self.processes:
            process.kill()


@pytest.fixture
def fleets(rig: Rig, earlier: Path, tmp_path: Path) -> Iterator[tuple[Fleet, Fleet]]:
    """The earlier version and this one, neither started, on the same servers."""
    for process in (rig.worker, rig.poller):
        process.kill()
    env = rig.environment()
    old = Fleet("earlier", earlier, known_to(earlier, env), tmp_path)
    new = Fleet("this", ROOT, env, tmp_path)
    yield old, new
    old.kill()
    new.kill()


def known_to(root: Path, env: dict[str, str]) -> dict[str, str]:
    """The environment without what an earlier version does not know: a deployment sets that with the new one."""
    command = ["python", "-m", "config.settings"]
    done = subprocess.run(
        command, cwd=root, env={**env, "PYTHONPATH": str(root)}, capture_output=True, text=True, check=False
    )
    return {name: value for name, value in env.items() if name not in _UNKNOWN.findall(done.stderr)}


def test_a_rolling_restart_and_back(caller: Caller, rig: Rig, fleets: tuple[Fleet, Fleet]) -> None:
    """Jobs begun by one version are finished by the other, both ways, also while both run."""
    old, new = fleets
    marked = marker()
    job_ids: list[str] = []

    def under_way(phase: str) -> None:
        """Jobs in every state, some of which outlive the phase."""
        job_ids.extend(submit(caller, f"{marked} {phase}"))
        job_ids.extend(submit(caller, f"{marked} {phase} long", jobs=3, order="[fault:500 operation=poll times=3]"))
        eventually(lambda: len(rig.purchases(f"{marked} {phase}")) >= JOBS / 2, what=f"jobs are bought: {phase}")

    old.start()
    under_way("before")
    new.start()
    under_way("both")
    old.stop()
    under_way("after")
    old.start()
    under_way("both again")
    new.stop()
    under_way("rolled back")

    assert ends(rig, job_ids) == {"succeeded": len(job_ids)}
    check_nothing_left(rig, marked)


def test_a_replacement_without_overlap(caller: Caller, rig: Rig, fleets: tuple[Fleet, Fleet]) -> None:
    """All processes of one version are killed under load, and those of the other take over: forth and back."""
    marked = marker()
    job_ids: list[str] = []
    for number, fleet in enumerate((*fleets, *fleets)):
        fleet.start()
        job_ids += submit(caller, f"{marked} {number}", order="[fault:slow:1 operation=poll times=1]")
        eventually(lambda: rig.purchases(f"{marked} {number}"), what="a job is bought")  # noqa: B023 - asked at once
        fleet.kill()
    fleets[1].start()

    counts = ends(rig, job_ids)

    assert counts["succeeded"] + counts["submission_unknown"] == len(job_ids)
    check_nothing_left(rig, marked)


def test_a_record_of_a_newer_version_is_reported(caller: Caller, rig: Rig) -> None:
    """A job that a newer version holds is left as it is and named in the log; it goes on once it is ours again."""
    marked = marker()
    result = caller.submit(image(f"{marked} [fault:slow:2 operation=poll times=2]"))
    eventually(lambda: rig.state(result.id) == "running", what="the job runs")
    key = f"bide:{{photogpt/default}}:job:{result.id}"
    with rig.server() as server:
        version = server.hget(key, "v")
        server.hset(key, "v", "99")
        left: dict[str, Any] = server.hgetall(key)
        polled = server.hget(key, "polls")

        [other] = submit(caller, f"{marked} other", jobs=1)
        assert ends(rig, [other]) == {"succeeded": 1}
        caller.submit(image(f"{marked} [fault:slow:2 operation=poll times=2]"), task_id=result.id)
        eventually(lambda: '"version"' in rig.worker.output(), what="the log names its version")
        caller.app.send_task("bide.cancel", args=[result.id], queue="bide.control")
        eventually(lambda: "cancel.other_version" in rig.worker.output(), what="a cancel says why it does nothing")
        now = server.hgetall(key)
        unchanged = {name for name in left if left[name] == now.get(name)}
        server.hset(key, "v", version)

    of_a_poll = {"polls", "note", "polled", "seen", "ran", "duration", "asking"}  # which was under way
    assert set(left) - unchanged <= of_a_poll
    assert int(now.get("polls") or 0) <= int(polled or 0) + 1
    assert ends(rig, [result.id]) == {"succeeded": 1}
    check_nothing_left(rig, marked)
