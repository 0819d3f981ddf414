"""Jobs whose provider's adapter or file is gone wait, and go on when it is back: they are paid for."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from bide.ledger.keys import prefix
from bide.ledger.snapshot import take_snapshot
from bide.ledger.timeline import why
from bide.providers import installed
from tasks.steps.missing_adapter import HOLD_SECONDS, keep_waiting
from tests.unit.atelier import ACCEPTED, ACCOUNT, BASE, STATUS, Atelier, AtelierAdapter, atelier
from workers.telemetry.step_log import StepLog

__all__ = ["atelier"]

DONE = {"state": "done", "pictures": ["https://cdn.example/7.png"]}


def round_without_adapter(world: Atelier) -> list[dict[str, Any]]:
    """A polling round of a process that lacks the adapter; what it logs."""
    world.clock.advance(HOLD_SECONDS)
    world.ledger.accounts.sweep(ACCOUNT)
    world.clock.advance(1)
    seq = int(world.server.hget(f"{prefix(ACCOUNT)}account", "seq") or 0)
    claim = world.ledger.polls.claim(ACCOUNT, seq, batch=100)
    assert [job.job_id for job in claim.jobs] == ["a"]
    tools: Any = world
    with capture_logs() as lines:
        assert keep_waiting(tools, ACCOUNT, claim.jobs) == ()
    return [dict(line) for line in lines]


def test_a_running_job_waits_past_its_deadline_too(atelier: Atelier) -> None:
    """No call is made and nothing ends; the record says why, the log says it once a round; then it goes on."""
    atelier.reply("POST", f"{BASE}/works", ACCEPTED)
    atelier.reply("GET", STATUS, DONE)
    with StepLog("job.step"):
        atelier.submit(deadline_seconds=60)
    made = len(atelier.calls)
    adapter = installed().pop("atelier")
    try:
        atelier.configure()
        for _ in range(4):
            lines = round_without_adapter(atelier)
            assert [line["event"] for line in lines] == ["account.unusable"]
            due: Any = atelier.server.zscore(f"{prefix(ACCOUNT)}due", "a")
            assert due >= atelier.clock.now + HOLD_SECONDS - 1, "once a minute, not in each round"
    finally:
        installed()["atelier"] = adapter
    assert len(atelier.calls) == made
    assert atelier.record().text("state") == "running"
    assert why(take_snapshot(atelier.ledger, atelier.record()))[-1] == (
        "no adapter or file of provider 'atelier' is here: the job waits until it is back"
    )
    atelier.configure()
    atelier.poll(after_seconds=HOLD_SECONDS)
    assert atelier.record().text("state") == "storing"


@pytest.mark.parametrize("kind", [AtelierAdapter])
def test_an_operation_that_is_gone_keeps_its_jobs(atelier: Atelier, kind: type[AtelierAdapter]) -> None:
    """A file may lose an operation: the jobs of the others go on, its own wait."""
    atelier.reply("POST", f"{BASE}/works", ACCEPTED)
    atelier.submit()
    installed()["atelier"] = type("Atelier", (kind,), {"operations": {}})()
    atelier.configure()
    lines = round_without_adapter(atelier)
    assert [line["event"] for line in lines] == ["account.unusable"]
    assert atelier.record().text("state") == "running"
    assert "operation" in atelier.record().text("note")
