"""A deployment of their own for the tests that break things; each finds it whole, and mends what it broke."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.caller import Caller
from tests.integration.rig import Rig


@pytest.fixture(scope="session")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Everything that can be killed."""
    with Rig(tmp_path_factory.mktemp("rig")) as rig:
        yield rig


@pytest.fixture
def rig(deployment: Rig) -> Iterator[Rig]:
    """The deployment, as one test has it."""
    deployment.mark_logs()
    yield deployment
    deployment.sandbox.clear_faults()
    deployment.mend()


@pytest.fixture(scope="module")
def caller(deployment: Rig) -> Iterator[Caller]:
    """A service that submits jobs."""
    with Caller(deployment.redis.url) as caller:
        yield caller
