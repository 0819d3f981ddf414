"""Book and budgets under whatever may become of submits, on a Redis in memory."""

from __future__ import annotations

import os

import fakeredis
import pytest
import redis

from tests.contract.ledger_life import profile
from tests.contract.ledger_money_machine import MoneyMachine

#: How many lives are tried; a longer run is asked for through the environment.
EXAMPLES = int(os.environ.get("BIDE_TEST_EXAMPLES", "12"))


class MoneyMachineInMemory(MoneyMachine):
    def new_server(self) -> redis.Redis:
        return fakeredis.FakeRedis(decode_responses=True, version=(7,))


TestMoneyMachine = pytest.mark.timeout(600)(MoneyMachineInMemory.TestCase)  # cut short, Hypothesis tells nonsense
TestMoneyMachine.settings = profile(examples=EXAMPLES, steps=12)
