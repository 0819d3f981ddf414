"""The ledger's contract on a real Redis, and what only a real one can show: time, restarts, bytes."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from hypothesis.stateful import run_state_machine_as_test

from bide.contract import JobState
from bide.errors import LedgerAwayError
from bide.ledger import Ledger, Limits, Verb
from bide.ledger.connection import connect
from bide.ledger.keys import prefix
from tests.contract.ledger_contract import LedgerContract
from tests.contract.ledger_contract_provider_ids import buy, index_keys
from tests.contract.ledger_life import profile
from tests.contract.ledger_machine import LedgerMachine
from tests.contract.ledger_stage import ACCOUNT, SIGNATURE, Stage, request_of
from tests.integration.servers import RedisServer, redis_server

pytestmark = pytest.mark.integration

#: How many lives are tried; a longer run is asked for through the environment.
EXAMPLES = int(os.environ.get("BIDE_TEST_EXAMPLES", "80"))


@pytest.fixture(scope="module")
def shared() -> Iterator[RedisServer]:
    """One server for all tests that empty it first."""
    with redis_server(appendonly=False) as server:
        yield server


@pytest.fixture
def own() -> Iterator[RedisServer]:
    """A server that may be killed."""
    with redis_server() as server:
        yield server


class TestLedgerOnRedis(LedgerContract):
    @pytest.fixture
    def server(self, shared: RedisServer) -> Iterator[redis.Redis]:
        with connect(shared.url) as client:
            client.flushall()
            yield client

    def test_thousands_of_ids_are_held_in_small_hashes(self, stage: Stage) -> None:
        """Where the first ones are full others take the rest; each id is found, whatever has left meanwhile."""
        alike = ["".join(each) for each in itertools.product(("Aa", "BB"), repeat=8)]
        stage.limits[ACCOUNT] = Limits(max_in_flight=len(alike))
        for number, each in enumerate(alike):
            buy(stage, f"j{number}", each)
        held = {each: f"j{number}" for number, each in enumerate(alike)}
        assert stage.ledger.unconfirmed.holders(ACCOUNT, alike) == held
        assert [stage.server.hlen(key) for key in index_keys(stage)] == [128, 128]
        [first, _] = index_keys(stage)
        left: list[Any] = stage.server.hkeys(first)[:100]
        stage.server.hdel(first, *left)
        stage.server.delete(*(f"{prefix(ACCOUNT)}job:{held[each]}" for each in left))
        kept = {each: job_id for each, job_id in held.items() if each not in left}
        assert stage.ledger.unconfirmed.holders(ACCOUNT, alike) == kept
        buy(stage, "new", left[0])
        assert stage.ledger.unconfirmed.holders(ACCOUNT, alike) == {**kept, left[0]: "new"}


@pytest.mark.timeout(600)  # half a minute; where a busy machine cut it short, Hypothesis reported nonsense
def test_whatever_life_does(shared: RedisServer) -> None:
    """The machine of the unit tests, in more and longer lives, on the real thing."""
    with connect(shared.url) as client:
        emptied: redis.Redis = client

        class Machine(LedgerMachine):
            def new_server(self) -> redis.Redis:
                client.flushall()
                return emptied

        run_state_machine_as_test(Machine, settings=profile(examples=EXAMPLES, steps=60))


def test_the_servers_own_time_rules(shared: RedisServer) -> None:
    """Without a clock of its own the ledger goes by Redis, so that workers on wrong clocks agree."""
    with connect(shared.url) as client:
        client.flushall()
        step = Ledger(client).jobs.step("a", ACCOUNT, token="t", request=request_of())
        seconds, _ = client.time()
    assert step.now == pytest.approx(seconds, abs=2)


def test_jobs_survive_a_restart(own: RedisServer) -> None:
    """The client waits until Redis is back, the scripts are sent anew, and the job goes on under its lease."""
    with connect(own.url) as client:
        ledger = Ledger(client)
        record = ledger.jobs.step("a", ACCOUNT, token="t", request=request_of()).record
        assert record is not None
        own.restart()
        assert ledger.submits.intend(record, "t") == 1
        assert ledger.accounts.count_clocks(ACCOUNT) == {
            "queued": 0,
            "lease": 1,
            "due": 0,
            "unconfirmed": 0,
            "inflight": 1,
        }


def test_an_absent_redis_is_reported(own: RedisServer) -> None:
    """Scripts and reads raise `LedgerAwayError`."""
    with redis.Redis.from_url(own.url, decode_responses=True, retry=None) as impatient:
        ledger = Ledger(impatient)
        own.kill()
        for ask in (
            ledger.accounts.names,
            lambda: ledger.accounts.admit(ACCOUNT),
            lambda: ledger.jobs.read(ACCOUNT, "a"),
        ):
            with pytest.raises(LedgerAwayError, match="does not answer"):
                ask()


def test_a_waiting_job_is_small(shared: RedisServer) -> None:
    """A job at the provider takes under 2 KiB of Redis: request, the caller's signature, entries in lists and index."""
    jobs = 500
    with connect(shared.url) as client:
        client.flushall()
        ledger = Ledger(client, limits=lambda _: Limits(max_in_flight=jobs))
        run(ledger, "warm-up")
        before = client.info("memory")["used_memory"]
        for number in range(jobs - 1):
            run(ledger, f"8c1f7a0e-53c1-4a57-9f0b-{number:012d}")
        taken = client.info("memory")["used_memory"] - before
    assert taken / jobs < 2048


def run(ledger: Ledger, job_id: str) -> None:
    """Take a typical job to the provider."""
    prompt = "a red fox in the snow, golden hour, shallow depth of field, 85 mm, highly detailed"
    request = request_of(params={"modelID": "m1", "prompt": prompt, "numImages": 1}, idempotency_key=f"order-{job_id}")
    signature = SIGNATURE.replace('"r"', f'"{job_id}","kwargsrepr":"photogpt images.generation a red fox in the..."')
    step = ledger.jobs.step(job_id, ACCOUNT, token="0" * 32, request=request, signature=signature)
    assert step.verb is Verb.SUBMIT
    assert step.record is not None
    assert step.record.state is JobState.QUEUED
    attempt = ledger.submits.intend(step.record, "0" * 32)
    ledger.submits.submitted(
        step.record, "0" * 32, attempt=attempt, provider_job_id=job_id[::-1], first_poll_seconds=600
    )
