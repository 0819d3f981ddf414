"""What unit tests share: ledger and runs in memory, a worker with a source of runs, the endpoint for providers."""

from __future__ import annotations

import fakeredis
import pytest

from bide.bulk.runs import Runs
from tests.contract.ledger_stage import Stage
from tests.unit.beginnings import Tools
from tests.unit.bulk_world import World
from tests.unit.hooks_scene import Scene


@pytest.fixture
def stage() -> Stage:
    """A ledger in memory."""
    return Stage.in_memory()


@pytest.fixture
def late_stage(stage: Stage) -> Stage:
    """A ledger in memory whose clock is two minutes behind its server's."""
    stage.clock.now = float(stage.server.time()[0]) - 120
    return stage


@pytest.fixture
def tools() -> Tools:
    """The toolbox of a worker whose source of runs has three rows."""
    tools = Tools(Runs(fakeredis.FakeRedis(decode_responses=True, version=(7,))))
    tools.write_source(3)
    return tools


@pytest.fixture
def world() -> World:
    """Runs in memory, none yet."""
    return World(fakeredis.FakeRedis(decode_responses=True, version=(7,)))


@pytest.fixture
def scene() -> Scene:
    """The endpoint before the first call."""
    return Scene()
