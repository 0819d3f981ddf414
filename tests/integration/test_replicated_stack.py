"""`bide up --replicated`: a leader with replicas and sentinels on this machine, which outlives the leader's death."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest
import redis

from bide.ledger.connection import connect
from bide.redis_client import close
from tests.integration.test_embedded import Run, deployment  # noqa: F401 - a fixture
from tests.integration.waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.whole, pytest.mark.timeout(300)]

READY = r"export BIDE_LEDGER__SAFE='replica'"


def test_another_leads_when_the_leader_is_killed(deployment: Path) -> None:  # noqa: F811 - the fixture
    """What replicas have acknowledged is there; stopped and started, the set is the same."""
    stack = Run(deployment, "up", "--replicated", "--servers-only")
    stack.hears(READY)
    found = re.search(r"export BIDE_BROKER_URL='([^']+)'", stack.text())
    assert found
    server = connect(found[1], sentinel_master="bide")
    try:
        eventually(lambda: server.info("replication")["connected_slaves"] == 2, what="two replicas follow")
        with server.pipeline(transaction=False) as pipeline:
            pipeline.set("written", "before")
            pipeline.wait(2, 5000)
            assert pipeline.execute() == [True, 2]
        before = server.info("server")
        os.kill(before["process_id"], signal.SIGSTOP)  # a killed one would be started again
        after = eventually(lambda: _another(server, before["run_id"]), what="another leads")
        assert after["run_id"] != before["run_id"]
        os.kill(before["process_id"], signal.SIGCONT)
        assert server.get("written") == "before"
    finally:
        close(server)
        stack.process.send_signal(signal.SIGINT)
    assert stack.ends() == 0
    again = Run(deployment, "up", "--replicated", "--servers-only")
    again.hears(READY)
    assert found[0] in again.text()
    again.process.send_signal(signal.SIGINT)
    assert again.ends() == 0


def _another(server: redis.Redis, run_id: str) -> dict[str, str] | None:
    try:
        found: dict[str, str] = dict(server.info("server"))
    except redis.RedisError:
        return None
    return found if found["run_id"] != run_id else None


def test_a_broker_of_ones_own_is_not_replaced(deployment: Path) -> None:  # noqa: F811 - the fixture
    """The message says what to take out of `.env`."""
    (deployment / ".env").write_text("BIDE_BROKER_URL=redis://127.0.0.1:1/0\n")
    stack = Run(deployment, "up", "--replicated")
    assert stack.ends() == 1
    assert "take BIDE_BROKER_URL and BIDE_LEDGER_URL out of .env" in stack.text()
