"""The whole way of a schedule: beat finds it due, a worker buys its rows, and a contact sheet lies in the store."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bide.bulk.runs import Runs
from config.schedules import load
from tests.integration.object_store import BUCKET
from tests.integration.processes import Process, procfile
from tests.integration.rig import Rig
from tests.integration.waiting import eventually
from workers.scheduling.occurrences import STATE_KEY, State

pytestmark = pytest.mark.integration

ROWS = 6


def test_due_schedule_ends_with_a_contact_sheet(rig: Rig, tmp_path: Path) -> None:
    """Every row is bought once, and each of them is on the page."""
    params = {"modelID": "m1", "width": 64, "height": 64}
    rows = [
        {
            "provider": "photogpt",
            "operation": "images.generation",
            "params": {**params, "prompt": f"scheduled fox {row}"},
        }
        for row in range(ROWS)
    ]
    client = rig.store.client()
    client.put_object(Bucket=BUCKET, Key="rows.jsonl", Body="".join(f"{json.dumps(row)}\n" for row in rows))
    client.close()

    run_id = _come_due(rig, tmp_path)

    eventually(lambda: f"runs/{run_id}/index.html" in rig.store.names(f"runs/{run_id}/"), what="a contact sheet")
    page = rig.store.read(f"runs/{run_id}/index.html")[0].decode()
    assert page.count('data-state="succeeded"') == page.count('src="data:image/webp') == ROWS
    assert all(f"scheduled fox {row}" in page for row in range(ROWS))
    assert len(rig.purchases("scheduled fox")) == ROWS
    with rig.server() as server:
        assert Runs(server).read(run_id) is not None


def _come_due(rig: Rig, folder: Path) -> str:
    """Start a beat with a schedule that came due at the last full minute; wait until its run has begun, and end it."""
    due = datetime.now(UTC)
    file = folder / "schedules.toml"
    file.write_text(
        f'[schedules.foxes]\ncron = "{due.minute} {due.hour} * * *"\nsource = "s3://{BUCKET}/rows.jsonl"\n'
        "options = { window = 3 }\n"
    )
    [schedule] = load(file)
    state = State(rule=schedule.rule, until=(due - timedelta(hours=1)).isoformat())
    run_id = schedule.run_id(due)
    command = ["bash", "-c", f"exec {procfile()['beat']} --schedule={file}"]
    beat = Process("beat", command, env=rig.environment(), ready=r"Acquired lock", log=folder / "beat.log")
    with rig.server() as server:
        server.hset(
            STATE_KEY.format(schedule.name), mapping={name: str(value) for name, value in state.fields().items()}
        )
        try:
            beat.start()
            eventually(lambda: Runs(server).read(run_id), what="the run begins")
        finally:
            beat.kill()
    return run_id
