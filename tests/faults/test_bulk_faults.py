"""Bulk runs while everything breaks: each row ends once, the sums agree, and nothing is bought twice.

`BIDE_BULK_ROWS=2000 BIDE_BULK_KILLS=10 BIDE_BULK_AWAY_SECONDS=30` makes them larger.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from bide.bulk.record import Options
from tests.faults.counting import check_nothing_left
from tests.integration.bulk import Bulk, bought, quick_rig, rows
from tests.integration.caller import marker
from tests.integration.object_store import ACCESS_KEY, SECRET_KEY
from tests.integration.rig import Rig
from tests.integration.waiting import eventually

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1800)]

ROWS = int(os.environ.get("BIDE_BULK_ROWS", "48"))
KILLS = int(os.environ.get("BIDE_BULK_KILLS", "2"))

#: Less than a run's rows, so that it is fed all the while.
OPTIONS = Options(window=min(ROWS // 2, 100))

#: How long object storage stays away [seconds].
AWAY_SECONDS = float(os.environ.get("BIDE_BULK_AWAY_SECONDS", "3"))

#: How long a run may take on a machine that has other things to do [seconds].
LONGEST_SECONDS = 120.0 + ROWS / 2


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Everything that can be killed."""
    with quick_rig(tmp_path_factory.mktemp("bulk")) as rig:
        yield rig


@pytest.fixture
def bulk(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bulk]:
    """The runs of the deployment."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    bulk = Bulk(rig, tmp_path)
    yield bulk
    bulk.close()


def check_end(rig: Rig, bulk: Bulk, run_id: str, marked: str) -> None:
    """The run ends: each row that succeeded was bought once, none twice; what may have been bought is unconfirmed."""
    summary = bulk.over(run_id, within_seconds=LONGEST_SECONDS)
    assert summary["succeeded"] + summary["unconfirmed"] == ROWS
    purchases = bought(rig, marked)
    ends = {line["request"]["params"]["prompt"]: line["state"] for line in bulk.lines(run_id)}
    assert set(purchases.values()) == {1}
    assert {prompt for prompt, end in ends.items() if end == "succeeded"} <= set(purchases)
    assert {ends[prompt] for prompt in purchases} <= {"succeeded", "unconfirmed"}
    check_nothing_left(rig, marked)


def _bought_at_least(rig: Rig, marked: str, count: int) -> bool:
    return len(rig.purchases(marked)) >= count


def test_feeders_are_killed(rig: Rig, bulk: Bulk) -> None:
    """The worker that feeds a run is killed again and again in the middle of it."""
    marked = marker()
    bulk.begin("killed", rows(marked, ROWS), OPTIONS)

    for kill in range(1, KILLS + 1):
        bought_by_then = partial(_bought_at_least, rig, marked, ROWS * kill // (KILLS + 1))
        eventually(bought_by_then, what="it goes on", within_seconds=LONGEST_SECONDS)
        rig.worker.kill()
        rig.worker.start()

    check_end(rig, bulk, "killed", marked)


def test_redis_restarts_under_a_run(rig: Rig, bulk: Bulk) -> None:
    """Redis is killed and comes back with what it has on disk."""
    marked = marker()
    bulk.begin("restarted", rows(marked, ROWS), OPTIONS)
    eventually(lambda: len(rig.purchases(marked)) >= ROWS / 3, what="a third is bought", within_seconds=LONGEST_SECONDS)

    rig.redis.kill()
    rig.redis.start()

    check_end(rig, bulk, "restarted", marked)


def test_object_storage_is_away_while_results_are_written(rig: Rig, bulk: Bulk) -> None:
    """Results wait in the ledger until they can be written."""
    marked = marker()
    slow = {"fault": "slow", "operation": "media", "match": marked, "seconds": 2.5, "times": ROWS // 3}
    rig.sandbox.order([slow])  # some are still under way when the first are done
    bulk.begin("stored", rows(marked, ROWS), OPTIONS)
    eventually(lambda: bulk.run("stored").done >= ROWS / 6, what="a part is done", within_seconds=LONGEST_SECONDS)

    rig.store.process.kill()
    eventually(lambda: "job.store_put_off" in dict(rig.logs())["log of worker"], what="a result is put off")
    time.sleep(AWAY_SECONDS)
    rig.store.process.start()

    summary = bulk.over("stored", within_seconds=LONGEST_SECONDS)
    assert summary["succeeded"] == ROWS
    assert set(bought(rig, marked).values()) == {1}
    assert len(bought(rig, marked)) == ROWS
    check_nothing_left(rig, marked)


def test_the_broker_forgets_a_run(rig: Rig, bulk: Bulk) -> None:
    """All messages are gone: the sweeper has the run looked at again."""
    marked = marker()
    bulk.begin("forgotten", rows(marked, ROWS // 2), OPTIONS)
    eventually(lambda: rig.purchases(marked), what="the run has begun")

    with rig.server() as server:
        server.delete("bide.submit", "bide.poll", "bide.store", "bide.control", *server.scan_iter("unacked*"))

    assert bulk.over("forgotten", within_seconds=LONGEST_SECONDS)["succeeded"] == ROWS // 2
    assert set(bought(rig, marked).values()) == {1}
    check_nothing_left(rig, marked)
