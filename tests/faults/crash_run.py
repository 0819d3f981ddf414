"""One run of the crash matrix: jobs of all kinds, killed at one point by one kill, then watched to their ends."""

from __future__ import annotations

import hashlib
import json
import signal
import time
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from bide.crashpoints import Point
from bide.ledger import Ledger, Record
from bide.ledger.keys import prefix
from tests.faults.counting import check_nothing_left, check_results_expire
from tests.faults.crash_stage import CASES, POLLER_POINTS, Case, CrashStage
from tests.faults.kills import Kill, Order
from tests.integration.caller import Caller, marker
from tests.integration.waiting import eventually

#: How long a killed job may take to one final state and its caller's answer [seconds].
END_SECONDS = 60.0

#: Between two looks at the killed jobs [seconds]: how exact the times are.
LOOK_SECONDS = 0.1

#: Small enough for a file to be under way when all have come there [bytes per second].
SLOW_BYTES_PER_SECOND = 1000


@dataclass(frozen=True)
class Cell:
    """One job's way through one kill; seconds are counted from the kill, -1 where it never came that far."""

    point: str
    case: str
    provider: str
    operation: str
    end: str
    purchases: int
    moved_seconds: float
    ended_seconds: float


def play(stage: CrashStage, caller: Caller, point: Point) -> dict[str, Cell]:
    """Kill all kinds of jobs at `point`; how each went on, by case. Raises `AssertionError` for what must never be."""
    stage.mend()
    mark = marker()
    jobs = {str(uuid.uuid4()): case for case in CASES if point not in case.spared}
    others = _prepare(stage, caller, point, mark)
    kill, watch = _kill(stage, caller, point, jobs, mark)
    stage.sandbox.clear_faults()
    process = stage.poller if point in POLLER_POINTS else stage.worker
    with ThreadPoolExecutor(1) as supervisor:
        restarted = supervisor.submit(process.start)
        watch.until_all_ended()
        restarted.result()
    for job_id in (*jobs, *others):
        caller.result_of(job_id).get(timeout=END_SECONDS, propagate=False)
    cells = {case.name: _cell(stage, caller, point, case, job_id, watch, mark) for job_id, case in jobs.items()}
    check_nothing_left(stage, mark)
    check_results_expire(stage)
    assert kill.at > 0
    return cells


def _prepare(stage: CrashStage, caller: Caller, point: Point, mark: str) -> list[str]:
    """What a point needs beforehand: ids of jobs that are to be done as well."""
    if point == "half_downloaded":
        slow = {"fault": "slow_body", "operation": "media", "match": mark, "bytes_per_second": SLOW_BYTES_PER_SECOND}
        stage.sandbox.order([slow])
    if point != "recorded":
        return []
    # Jobs that take all places: what comes then is recorded, and stands in line.
    stage.sandbox.order([{"fault": "unknown_status", "operation": "poll", "match": mark, "times": len(CASES)}])
    polled = [case for case in CASES if not {"recorded", "poll_claimed"} & set(case.spared)]
    ids = [caller.submit(case.request(f"{mark}-first"), ignore_result=False).id for case in polled]
    eventually(lambda: stage.counts().get("inflight", 0) >= len(ids), what="all places are taken")
    return ids


def _kill(stage: CrashStage, caller: Caller, point: Point, jobs: dict[str, Case], mark: str) -> tuple[Kill, Watch]:
    """Submit the jobs, and see the process die at the point, by its own SIGKILL."""
    polls = point in POLLER_POINTS
    process = stage.poller if polls else stage.worker
    whom = tuple(f"poll-{case.provider}-{case.account}-" if polls else job_id for job_id, case in jobs.items())
    order = stage.order(process)
    Order(point, whom).write(order)
    for job_id, case in jobs.items():
        caller.submit(case.request(mark), task_id=job_id, ignore_result=False)
    eventually(lambda: not process.alive, what=f"all {len(jobs)} jobs come to {point}, and their process is killed")
    kill = Kill.take(order)
    assert process.wait(0) == -signal.SIGKILL
    assert (kill.point, set(kill.whom), kill.pid) == (point, set(whom), process.pid)
    return kill, Watch(stage, jobs, kill.at)


class Watch:
    """Notes when each killed job goes on, and when its caller's answer is there."""

    def __init__(self, stage: CrashStage, jobs: dict[str, Case], killed_at: float) -> None:
        self._killed_at = killed_at
        self._jobs = jobs
        self._server = stage.server()
        self._before = {job_id: self._record(job_id) for job_id in jobs}
        self.resumed: dict[str, float] = {}
        self.ended: dict[str, float] = {}

    def until_all_ended(self) -> None:
        """Until all have gone on and ended, or their time is up."""
        with self._server:
            while min(len(self.resumed), len(self.ended)) < len(self._jobs):
                seconds = time.time() - self._killed_at
                if seconds > END_SECONDS:
                    return
                self._look(round(seconds, 2))
                time.sleep(LOOK_SECONDS)

    def _look(self, seconds: float) -> None:
        for job_id in self._jobs:
            if job_id not in self.resumed and self._has_resumed(job_id):
                self.resumed[job_id] = seconds
            if job_id not in self.ended and self._answered(job_id):
                self.ended[job_id] = seconds

    def _has_resumed(self, job_id: str) -> bool:
        """Whether anything was done since the kill; all is, where another process had gone on before the first look."""
        record = self._record(job_id)
        return record != self._before[job_id] or record.get("answered") == "1"

    def _record(self, job_id: str) -> dict[str, str]:
        fields: Any = self._server.hgetall(f"{prefix(self._jobs[job_id].owner)}job:{job_id}")
        return dict(fields)

    def _answered(self, job_id: str) -> bool:
        kept = self._server.get(f"celery-task-meta-{job_id}")
        return json.loads(kept or "{}").get("status") in ("SUCCESS", "FAILURE")


def _cell(stage: CrashStage, caller: Caller, point: Point, case: Case, job_id: str, watch: Watch, mark: str) -> Cell:
    """The caller's answer, and what the record, the store and the provider say to it."""
    answer = caller.result_of(job_id)
    result: Any = answer.get(timeout=1, propagate=False)
    with stage.server() as server:
        record = Ledger(server).jobs.read(case.owner, job_id)
    assert record is not None
    if answer.successful():
        end = str(result["state"])
        _check_objects(stage, record, result)
    else:
        end = json.loads(str(result))["code"]
        assert not stage.store.names(_folder(record)), "objects of a job that has no result"
    expected_state = {"succeeded": "succeeded", "submission_unknown": "unconfirmed"}.get(end, "failed")
    assert record.state == expected_state
    bought = [each for each in stage.purchases(mark) if _is_of(each, case, mark)]
    resumed, ended = watch.resumed.get(job_id, -1.0), watch.ended.get(job_id, -1.0)
    return Cell(point, case.name, case.provider, case.operation, end, len(bought), resumed, ended)


def _is_of(bought: dict[str, Any], case: Case, mark: str) -> bool:
    [wanted] = [text for text in _texts(case.request(mark)["params"]) if mark in text]
    return (bought["provider"], bought["reference"]) == (case.provider, wanted)


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for each in value.values() for text in _texts(each)]
    return [value] if isinstance(value, str) else []


def _check_objects(stage: CrashStage, record: Record, result: dict[str, Any]) -> None:
    """Each object once, whole, the very bytes that the provider has, and `job.json` beside them."""
    keys = [output["key"] for output in result["outputs"]]
    folder = _folder(record)
    assert stage.store.names(folder) == sorted([*keys, f"{folder}job.json"])
    assert json.loads(stage.store.read(f"{folder}job.json")[0])["outputs"] == result["outputs"]
    sources = record.outputs if record.text("outputs") else ()
    for number, output in enumerate(result["outputs"]):
        stored = hashlib.sha256(stage.store.read(output["key"])[0]).hexdigest()
        assert stored == output["sha256"]
        if sources:
            with urllib.request.urlopen(sources[number].url) as original:
                assert hashlib.sha256(original.read()).hexdigest() == stored


def _folder(record: Record) -> str:
    created = record.moment("created")
    assert created is not None
    return f"{created:%Y/%m/%d}/{record.job_id}/"
