"""The ledger under whatever life may do to it, on a Redis in memory."""

from __future__ import annotations

import os

import pytest
import redis

from tests.contract.ledger_life import profile
from tests.contract.ledger_machine import LedgerMachine
from tests.contract.observed_redis import ObservedRedis

#: How many lives are tried; a longer run is asked for through the environment.
EXAMPLES = int(os.environ.get("BIDE_TEST_EXAMPLES", "14"))


class LedgerMachineInMemory(LedgerMachine):
    def new_server(self) -> redis.Redis:
        return ObservedRedis()


TestLedgerMachine = pytest.mark.timeout(600)(LedgerMachineInMemory.TestCase)  # cut short, Hypothesis tells nonsense
TestLedgerMachine.settings = profile(examples=EXAMPLES, steps=40)
