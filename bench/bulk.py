"""How fast bulk runs are fed, and what that holds in memory, against a provider that is done at once.

`python -m bench.bulk ROWS`: a feeder in a process of its own, a real Redis, a real object store; this process ends
each job the moment it is in line. What it prints is of the feeding alone: no worker, no message, no provider, and not
the end of the run with its summary and contact sheet; `--sandbox ROWS` measures all of that (`bulk_sandbox.py`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench import proc
from bench.bulk_sandbox import measure_whole
from bide.bulk.intake import take_in
from bide.bulk.reading import RawRow
from bide.bulk.record import WINDOW, Options
from bide.bulk.runs import Runs
from bide.bulk.start import start
from bide.contract import Output
from bide.ledger import Ledger
from bide.ledger.connection import connect
from bide.ledger.keys import prefix
from bide.ledger.records import AccountName
from bide.storage import Storage, StorageOptions
from tests.integration.object_store import BUCKET, REGION, ObjectStore
from tests.integration.servers import redis_server
from workers.accounts import row_lane
from workers.bulk.feeder import Feeder

RUN = "bench"
ACCOUNT = AccountName("photogpt", "default")

#: Ends the jobs that are in line or whose turn has come, as if a worker had done all of it.
END_THEM = """
local at, result, now, ended = KEYS[1], ARGV[1], ARGV[2], 0
for _, clock in ipairs({ 'queued', 'lease' }) do
  for _, id in ipairs(redis.call('ZRANGE', at .. clock, 0, 999)) do
    redis.call('HSET', at .. 'job:' .. id, 'state', 'succeeded', 'answered', 1, 'result', result, 'submitted', now,
      'finished', now, 'polls', 2)
    redis.call('ZREM', at .. clock, id)
    redis.call('SREM', at .. 'inflight', id)
    redis.call('SREM', at .. 'told', id)
    ended = ended + 1
  end
end
return ended
"""

OUTPUT = Output(
    uri="s3://results/2026/01/01/bench.1/0.png",
    bucket=BUCKET,
    key="2026/01/01/bench.1/0.png",
    content_type="image/png",
    size=20123,
    sha256="0" * 64,
    width=512,
    height=512,
)
RESULT = json.dumps({"outputs": [OUTPUT.model_dump(mode="json")]})

#: Rows behind those that are measured, so that the run goes on all the while.
MORE_ROWS = 4 * WINDOW


def storage(url: str) -> Storage:
    """The store, as one process has it."""
    return Storage(StorageOptions(BUCKET, url, region=REGION))


def feed(redis_url: str, store_url: str, count: int) -> None:
    """The feeder's process: works on the run until so many rows are fed."""
    server = connect(redis_url)
    runs, ledger = Runs(server), Ledger(server)
    feeder = Feeder(
        runs,
        ledger,
        storage(store_url),
        deadline_seconds=lambda *_: 600.0,
        lane=row_lane,
        send=lambda _: None,
        stop=lambda *_: None,
    )
    while (run := runs.read(RUN)) and run.number("row") <= count:
        seconds = feeder.feed(RUN)
        time.sleep(0.01 if seconds is None else seconds)


def rows(count: int) -> Iterator[RawRow]:
    """Requests as a catalogue has them."""
    for number in range(1, count + 1):
        request = {
            "provider": ACCOUNT.provider,
            "operation": "images.generation",
            "params": {"modelID": "m1", "prompt": f"a red fox, picture {number} of a catalogue", "numImages": 1},
            "metadata": {"sku": f"SKU-{number:07}"},
        }
        yield RawRow(number, lambda _, request=request: request)  # type: ignore[misc]  # mypy can't infer the default


def measure(count: int, redis_url: str, store_url: str) -> dict[str, Any]:
    """Feed a run of `count` rows; what it took."""
    server = connect(redis_url)
    began = time.monotonic()
    intake = take_in(rows(count + MORE_ROWS))
    start(Runs(server), storage(store_url), intake, run_id=RUN, source="bench", options=Options())
    intake.close()
    taken_in_seconds = time.monotonic() - began
    empty = server.info("memory")["used_memory"]
    command = [sys.executable, "-m", "bench.bulk", "--feed", redis_url, store_url, str(count)]
    began, feeder = time.monotonic(), subprocess.Popen(command)
    end_them, most, most_redis, cpu = server.register_script(END_THEM), 0, 0, 0.0
    while feeder.poll() is None:
        if not end_them(keys=[prefix(ACCOUNT)], args=[RESULT, time.time()]):
            time.sleep(0.01)
        most_redis = max(most_redis, server.info("memory")["used_memory"] - empty)
        try:
            most, cpu = max(most, proc.peak_bytes(feeder.pid)), proc.cpu_seconds([feeder.pid])
        except (OSError, ValueError):  # it has just ended
            continue
    seconds = time.monotonic() - began
    run = Runs(server).read(RUN)
    return {
        "rows": count,
        "rows_in_results": run.done if run else 0,
        "window": WINDOW,
        "checked_rows_per_second": round((count + MORE_ROWS) / taken_in_seconds),
        "fed_rows_per_second": round(count / seconds),
        "feeder_cpu_ms_per_row": round(1000 * cpu / count, 3),
        "feeder_peak_mb": round(most / 2**20, 1),
        "redis_peak_mb_above_empty": round(most_redis / 2**20, 2),
        "redis_keys": server.dbsize(),
        "load": os.getloadavg()[0],
    }


def main() -> None:
    """Bring the servers up, measure, print."""
    if sys.argv[1:2] == ["--sandbox"]:
        print(json.dumps(measure_whole(int(sys.argv[2])), indent=2))
        return
    if sys.argv[1:2] == ["--feed"]:
        feed(sys.argv[2], sys.argv[3], int(sys.argv[4]))
        return
    with tempfile.TemporaryDirectory() as folder, redis_server() as server:
        store = ObjectStore(Path(folder))
        store.process.start()
        try:
            os.environ.update({name: value for name, value in store.environment().items() if name.startswith("AWS_")})
            print(json.dumps(measure(int(sys.argv[1]), server.url, store.url), indent=2))
        finally:
            store.process.kill()


if __name__ == "__main__":
    main()
