"""Messages to `bide.bulk` that ask for a file of the worker, or for nothing that is a run: none reads or stops it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from bide.bulk.record import Run
from bide.bulk.runs import Runs
from tests.integration.caller import Caller, image, marker, succeeded
from tests.integration.object_store import BUCKET
from tests.integration.rig import CALLBACK_SECRET, KEYS, Rig
from tests.integration.waiting import eventually

pytestmark = pytest.mark.integration

#: Steps that a worker of the rig takes at once, and some more: so many blocked threads would be all of them.
MORE_THAN_ITS_THREADS = 40


def ask(caller: Caller, *args: Any, **kwargs: Any) -> None:
    """Send a message as Flower's API does."""
    caller.app.send_task("bide.bulk", args=args, kwargs=kwargs, queue="bide.control", ignore_result=True)


def put(rig: Rig, key: str, value: Any) -> str:
    """Its address, as a message may name it."""
    client = rig.store.client()
    client.put_object(Bucket=BUCKET, Key=key, Body=json.dumps(value))
    client.close()
    return f"s3://{BUCKET}/{key}"


def refused(rig: Rig, run_id: str) -> Run:
    """A run that was asked for, once it stands in the list of runs, ended."""

    def over() -> Run | None:
        with rig.server() as server:
            run = Runs(server).read(run_id)
        return run if run is not None and run.over else None

    return eventually(over, what=f"run {run_id} is refused")


def everything(rig: Rig) -> str:
    """All that Redis holds of runs, and what the worker has written."""
    with rig.server() as server:
        records: Any = [server.hgetall(key) for key in server.scan_iter("bide:run:*:record")]
    return repr(records) + rig.worker.output()


@pytest.mark.parametrize("source", ["/proc/self/environ", "/proc/self/cmdline", "/etc/passwd", "config/settings.py"])
def test_no_file_of_a_worker_gets_into_redis(rig: Rig, caller: Caller, source: str) -> None:
    """Keys of providers stand in its environment: as rows, as a CSV and as a template it stays shut."""
    marked = marker()
    template = put(rig, f"{marked}.json", image("{animal}"))
    rows = put(rig, f"{marked}.csv", "animal")

    ask(caller, run={"run_id": f"{marked}-rows", "source": source})
    ask(caller, {"run_id": f"{marked}-csv", "source": source, "options": {"template": template}})
    ask(caller, run={"run_id": f"{marked}-template", "source": rows, "options": {"template": source}})

    for way in ("rows", "csv", "template"):
        assert "can't be read for a message" in refused(rig, f"{marked}-{way}").text("note")
    text = everything(rig)
    secrets = [value for name, value in KEYS.items() if name.endswith("API_KEY")]
    words = [CALLBACK_SECRET, *secrets, "root:x:0:0", "AWS_SECRET_ACCESS_KEY", "BIDE_BROKER_URL", "class Settings"]
    assert [word for word in words if word in text] == []


def test_no_device_and_no_pipe_keeps_a_thread(rig: Rig, caller: Caller, tmp_path: Path) -> None:
    """A worker that was asked to read more of them than it has threads serves the next job."""
    marked = marker()
    os.mkfifo(tmp_path / "pipe")
    sources = ["/dev/ptmx", "/dev/zero", str(tmp_path / "pipe"), "-"]
    for number in range(MORE_THAN_ITS_THREADS):
        ask(caller, run={"run_id": f"{marked}-{number}", "source": sources[number % len(sources)]})

    for number in range(MORE_THAN_ITS_THREADS):
        refused(rig, f"{marked}-{number}")
    assert succeeded(caller.submit(image(marked)))["state"] == "succeeded"


def test_an_object_of_the_deployment_whose_columns_do_not_fit_stays_unread(rig: Rig, caller: Caller) -> None:
    """An object that a message may name may still be private: the note of its run holds numbers."""
    marked = marker()
    template = put(rig, f"{marked}.json", image("{animal}"))
    rows = put(rig, f"{marked}.csv", "planted-word")

    ask(caller, run={"run_id": f"{marked}-run", "source": rows, "options": {"template": template}})

    assert "no column for place 1 in the first line, which names 1" in refused(rig, f"{marked}-run").text("note")
    assert "planted-word" not in everything(rig)


def test_a_message_without_a_run_is_refused_in_one_line(rig: Rig, caller: Caller) -> None:
    """Whatever its shape: no traceback, no id of 600 kB in a log, and the worker goes on."""
    since, marked = rig.worker.written_bytes, marker()
    huge = "r" * 600_000
    shapes: list[Any] = [None, 5, [], {}, "", "a.b", huge, {"run_id": huge}, {"run_id": "r", "source": [huge]}]
    for shape in shapes:
        ask(caller, run=shape)
    ask(caller)
    ask(caller, "r", "r")
    ask(caller, runs="r")

    ask(caller, run={"run_id": marked, "source": "/etc/passwd"})
    refused(rig, marked)
    lines = eventually(
        lambda: found if len(found := _refusals(rig, since)) > len(shapes) + 3 else None, what="all are refused"
    )

    assert max(map(len, lines)) < 1000
    assert "Traceback" not in rig.worker.output(since=since)
    with rig.server() as server:
        assert not list(server.scan_iter(f"*{huge[:200]}*"))
    assert succeeded(caller.submit(image(marked)))["state"] == "succeeded"


def _refusals(rig: Rig, since: int) -> list[str]:
    return [line for line in rig.worker.output(since=since).splitlines() if '"bulk.refused"' in line]
