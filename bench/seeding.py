"""Puts jobs in flight by the ledger's own scripts, without workers: far more of them than this machine could submit."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import redis

from bench import workload
from bide.contract import GenerateRequest
from bide.ledger import AccountName, Ledger, Limits, Messages, Record
from bide.ledger.records import Timing

ACCOUNT = AccountName("photogpt", "default")

#: Nobody else is to mend what is being prepared [seconds].
_LEASE_SECONDS = 3600.0

#: Jobs that are prepared at once, so that Redis does not wait for Python, nor Python for Redis.
_AT_ONCE = 4

_TOKEN = uuid.uuid4().hex


class Seeder:
    """Takes jobs to just before their submit, and over it."""

    def __init__(self, server: redis.Redis) -> None:
        self.ledger = Ledger(
            server, limits=lambda _: Limits(max_in_flight=10_000_000), timing=Timing(lease_seconds=_LEASE_SECONDS)
        )

    def prepared(self, names: Sequence[str]) -> Iterator[tuple[Record, int]]:
        """The records of new jobs that are about to be submitted, and the number of the attempt."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            yield from pool.map(self._prepare, names)

    def _prepare(self, name: str) -> tuple[Record, int]:
        request = GenerateRequest(
            provider=ACCOUNT.provider, operation="images.generation", params=workload.params(name)
        )
        signature = json.dumps({"root_id": name, "kwargsrepr": f"photogpt images.generation {name}"})
        record = self.ledger.jobs.step(name, ACCOUNT, token=_TOKEN, request=request, signature=signature).record
        assert record is not None
        return record, self.ledger.submits.intend(record, _TOKEN)

    def accepted(self, prepared: tuple[Record, int], provider_job_id: str, *, first_poll_seconds: float) -> Messages:
        """The provider has accepted one of them."""
        record, attempt = prepared
        return self.ledger.submits.submitted(
            record, _TOKEN, attempt=attempt, provider_job_id=provider_job_id, first_poll_seconds=first_poll_seconds
        )
