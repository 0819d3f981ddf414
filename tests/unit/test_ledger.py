"""The ledger's contract, on a Redis in memory that holds each script against the schema."""

from __future__ import annotations

import pytest
import redis

from tests.contract.ledger_contract import LedgerContract
from tests.contract.observed_redis import ObservedRedis


class TestLedger(LedgerContract):
    @pytest.fixture
    def server(self) -> redis.Redis:
        return ObservedRedis()
