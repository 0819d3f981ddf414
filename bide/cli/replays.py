"""Replays of failed jobs: the idempotency key of a replay names the failed job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bide.ledger import Ledger


def key_of(job_id: str) -> str:
    """The idempotency key of a job's replay; two replays of one job have the same key, so that they are one job."""
    return f"replay-of:{job_id}"


def replayed(ledger: Ledger, job_ids: Sequence[str]) -> dict[str, str]:
    """The replays of jobs, by the id of the failed one, as far as the ledger remembers them."""
    from bide.ledger.keys import idempotency_key  # noqa: PLC0415 - Redis takes a while, and --help does not need it

    pipeline = ledger.server.pipeline(transaction=False)
    for job_id in job_ids:
        pipeline.hget(idempotency_key(key_of(job_id)), "job")
    found = ledger.executor.execute(pipeline) if job_ids else []
    return {old: new for old, new in zip(job_ids, found, strict=True) if new}
