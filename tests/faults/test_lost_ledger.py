"""FLUSHALL under a running worker: nothing is bought on the empty ledger until an operator confirms it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from bide.cli.main import main
from bide.client import Client
from bide.ledger.processes import running
from tests.faults.lost.run import run
from tests.integration.caller import image, marker
from tests.integration.rig import Rig
from tests.integration.waiting import eventually

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]


def test_nothing_is_bought_on_a_lost_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that ran says so, and one that is started anew finds it out by the bucket."""
    marked = marker()
    with Rig(tmp_path) as rig:
        for name, value in rig.environment().items():
            if name.startswith(("BIDE_", "AWS_")):
                monkeypatch.setenv(name, value)
        with Client(rig.redis.url) as client:
            client.wait(client.submit(image(f"{marked} before")), timeout_seconds=60)
            with rig.server() as server:
                server.flushall()
            job_id = client.submit(image(f"{marked} after"))
            eventually(lambda: _refused(rig), what="the worker says that it submits nothing")
            rig.worker.kill()
            rig.worker.start()
            eventually(lambda: _refused(rig), what="the new worker says so, too")
            assert len(rig.purchases(marked)) == 1
            shown = CliRunner().invoke(main, ["ledger", "show"])
            assert shown.exit_code == 1
            assert "has lost its id" in shown.output
            assert "bide ledger confirm" in shown.output
            assert "look after the ledger" in CliRunner().invoke(main, ["explain", job_id]).output

            confirmed = CliRunner().invoke(main, ["ledger", "confirm", "--yes"])
            assert confirmed.exit_code == 0, confirmed.output
            assert client.wait(job_id, timeout_seconds=60).outputs
            assert len(rig.purchases(marked)) == 2
            assert CliRunner().invoke(main, ["ledger", "show"]).exit_code == 0
            assert "nothing to confirm" in CliRunner().invoke(main, ["ledger", "confirm"]).output


@pytest.mark.parametrize("way", ["flushall", "disk"])
def test_a_lost_ledger_is_not_a_lost_purchase(way: str) -> None:
    """The short form of `python -m tests.faults.lost`."""
    count = run(way, jobs=60)

    assert count.bought >= 20
    assert (count.lost, count.bought_twice) == (0, 0), count
    assert count.home + count.listed == count.bought
    assert count.ends.get("succeeded", 0) + count.ends.get("submission_unknown", 0) == count.jobs


@pytest.mark.whole
@pytest.mark.parametrize(
    ("scene", "way", "jobs"),
    [("fallbacks", "flushall", 40), ("runs", "flushall", 40), ("runs", "backup", 80), ("two", "flushall", 30)],
)
def test_nor_is_one_of_other_kinds(scene: str, way: str, jobs: int) -> None:
    """With fallbacks, of bulk runs, on an old backup, and beside another deployment."""
    count = run(way, jobs=jobs, scene=scene)

    assert not count.broken, count
    assert count.bought >= jobs // 6
    assert count.home + count.listed == count.bought
    callers = 2 * jobs if scene == "two" else jobs
    assert count.ends.get("succeeded", 0) + count.ends.get("submission_unknown", 0) == callers, count


def _refused(rig: Rig) -> bool:
    with rig.server() as server:
        return any("has lost its id" in process.ledger_refusal for process in running(server))
