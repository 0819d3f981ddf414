"""The ledger's contract, on a Redis in memory."""

from __future__ import annotations

import fakeredis
import pytest
import redis

from tests.contract.ledger_contract import LedgerContract


class TestLedger(LedgerContract):
    @pytest.fixture
    def server(self) -> redis.Redis:
        client: redis.Redis = fakeredis.FakeRedis(decode_responses=True, version=(7,))
        return client
