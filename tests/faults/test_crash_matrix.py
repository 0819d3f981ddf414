"""The crash matrix: SIGKILL at each point of a job's way, for jobs of all providers; each comes to its one right end.

What was seen is written to `build/reliability/crash-matrix.json`: a JSON object for each cell, one to a line.
`FAULTS=short` plays it at shorter clocks than production's, and writes to `crash-matrix-short.json`. `FAULTS=replica`
plays it over a leader and a replica, with `BIDE_LEDGER__SAFE=replica`, and writes to `crash-matrix-replica.json`.
"""

from __future__ import annotations

import json
import os
import queue
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import pytest

from bide.crashpoints import POINTS, Point
from tests.faults.crash_run import END_SECONDS, Cell, play
from tests.faults.crash_stage import CASES, Case, CrashStage
from tests.integration.caller import Caller
from tests.integration.processes import ROOT

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

WAY = os.environ.get("FAULTS", "")
SHORT = WAY == "short"

#: Deployments in which points are played side by side: most of a run is waiting for leases to run out.
STAGES = 3

#: The right end of a job that was killed at a point, and what was bought for it by then and ever.
ENDS: dict[Point, tuple[str, int]] = {
    **dict.fromkeys(POINTS, ("succeeded", 1)),
    "intent_written": ("submission_unknown", 0),
    "request_half_sent": ("submission_unknown", 0),
    "answer_read": ("submission_unknown", 1),
}

#: The most of a log that is shown where something broke.
SHOWN_CHARACTERS = 4000

Played = dict[Point, dict[str, Cell] | Exception]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """The whole matrix: the cells of each point, or what broke there."""
    points: queue.SimpleQueue[Point] = queue.SimpleQueue()
    for point in POINTS:
        points.put(point)
    played: Played = {}
    folders = [tmp_path_factory.mktemp("stage") for _ in range(STAGES)]
    with ThreadPoolExecutor(STAGES) as stages:
        for ended in [stages.submit(_play_all, folder, points, played) for folder in folders]:
            ended.result()
    _write([cell for point in POINTS if isinstance(cells := played[point], dict) for cell in cells.values()])
    return played


def _play_all(folder: Path, points: queue.SimpleQueue[Point], played: Played) -> None:
    with CrashStage(folder, short=SHORT, replica=WAY == "replica") as stage, Caller(stage.redis.url) as caller:
        while not points.empty():
            _play_next(stage, caller, points, played)


def _play_next(stage: CrashStage, caller: Caller, points: queue.SimpleQueue[Point], played: Played) -> None:
    with suppress(queue.Empty):  # another stage was faster
        point = points.get_nowait()
        stage.mark_logs()
        try:
            played[point] = play(stage, caller, point)
        except Exception as error:
            played[point] = AssertionError(_shown(error, stage))
            stage.clear()


def _shown(error: Exception, stage: CrashStage) -> str:
    """What broke and where, and the ends of the logs."""
    logs = [f"--- {title}\n{text[-SHOWN_CHARACTERS:]}" for title, text in stage.logs()]
    return "\n".join(["".join(traceback.format_exception(error, limit=-4)), *logs])


def _write(cells: list[Cell]) -> None:
    path = ROOT / "build" / "reliability" / f"crash-matrix{WAY and f'-{WAY}'}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    clocks = "short" if SHORT else "production"
    path.write_text("".join(f"{json.dumps({**asdict(cell), 'clocks': clocks})}\n" for cell in cells))


PAIRS = [(point, case) for point in POINTS for case in CASES if point not in case.spared]


@pytest.mark.parametrize(("point", "case"), PAIRS, ids=[f"{point}, {case.name}" for point, case in PAIRS])
def test_a_job_killed_at(point: Point, case: Case, played: Played) -> None:
    """One end within a minute, the right one for the point, bought as often as is right; its caller has an answer."""
    cells = played[point]
    if isinstance(cells, Exception):
        raise cells
    cell = cells[case.name]
    assert (cell.end, cell.purchases) == ENDS[point]
    assert 0 <= cell.moved_seconds <= END_SECONDS
    assert 0 <= cell.ended_seconds <= END_SECONDS
