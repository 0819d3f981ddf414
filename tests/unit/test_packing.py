"""The contract of packing, on a Redis in memory that holds each script against the schema."""

from __future__ import annotations

import pytest
import redis

from tests.contract.ledger_contract_packing import PackingContract
from tests.contract.observed_redis import ObservedRedis


class TestPacking(PackingContract):
    @pytest.fixture
    def server(self) -> redis.Redis:
        return ObservedRedis()
