"""A whole bulk run against the simulated providers, to its contact sheet: how long, how much memory, all rows there.

`python -m bench.bulk --sandbox ROWS`: Redis, object storage, the sandbox, and the Procfile's worker and poller as they
come. Whatever is not accounted for ends it with an error.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

from bench import proc
from bide.bulk.names import sheet_key
from bide.bulk.record import Options
from tests.integration.bulk import Bulk, bought, quick_rig, rows
from tests.integration.rig import Rig

RUN = MARKED = "whole"

#: A rate below which something must be wrong [rows/s].
SLOWEST_PER_SECOND = 2.0


def measure_whole(count: int) -> dict[str, Any]:
    """Take a run of `count` rows from its file to its contact sheet; what it took. Raises `AssertionError`."""
    with tempfile.TemporaryDirectory(prefix="bide-bulk-") as name:
        folder = Path(name)
        with quick_rig(folder) as rig:
            keys = rig.store.environment().items()
            os.environ.update({name: value for name, value in keys if name.startswith("AWS_")})
            bulk = Bulk(rig, folder)
            try:
                return _measure(rig, bulk, count)
            finally:
                bulk.close()


def _measure(rig: Rig, bulk: Bulk, count: int) -> dict[str, Any]:
    load, empty = os.getloadavg()[0], bulk.server.info("memory")["used_memory"]
    cpu, began = _cpu(rig), time.monotonic()
    bulk.begin(RUN, rows(MARKED, count), Options())
    most_redis, bought_after = 0, 0.0
    while not (run := bulk.run(RUN)).over and time.monotonic() - began < 60 + count / SLOWEST_PER_SECOND:
        most_redis = max(most_redis, bulk.server.info("memory")["used_memory"] - empty)
        bought_after = bought_after or (time.monotonic() - began if run.done >= count else 0.0)
        time.sleep(0.5)
    seconds = time.monotonic() - began
    assert run.over, run.progress()
    summary, purchases = bulk.check(RUN), bought(rig, MARKED)
    assert set(purchases.values()) == {1}
    assert len(purchases) == count == summary["succeeded"]
    assert rig.store.names(sheet_key(RUN)), run.text("note")
    return {
        "rows": count,
        "purchases": purchases.total(),
        "parts": summary["parts"],
        "polls": summary["polls"],
        "seconds_to_the_last_row": round(bought_after or seconds, 1),
        "seconds_to_the_contact_sheet": round(seconds, 1),
        "rows_per_second": round(count / (bought_after or seconds), 1),
        "worker_peak_mb": round(proc.peak_bytes(rig.worker.pid) / 2**20),
        "poller_peak_mb": round(proc.peak_bytes(rig.poller.pid) / 2**20),
        "redis_peak_mb_above_empty": round(most_redis / 2**20, 1),
        "cpu_ms_per_row": round(1000 * (_cpu(rig) - cpu) / count, 1),
        "load_before": round(load, 1),
    }


def _cpu(rig: Rig) -> float:
    return proc.cpu_seconds([rig.worker.pid, rig.poller.pid])
