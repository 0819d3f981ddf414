"""What Prometheus would see of a ledger in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from bide.contract import QUEUES
from tests.contract.ledger_stage import ACCOUNT, Stage
from workers.metrics.families import families
from workers.metrics.reading import Snapshot, read

LABELS = {"provider": ACCOUNT.provider, "account": ACCOUNT.account}


class Shown(Collector):
    """What Prometheus would see."""

    def __init__(self, taken: Snapshot | None) -> None:
        self._taken = taken
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def collect(self) -> Iterator[Metric]:
        return families(self._taken)

    def value(self, name: str, **labels: str) -> float | None:
        """One sample of the account's, or without any label of `labels` of everybody's."""
        return self._registry.get_sample_value(f"bide_{name}", labels)

    def of_account(self, name: str, **labels: str) -> float | None:
        return self.value(name, **LABELS, **labels)

    def samples(self, name: str) -> list[dict[str, str]]:
        """The labels of all samples of a metric."""
        return [one.labels for metric in self.collect() for one in metric.samples if one.name == f"bide_{name}"]


def shown(stage: Stage) -> Shown:
    """What the exporter shows of a ledger and of queues that hold three messages each."""
    return Shown(read(stage.server, lambda: dict.fromkeys(QUEUES, 3)))


def about(seconds: float) -> Any:
    """As many seconds, or a few more: the server's clock is the real one."""
    return pytest.approx(seconds + 5, abs=5.5)
