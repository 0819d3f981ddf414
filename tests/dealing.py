"""How the tests are dealt out to the processes of pytest-xdist: file by file, what takes longest first."""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]  # xdist has no types

#: Most of what they do is waiting, or waiting for processes to start: begun first, they fill the gaps of one another.
SLOWEST = (
    "integration/test_embedded.py",
    "integration/test_bulk.py",
    "integration/test_rabbitmq.py",
    "integration/test_unconfirmed.py",
    "integration/test_beat.py",
    "integration/test_worker_addresses.py",
    "integration/test_health.py",
    "integration/test_doctor.py",
    "integration/test_doctor_replicas.py",
    "integration/test_failures.py",
    "integration/test_sheet.py",
    "integration/test_ledger_on_redis.py",
)

#: Folders, in the order in which the rest of their files is begun.
FOLDERS = ("faults", "integration", "browser", "contract", "unit")

#: Files whose tests share nothing: each test is dealt out by itself.
SPREAD = ("integration/test_embedded.py",)


def in_order(items: list[pytest.Item]) -> list[pytest.Item]:
    """The tests by file, the files that take longest first; within a file as they stand there."""
    return sorted(items, key=lambda item: _rank(item.nodeid))


def _rank(nodeid: str) -> int:
    _, _, file = nodeid.partition("::")[0].rpartition("tests/")
    if file in SLOWEST:
        return SLOWEST.index(file)
    folder = file.partition("/")[0]
    return len(SLOWEST) + (FOLDERS.index(folder) if folder in FOLDERS else len(FOLDERS))


class Dealer(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """Hands out a file at a time, in the order of the tests."""

    def __init__(self, config: pytest.Config, log: Any = None) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        file = str(super()._split_scope(nodeid))
        return nodeid if file.endswith(SPREAD) else file
